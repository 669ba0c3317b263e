// Files: what Linux has for trees of files and Swift's Glibc module has not.
// Every function returns as the system call does: -1 (or a negative size) with errno set for a failure.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// For openat2's `resolve`.
#define CLINUX_RESOLVE_NO_XDEV 0x01
#define CLINUX_RESOLVE_NO_MAGICLINKS 0x02
#define CLINUX_RESOLVE_NO_SYMLINKS 0x04
#define CLINUX_RESOLVE_BENEATH 0x08
#define CLINUX_RESOLVE_IN_ROOT 0x10

// Flags of open() that need _GNU_SOURCE.
#define CLINUX_O_PATH 010000000
#define CLINUX_O_TMPFILE 020200000
#define CLINUX_O_NOATIME 01000000

// For renameat2's `flags`.
#define CLINUX_RENAME_NOREPLACE 1
#define CLINUX_RENAME_EXCHANGE 2
#define CLINUX_RENAME_WHITEOUT 4

// For *at() calls upon the descriptor itself.
#define CLINUX_AT_EMPTY_PATH 0x1000
#define CLINUX_AT_SYMLINK_NOFOLLOW 0x100

// For lseek's `whence`.
#define CLINUX_SEEK_DATA 3
#define CLINUX_SEEK_HOLE 4

// For fallocate's `mode`.
#define CLINUX_FALLOC_KEEP_SIZE 0x01
#define CLINUX_FALLOC_PUNCH_HOLE 0x02

// For setxattr's `flags`.
#define CLINUX_XATTR_CREATE 1
#define CLINUX_XATTR_REPLACE 2

// Opens `path` relative to `directory` with openat2(2); `resolve` is a set of CLINUX_RESOLVE_*.
int clinux_openat2(int directory, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);

int clinux_renameat2(int from_directory, const char *from, int to_directory, const char *to, unsigned flags);

// Copies at both descriptors' positions.
ssize_t clinux_copy_file_range(int from, int to, size_t length);
// Reads what is in memory already, without waiting for a disk; -1 where the first byte is not, or the file system can't tell.
ssize_t clinux_read_cached(int descriptor, void *buffer, size_t length, int64_t offset);
// Makes `to` share `from`'s blocks where the file system can (FICLONE).
int clinux_clone_file(int from, int to);
int clinux_fallocate(int descriptor, int mode, int64_t offset, int64_t length);
int clinux_syncfs(int descriptor);
// Moves data between two descriptors, one of which is a pipe.
ssize_t clinux_splice(int from, int to, size_t length, unsigned flags);

int clinux_mknodat(int directory, const char *path, unsigned mode, uint64_t device);
uint64_t clinux_makedev(unsigned major, unsigned minor);
unsigned clinux_major(uint64_t device);
unsigned clinux_minor(uint64_t device);

// Sets both times of `path` relative to `directory` in nanoseconds since the epoch; a symlink's own times. An empty path means the
// descriptor itself.
int clinux_set_times(int directory, const char *path, int64_t accessed, int64_t modified);

// Extended attributes of an open file.
ssize_t clinux_fgetxattr(int descriptor, const char *name, void *value, size_t size);
int clinux_fsetxattr(int descriptor, const char *name, const void *value, size_t size, int flags);
ssize_t clinux_flistxattr(int descriptor, char *list, size_t size);
int clinux_fremovexattr(int descriptor, const char *name);
// Extended attributes of a path; of a symlink itself.
ssize_t clinux_lgetxattr(const char *path, const char *name, void *value, size_t size);
int clinux_lsetxattr(const char *path, const char *name, const void *value, size_t size, int flags);
ssize_t clinux_llistxattr(const char *path, char *list, size_t size);
int clinux_lremovexattr(const char *path, const char *name);

// Free and total bytes of the file system that holds `path`, as an unprivileged user may use them, and its magic number.
struct clinux_filesystem {
    uint64_t free_bytes;
    uint64_t total_bytes;
    uint64_t free_files;
    uint64_t total_files;
    int64_t type;
};
int clinux_statfs(const char *path, struct clinux_filesystem *result);

// Reads entries of an open directory into `buffer` (getdents64): the bytes filled, 0 at the end.
ssize_t clinux_getdents(int descriptor, void *buffer, size_t size);
