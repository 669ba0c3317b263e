#define _GNU_SOURCE
#include "clinux_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

// The numbers are the same on every architecture that Linux 5.2 and later knows.
#ifndef SYS_move_mount
#define SYS_move_mount 429
#endif
#ifndef SYS_fsopen
#define SYS_fsopen 430
#endif
#ifndef SYS_fsconfig
#define SYS_fsconfig 431
#endif
#ifndef SYS_fsmount
#define SYS_fsmount 432
#endif

enum { FS_CLOEXEC = 1, CONFIG_FLAG = 0, CONFIG_STRING = 1, CONFIG_CREATE = 6, FROM_EMPTY_PATH = 4, ATTR_READ_ONLY = 1 };

int clinux_enter_mount_namespace(void) {
  if (unshare(CLONE_NEWNS) != 0) return -errno;
  if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) != 0) return -errno;
  return 0;
}

static int set(int fd, const char *key, const char *value) {
  return syscall(SYS_fsconfig, fd, CONFIG_STRING, key, value, 0) == 0 ? 0 : -errno;
}

// The context's log: one message a read, the newest tells the cause.
static void last_message(int fd, char *message, size_t capacity) {
  char line[512];
  ssize_t count;
  while ((count = read(fd, line, sizeof line - 1)) > 0) {
    line[count] = 0;
    strncpy(message, line, capacity - 1);
    message[capacity - 1] = 0;
  }
}

int clinux_overlay_mount(const char *const *lower, size_t count, const char *upper, const char *work, int volatile_upper,
                         const char *target, char *message, size_t capacity) {
  if (capacity > 0) message[0] = 0;
  int fd = (int)syscall(SYS_fsopen, "overlay", FS_CLOEXEC);
  if (fd < 0) return -errno;
  int status = 0, tree = -1;
  for (size_t index = 0; index < count && status == 0; index++) {
    status = set(fd, "lowerdir+", lower[index]);
    // Before Linux 6.5 the key itself is unknown.
    if (index == 0 && status == -EINVAL && access(lower[0], F_OK) == 0) {
      close(fd);
      return -ENOSYS;
    }
  }
  if (status == 0 && upper != NULL) status = set(fd, "upperdir", upper);
  if (status == 0 && upper != NULL) status = set(fd, "workdir", work);
  if (status == 0) status = set(fd, "index", "off");
  if (status == 0) status = set(fd, "redirect_dir", "off");
  if (status == 0) status = set(fd, "metacopy", "off");
  if (status == 0) status = set(fd, "xino", "off");
  if (status == 0 && volatile_upper && upper != NULL)
    status = syscall(SYS_fsconfig, fd, CONFIG_FLAG, "volatile", NULL, 0) == 0 ? 0 : -errno;
  if (status == 0) status = syscall(SYS_fsconfig, fd, CONFIG_CREATE, NULL, NULL, 0) == 0 ? 0 : -errno;
  if (status == 0) {
    tree = (int)syscall(SYS_fsmount, fd, FS_CLOEXEC, upper == NULL ? ATTR_READ_ONLY : 0);
    if (tree < 0) status = -errno;
  }
  if (status == 0 && syscall(SYS_move_mount, tree, "", AT_FDCWD, target, FROM_EMPTY_PATH) != 0) status = -errno;
  if (status != 0 && capacity > 0) last_message(fd, message, capacity);
  if (tree >= 0) close(tree);
  close(fd);
  return status;
}

int clinux_overlay_mount_by_text(const char *options, int read_only, const char *target) {
  return mount("overlay", target, "overlay", read_only ? MS_RDONLY : 0, options) == 0 ? 0 : -errno;
}

int clinux_bind_mount(const char *source, const char *target, int read_only) {
  if (mount(source, target, NULL, MS_BIND, NULL) != 0) return -errno;
  if (read_only && mount(NULL, target, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) != 0) {
    int error = errno;
    umount2(target, MNT_DETACH);
    return -error;
  }
  return 0;
}

int clinux_tmpfs_mount(const char *target, const char *options) {
  return mount("tmpfs", target, "tmpfs", MS_NOSUID | MS_NODEV, options) == 0 ? 0 : -errno;
}

int clinux_detach(const char *target) { return umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW) == 0 ? 0 : -errno; }

// Directories rarely have any; what does not fit here is more than any file system gives a directory in practice.
enum { NAMES = 4096, VALUE = 65536 };

static int copy_attributes(const char *from, const char *to) {
  char names[NAMES];
  ssize_t length = llistxattr(from, names, sizeof names);
  if (length < 0) return errno == ENOTSUP ? 0 : -errno;
  if (length == 0) return 0;
  char *value = malloc(VALUE);
  if (value == NULL) return -ENOMEM;
  int status = 0;
  for (char *name = names; status == 0 && name < names + length; name += strlen(name) + 1) {
    if (strncmp(name, "trusted.overlay.", 16) == 0) continue;
    ssize_t count = lgetxattr(from, name, value, VALUE);
    if (count < 0 || lsetxattr(to, name, value, (size_t)count, 0) != 0) status = errno == ENOTSUP ? 0 : -errno;
  }
  free(value);
  return status;
}

int clinux_copy_directory_attributes(const char *from, const char *to) {
  struct stat found;
  if (lstat(from, &found) != 0) return -errno;
  if (lchown(to, found.st_uid, found.st_gid) != 0) return -errno;
  if (chmod(to, found.st_mode & 07777) != 0) return -errno;
  int status = copy_attributes(from, to);
  if (status != 0) return status;
  struct timespec times[2] = {found.st_atim, found.st_mtim};
  return utimensat(AT_FDCWD, to, times, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : -errno;
}

int clinux_is_whiteout(const char *path) {
  struct stat found;
  return lstat(path, &found) == 0 && S_ISCHR(found.st_mode) && found.st_rdev == makedev(0, 0);
}

int clinux_open_directory(const char *path) {
  int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  return fd >= 0 ? fd : -errno;
}

static int remove_entry(const char *path, const struct stat *found, int kind, struct FTW *place) {
  (void)found, (void)kind, (void)place;
  remove(path);
  return 0;
}

void clinux_remove_tree(const char *path) { nftw(path, remove_entry, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT); }

int clinux_is_memory(const char *path) {
  struct statfs found;
  return statfs(path, &found) == 0 && found.f_type == 0x01021994;
}
