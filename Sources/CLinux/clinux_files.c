#define _GNU_SOURCE
#include "clinux_files.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

_Static_assert(CLINUX_O_PATH == O_PATH && CLINUX_O_NOATIME == O_NOATIME, "open flags");
_Static_assert(CLINUX_O_TMPFILE == O_TMPFILE, "open flags");
_Static_assert(CLINUX_SEEK_DATA == SEEK_DATA && CLINUX_SEEK_HOLE == SEEK_HOLE, "seek");
_Static_assert(CLINUX_RENAME_WHITEOUT == RENAME_WHITEOUT && CLINUX_RENAME_EXCHANGE == RENAME_EXCHANGE, "rename flags");
_Static_assert(CLINUX_RESOLVE_IN_ROOT == RESOLVE_IN_ROOT && CLINUX_RESOLVE_NO_MAGICLINKS == RESOLVE_NO_MAGICLINKS, "resolve flags");
_Static_assert(CLINUX_AT_EMPTY_PATH == AT_EMPTY_PATH && CLINUX_AT_SYMLINK_NOFOLLOW == AT_SYMLINK_NOFOLLOW, "at flags");

int clinux_openat2(int directory, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve) {
    struct open_how how = {.flags = flags, .mode = mode, .resolve = resolve};
    // EAGAIN: something was renamed or mounted meanwhile, so that the kernel could not be sure; it is to be tried again.
    for (int attempt = 0;; attempt++) {
        long result = syscall(SYS_openat2, directory, path, &how, sizeof how);
        if (result >= 0 || (errno != EAGAIN && errno != EINTR) || attempt == 100) return (int)result;
    }
}

int clinux_renameat2(int from_directory, const char *from, int to_directory, const char *to, unsigned flags) {
    return renameat2(from_directory, from, to_directory, to, flags);
}

ssize_t clinux_copy_file_range(int from, int to, size_t length) { return copy_file_range(from, NULL, to, NULL, length, 0); }
ssize_t clinux_read_cached(int descriptor, void *buffer, size_t length, int64_t offset) {
    struct iovec part = {.iov_base = buffer, .iov_len = length};
    return preadv2(descriptor, &part, 1, offset, RWF_NOWAIT);
}
int clinux_clone_file(int from, int to) { return ioctl(to, FICLONE, from); }
int clinux_fallocate(int descriptor, int mode, int64_t offset, int64_t length) { return fallocate(descriptor, mode, offset, length); }
int clinux_syncfs(int descriptor) { return syncfs(descriptor); }
ssize_t clinux_splice(int from, int to, size_t length, unsigned flags) { return splice(from, NULL, to, NULL, length, flags); }

int clinux_mknodat(int directory, const char *path, unsigned mode, uint64_t device) { return mknodat(directory, path, mode, device); }
uint64_t clinux_makedev(unsigned major, unsigned minor) { return makedev(major, minor); }
unsigned clinux_major(uint64_t device) { return major(device); }
unsigned clinux_minor(uint64_t device) { return minor(device); }

static struct timespec timespec_of(int64_t nanoseconds) {
    struct timespec time = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
    if (time.tv_nsec < 0) {
        time.tv_nsec += 1000000000;
        time.tv_sec -= 1;
    }
    return time;
}

int clinux_set_times(int directory, const char *path, int64_t accessed, int64_t modified) {
    struct timespec times[2] = {timespec_of(accessed), timespec_of(modified)};
    if (path[0] == 0) {
        if (futimens(directory, times) == 0) return 0;
        if (errno != EBADF) return -1;
        // A descriptor opened with O_PATH has its times set through its name in /proc.
        char name[40];
        snprintf(name, sizeof name, "/proc/self/fd/%d", directory);
        return utimensat(AT_FDCWD, name, times, 0);
    }
    return utimensat(directory, path, times, AT_SYMLINK_NOFOLLOW);
}

ssize_t clinux_fgetxattr(int descriptor, const char *name, void *value, size_t size) { return fgetxattr(descriptor, name, value, size); }
int clinux_fsetxattr(int descriptor, const char *name, const void *value, size_t size, int flags) {
    return fsetxattr(descriptor, name, value, size, flags);
}
ssize_t clinux_flistxattr(int descriptor, char *list, size_t size) { return flistxattr(descriptor, list, size); }
int clinux_fremovexattr(int descriptor, const char *name) { return fremovexattr(descriptor, name); }
ssize_t clinux_lgetxattr(const char *path, const char *name, void *value, size_t size) { return lgetxattr(path, name, value, size); }
int clinux_lsetxattr(const char *path, const char *name, const void *value, size_t size, int flags) {
    return lsetxattr(path, name, value, size, flags);
}
ssize_t clinux_llistxattr(const char *path, char *list, size_t size) { return llistxattr(path, list, size); }
int clinux_lremovexattr(const char *path, const char *name) { return lremovexattr(path, name); }

int clinux_statfs(const char *path, struct clinux_filesystem *result) {
    struct statfs values;
    if (statfs(path, &values) != 0) return -1;
    result->free_bytes = (uint64_t)values.f_bavail * (uint64_t)values.f_bsize;
    result->total_bytes = (uint64_t)values.f_blocks * (uint64_t)values.f_bsize;
    result->free_files = (uint64_t)values.f_ffree;
    result->total_files = (uint64_t)values.f_files;
    result->type = values.f_type;
    return 0;
}

ssize_t clinux_getdents(int descriptor, void *buffer, size_t size) { return syscall(SYS_getdents64, descriptor, buffer, size); }
