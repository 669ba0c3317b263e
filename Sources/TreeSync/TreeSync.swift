// TreeSync
