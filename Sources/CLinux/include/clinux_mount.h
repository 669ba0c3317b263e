// Mounting: namespaces, overlay mounts by the new mount API, binds.
// Every function returns 0, or a negative errno.
#pragma once
#include <stddef.h>
#include <sys/types.h>

// Gives the process a mount namespace of its own that still receives the outer one's mounts but sends none back.
int clinux_enter_mount_namespace(void);

// Overlay by fsopen/fsconfig. `lower` is topmost first. `upper` and `work` may be NULL: then it is read-only.
// The kernel's words about a failure are put into `message`. -ENOSYS: this kernel has no `lowerdir+`.
int clinux_overlay_mount(const char *const *lower, size_t count, const char *upper, const char *work, int volatile_upper,
                         const char *target, char *message, size_t capacity);
// The same by mount(2) with an option text that fits into a page.
int clinux_overlay_mount_by_text(const char *options, int read_only, const char *target);

int clinux_bind_mount(const char *source, const char *target, int read_only);
int clinux_tmpfs_mount(const char *target, const char *options);
// Detaches a mount and everything below it, even while it is in use.
int clinux_detach(const char *target);

// Copies mode, owner, extended attributes (not overlayfs's own) and times of a directory.
int clinux_copy_directory_attributes(const char *from, const char *to);
// 1 if the path is an overlayfs whiteout, else 0.
int clinux_is_whiteout(const char *path);
int clinux_open_directory(const char *path);
// Removes a tree on one file system without following symbolic links; what can't be removed stays.
void clinux_remove_tree(const char *path);
// 1 if the path is on a tmpfs, else 0.
int clinux_is_memory(const char *path);
