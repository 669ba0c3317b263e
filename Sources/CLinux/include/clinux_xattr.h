// Extended attributes, which Swift's Glibc module does not have.
#pragma once
#include <stddef.h>
#include <sys/types.h>

// Each is the system call of its name: -1 and errno on failure.
ssize_t clinux_flistxattr(int fd, char *list, size_t size);
ssize_t clinux_fgetxattr(int fd, const char *name, void *value, size_t size);
int clinux_fsetxattr(int fd, const char *name, const void *value, size_t size);
