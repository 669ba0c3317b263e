/// The system calls that a step may make: an allow-list, everything else fails with EPERM.
///
/// It is the table of Linux 6.1 without what reaches beyond a container: mounting, namespaces, modules, keys, tracing hardware, clocks,
/// swap, io_uring, files by handle. Names that a machine's libseccomp does not know are ignored by the runtimes.
enum SeccompProfile {
    /// Namespaces of one's own are what `clone` is refused for: CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
    private static let cloneNamespaces: UInt64 = 0x7E02_0000
    /// PER_LINUX, PER_LINUX32, UNAME26 with either, and the question for the present one.
    private static let personalities: [UInt64] = [0, 8, 0x20000, 0x20008, 0xFFFF_FFFF]
    private static let noSuchCall: UInt32 = 38
    private static let notPermitted: UInt32 = 1
    private static let vsock: UInt64 = 40

    /// The profile for an architecture by Go's name.
    static func profile(architecture: String) -> RuntimeSpec.Seccomp {
        typealias Rule = RuntimeSpec.Seccomp.Rule
        typealias Argument = RuntimeSpec.Seccomp.Argument
        var rules = [Rule(names: allowed, action: "SCMP_ACT_ALLOW")]
        rules += personalities.map {
            Rule(names: ["personality"], action: "SCMP_ACT_ALLOW", args: [Argument(index: 0, value: $0, op: "SCMP_CMP_EQ")])
        }
        rules.append(
            Rule(
                names: ["clone"], action: "SCMP_ACT_ALLOW",
                args: [Argument(index: 0, value: cloneNamespaces, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ")]))
        // Its flags are in memory, where a filter can't look: libc falls back to clone when the kernel seems to lack it.
        rules.append(Rule(names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: noSuchCall))
        rules.append(
            Rule(names: ["socket"], action: "SCMP_ACT_ALLOW", args: [Argument(index: 0, value: vsock, op: "SCMP_CMP_NE")]))
        return RuntimeSpec.Seccomp(
            defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: notPermitted, architectures: architectures[architecture] ?? [],
            syscalls: rules)
    }

    /// Each costs a runtime some 5 ms at every start. x32 is left out: Debian's kernels refuse it too.
    private static let architectures = [
        "amd64": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
        "arm64": ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
        "riscv64": ["SCMP_ARCH_RISCV64"],
    ]

    static let allowed: [String] =
        """
        _llseek _newselect accept accept4 access alarm arch_prctl bind brk cachestat capget capset chdir chmod chown chown32 chroot
        clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64 close close_range connect
        copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait
        epoll_wait_old eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate
        fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork
        fremovexattr fsetxattr fstat fstat64 fstatat fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue
        futex_time64 futex_wait futex_waitv futex_wake futimesat get_robust_list get_thread_area getcpu getcwd getdents getdents64 getegid
        getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer getpeername getpgid getpgrp getpid getppid getpriority
        getrandom getresgid getresgid32 getresuid getresuid32 getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday getuid
        getuid32 getxattr inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents
        io_pgetevents_time64 io_setup io_submit ioctl ioprio_get ioprio_set ipc kill landlock_add_rule landlock_create_ruleset
        landlock_restrict_self lchown lchown32 lgetxattr link linkat listen listxattr llistxattr llseek lremovexattr lseek lsetxattr lstat
        lstat64 madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall
        mmap mmap2 modify_ldt mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend
        mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall munmap nanosleep newfstatat nice
        oldfstat oldlstat oldolduname oldstat olduname open openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc
        pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 process_madvise process_mrelease
        process_vm_readv process_vm_writev pselect6 pselect6_time64 ptrace pwrite64 pwritev pwritev2 read readahead readdir readlink
        readlinkat readv recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr rename renameat renameat2 restart_syscall
        rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
        rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr
        sched_getparam sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr
        sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop semtimedop_time64 sendfile sendfile64
        sendmmsg sendmsg sendto set_robust_list set_thread_area set_tid_address setdomainname setfsgid setfsgid32 setfsuid setfsuid32
        setgid setgid32 setgroups setgroups32 sethostname setitimer setpgid setpriority setregid setregid32 setresgid setresgid32
        setresuid setresuid32 setreuid setreuid32 setrlimit setsid setsockopt setuid setuid32 setxattr sgetmask shmat shmctl shmdt shmget
        shutdown sigaction sigaltstack signal signalfd signalfd4 sigpending sigprocmask sigreturn sigsuspend socketcall socketpair splice
        ssetmask stat stat64 statfs statfs64 statx symlink symlinkat sync sync_file_range sync_file_range2 syncfs sysinfo tee tgkill time
        timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create
        timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate truncate64 ugetrlimit umask uname unlink
        unlinkat utime utimensat utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid write writev
        """.split(whereSeparator: \.isWhitespace).map(String.init)
}
