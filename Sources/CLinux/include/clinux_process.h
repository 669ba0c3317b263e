// Starting and ending processes. Every function returns 0 or more, or a negative errno.
#pragma once
#include <sys/types.h>

// Both ends close on exec.
int clinux_pipe(int *read_end, int *write_end);

// Starts a program in a process group of its own, with default signals, `input`, `output` and `errors` as its first three descriptors
// and no others. Gives its process id.
int clinux_spawn(const char *path, char *const *arguments, char *const *environment, int input, int output, int errors);

// A descriptor that becomes readable when the process has ended.
int clinux_pidfd(pid_t process);

// An event descriptor that is not waited for: reading gives the sum of what was added, or fails with EAGAIN. Negative on error.
int clinux_event_counter(void);

// Waits for the end and reaps; the exit code, or 128 + the signal.
int clinux_wait(pid_t process);

int clinux_kill_group(pid_t process);

// Waits until one of two descriptors is readable (a negative one never is): 1 for the first, 2 for the second, 3 for both, 0 after the
// time; -1 milliseconds is for ever.
int clinux_wait_readable(int first, int second, int milliseconds);
