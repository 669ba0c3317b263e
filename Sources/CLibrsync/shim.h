// librsync of the system.
#pragma once
#include <stdio.h>
#include <librsync.h>
