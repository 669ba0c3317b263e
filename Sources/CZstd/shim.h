// libzstd of the system.
#pragma once
#include <zstd.h>
