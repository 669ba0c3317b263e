#!/bin/sh
# fill.sh FOLDER: 60,000 files, 1 GB, in 600 folders. Runs in a step under busybox, and on this machine for the peer.
set -eu
number=0
while [ $number -lt 600 ]; do
    folder=$1/folder-$number
    size=$((12200 + number % 10 * 1000))
    mkdir -p "$folder"
    head -c $((size * 100)) /dev/urandom | split -b $size -a 2 - "$folder/"
    number=$((number + 1))
done
