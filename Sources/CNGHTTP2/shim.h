// libnghttp2 of the system.
#pragma once
#include <nghttp2/nghttp2.h>
