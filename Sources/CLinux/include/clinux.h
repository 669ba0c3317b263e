// System calls and constants of Linux that Swift's Glibc module does not have.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
