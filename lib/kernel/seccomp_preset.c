/* The library's own policies, as lists by purpose. What is not here is refused. docs/seccomp.md gives the
 * reasons; when a list changes, that page changes with it.
 *
 * Built against: escapes by way of namespaces and mounts that a process makes for itself (CVE-2022-0185),
 * kernel interfaces with a long record of holes (bpf, io_uring, userfaultfd, keyrings, AF_ALG, odd socket
 * families), and input pushed into the terminal of whoever looks on (TIOCSTI, TIOCLINUX: CVE-2017-5226). */
#include "kernel/seccomp_compile.h"

#include <linux/capability.h>
#include <linux/sched.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fail.h"

#define CAP(n) (UINT64_C(1) << (n))
#define INT_IS(position, number)                                                                     \
    {                                                                                                \
        .index = (position), .op = BOX_SECCOMP_MASKED_EQ, .value = UINT32_MAX, .value_two = (number) \
    }
#define INT_BLOCK(position, first, size)                                                    \
    {                                                                                       \
        .index = (position), .op = BOX_SECCOMP_MASKED_EQ, .value = UINT32_MAX - ((size)-1), \
        .value_two = (first)                                                                \
    }
#define BITS_ARE(position, mask, bits)                                                         \
    {                                                                                          \
        .index = (position), .op = BOX_SECCOMP_MASKED_EQ, .value = (mask), .value_two = (bits) \
    }

/* A rule of a preset; it is in the policy when the child has one of the capabilities in `with`, or has none
 * of those in `without`, or neither is given. */
struct preset_rule {
    int action;
    unsigned errno_value;
    uint64_t with, without;
    const char *const *names;
    size_t n_args;
    struct box_seccomp_arg args[2];
};

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

/* ---- for containers ---- */

static const char *const files[] = {
    "access", "chdir", "chmod", "chown", "chown32", "close", "close_range", "copy_file_range", "creat", "dup",
    "dup2", "dup3", "faccessat", "faccessat2", "fadvise64", "fadvise64_64", "arm_fadvise64_64", "fallocate",
    "fchdir", "fchmod", "fchmodat", "fchmodat2", "fchown", "fchown32", "fchownat", "fcntl", "fcntl64",
    "fdatasync", "flock", "fstat", "fstat64", "fstatat64", "fstatfs", "fstatfs64", "fsync", "ftruncate",
    "ftruncate64", "futimesat", "getcwd", "getdents", "getdents64", "lchown", "lchown32", "link", "linkat",
    "_llseek", "lseek", "lstat", "lstat64", "mkdir", "mkdirat", "mknod", "mknodat", "name_to_handle_at",
    "newfstatat", "open", "openat", "openat2", "pread64", "preadv", "preadv2", "pwrite64", "pwritev",
    "pwritev2", "read", "readahead", "readlink", "readlinkat", "readv", "rename", "renameat", "renameat2",
    "rmdir", "sendfile", "sendfile64", "splice", "stat", "stat64", "statfs", "statfs64", "statx", "symlink",
    "symlinkat", "sync", "sync_file_range", "arm_sync_file_range", "syncfs", "tee", "truncate", "truncate64",
    "umask", "unlink", "unlinkat", "utime", "utimensat", "utimensat_time64", "utimes", "vmsplice", "write",
    "writev",
    /* extended attributes */
    "fgetxattr", "flistxattr", "fremovexattr", "fsetxattr", "getxattr", "getxattrat", "lgetxattr",
    "listxattr", "listxattrat", "llistxattr", "lremovexattr", "lsetxattr", "removexattr", "removexattrat",
    "setxattr", "setxattrat",
    /* what is mounted, of its own namespace */
    "listmount", "statmount",
    /* waiting for files */
    "epoll_create", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait", "eventfd",
    "eventfd2", "inotify_add_watch", "inotify_init", "inotify_init1", "inotify_rm_watch", "_newselect",
    "pipe", "pipe2", "poll", "ppoll", "ppoll_time64", "pselect6", "pselect6_time64", "select",
    /* the older asynchronous I/O */
    "io_cancel", "io_destroy", "io_getevents", "io_pgetevents", "io_pgetevents_time64", "io_setup",
    "io_submit", NULL};

static const char *const memory[] = {"brk",        "cachestat",    "madvise",       "map_shadow_stack",
                                     "membarrier", "memfd_create", "memfd_secret",  "mincore",
                                     "mlock",      "mlock2",       "mlockall",      "mmap",
                                     "mmap2",      "mprotect",     "mremap",        "mseal",
                                     "msync",      "munlock",      "munlockall",    "munmap",
                                     "pkey_alloc", "pkey_free",    "pkey_mprotect", "remap_file_pages",
                                     NULL};

static const char *const processes[] = {
    "execve", "execveat", "exit", "exit_group", "fork", "getpgid", "getpgrp", "getpid", "getppid", "getsid",
    "gettid", "kill", "pidfd_open", "pidfd_send_signal", "process_mrelease", "setpgid", "setsid", "tgkill",
    "tkill", "vfork", "wait4", "waitid", "waitpid",
    /* threads */
    "arch_prctl", "futex", "futex_requeue", "futex_time64", "futex_wait", "futex_waitv", "futex_wake",
    "get_robust_list", "get_thread_area", "modify_ldt", "rseq", "set_robust_list", "set_thread_area",
    "set_tid_address", "set_tls", "breakpoint", "cacheflush",
    /* signals */
    "alarm", "getitimer", "pause", "restart_syscall", "rt_sigaction", "rt_sigpending", "rt_sigprocmask",
    "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait", "rt_sigtimedwait_time64",
    "rt_tgsigqueueinfo", "setitimer", "sigaltstack", "signalfd", "signalfd4", "sigprocmask", "sigreturn",
    /* debugging within the container: safe since Linux 4.8, where a tracer can't get past the filter any more
     */
    "process_vm_readv", "process_vm_writev", "ptrace", "uprobe", "uretprobe",
    /* scheduling and limits */
    "getcpu", "getpriority", "getrlimit", "getrusage", "ioprio_get", "ioprio_set", "prlimit64",
    "sched_getaffinity", "sched_getattr", "sched_getparam", "sched_get_priority_max",
    "sched_get_priority_min", "sched_getscheduler", "sched_rr_get_interval", "sched_rr_get_interval_time64",
    "sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler", "sched_yield",
    "setpriority", "setrlimit", "times", "ugetrlimit",
    /* confining itself further, and what it is */
    "landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self", "prctl", "seccomp", "sysinfo",
    "uname", "getrandom", NULL};

static const char *const identity[] = {
    "capget",    "capset",      "getegid",     "getegid32",  "geteuid",     "geteuid32",  "getgid",
    "getgid32",  "getgroups",   "getgroups32", "getresgid",  "getresgid32", "getresuid",  "getresuid32",
    "getuid",    "getuid32",    "setfsgid",    "setfsgid32", "setfsuid",    "setfsuid32", "setgid",
    "setgid32",  "setgroups",   "setgroups32", "setregid",   "setregid32",  "setresgid",  "setresgid32",
    "setresuid", "setresuid32", "setreuid",    "setreuid32", "setuid",      "setuid32",   NULL};

static const char *const clocks[] = {
    /* adjtimex and clock_adjtime read; to set they ask for CAP_SYS_TIME themselves */
    "adjtimex",
    "clock_adjtime",
    "clock_adjtime64",
    "clock_getres",
    "clock_getres_time64",
    "clock_gettime",
    "clock_gettime64",
    "clock_nanosleep",
    "clock_nanosleep_time64",
    "gettimeofday",
    "nanosleep",
    "time",
    "timer_create",
    "timer_delete",
    "timer_getoverrun",
    "timer_gettime",
    "timer_gettime64",
    "timer_settime",
    "timer_settime64",
    "timerfd_create",
    "timerfd_gettime",
    "timerfd_gettime64",
    "timerfd_settime",
    "timerfd_settime64",
    NULL};

/* socketcall and ipc are how 32-bit x86 C libraries reach these: without them no i386 image has a network. */
static const char *const talking[] = {
    /* sockets */
    "accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen", "recv",
    "recvfrom", "recvmmsg", "recvmmsg_time64", "recvmsg", "send", "sendmmsg", "sendmsg", "sendto",
    "setsockopt", "shutdown", "socketcall",
    /* queues, semaphores, shared memory */
    "ipc", "mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive", "mq_timedreceive_time64",
    "mq_timedsend", "mq_timedsend_time64", "mq_unlink", "msgctl", "msgget", "msgrcv", "msgsnd", "semctl",
    "semget", "semop", "semtimedop", "semtimedop_time64", "shmat", "shmctl", "shmdt", "shmget", NULL};

static const char *const administration[] = {
    /* for CAP_SYS_ADMIN */
    "clone3",
    "fanotify_init",
    "fanotify_mark",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "listns",
    "lsm_get_self_attr",
    "lsm_list_modules",
    "lsm_set_self_attr",
    "mount",
    "mount_setattr",
    "move_mount",
    "open_tree",
    "open_tree_attr",
    "quotactl",
    "quotactl_fd",
    "setdomainname",
    "sethostname",
    "setns",
    "umount",
    "umount2",
    "unshare",
    NULL};

/* All that makes a namespace, as far as clone(2) can ask for it. */
#define CLONE_NAMESPACES                                                                         \
    (UINT64_C(0) | CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
     CLONE_NEWPID | CLONE_NEWNET)

enum {
    CMD_TIOCSTI = 0x5412,
    CMD_TIOCLINUX = 0x541c,
    PERSONA_LINUX32 = 0x0008,
    PERSONA_UNAME26 = 0x20000,
};

/* Families that anybody may open: local, IPv4, IPv6, netlink, packet (which asks for CAP_NET_RAW itself). All
 * others are refused, AF_ALG (CVE-2026-31431) and AF_VSOCK (the host's and the hypervisor's services) even to
 * who may set up networks. The upper half of the argument is not looked at, as in the kernel. */
static const struct preset_rule container[] = {
    {BOX_SECCOMP_ALLOW, .names = files},
    {BOX_SECCOMP_ALLOW, .names = memory},
    {BOX_SECCOMP_ALLOW, .names = processes},
    {BOX_SECCOMP_ALLOW, .names = identity},
    {BOX_SECCOMP_ALLOW, .names = clocks},
    {BOX_SECCOMP_ALLOW, .names = talking},

    {BOX_SECCOMP_ALLOW, .names = NAMES("ioctl")},
    {BOX_SECCOMP_ERRNO, EPERM, .names = NAMES("ioctl"), .n_args = 1, .args = {INT_IS(1, CMD_TIOCSTI)}},
    {BOX_SECCOMP_ERRNO, EPERM, .names = NAMES("ioctl"), .n_args = 1, .args = {INT_IS(1, CMD_TIOCLINUX)}},

    {BOX_SECCOMP_ALLOW, .names = NAMES("personality"), .n_args = 1, .args = {INT_IS(0, 0)}},
    {BOX_SECCOMP_ALLOW, .names = NAMES("personality"), .n_args = 1, .args = {INT_IS(0, PERSONA_LINUX32)}},
    {BOX_SECCOMP_ALLOW, .names = NAMES("personality"), .n_args = 1, .args = {INT_IS(0, PERSONA_UNAME26)}},
    {BOX_SECCOMP_ALLOW, .names = NAMES("personality"), .n_args = 1,
     .args = {INT_IS(0, PERSONA_UNAME26 | PERSONA_LINUX32)}},
    {BOX_SECCOMP_ALLOW, .names = NAMES("personality"), .n_args = 1, .args = {INT_IS(0, UINT32_MAX)}},

    {BOX_SECCOMP_ALLOW, .names = NAMES("socket"), .n_args = 1, .args = {INT_IS(0, AF_UNIX)}},
    {BOX_SECCOMP_ALLOW, .names = NAMES("socket"), .n_args = 1, .args = {INT_IS(0, AF_INET)}},
    {BOX_SECCOMP_ALLOW, .names = NAMES("socket"), .n_args = 1, .args = {INT_IS(0, AF_INET6)}},
    {BOX_SECCOMP_ALLOW, .names = NAMES("socket"), .n_args = 1, .args = {INT_BLOCK(0, AF_NETLINK, 2)}},
    {BOX_SECCOMP_ALLOW, .with = CAP(CAP_NET_ADMIN), .names = NAMES("socket"), .n_args = 1,
     .args = {INT_BLOCK(0, 0, 32)}},
    {BOX_SECCOMP_ALLOW, .with = CAP(CAP_NET_ADMIN), .names = NAMES("socket"), .n_args = 1,
     .args = {INT_BLOCK(0, 32, 4)}},
    {BOX_SECCOMP_ALLOW, .with = CAP(CAP_NET_ADMIN), .names = NAMES("socket"), .n_args = 1,
     .args = {INT_BLOCK(0, 36, 2)}},
    {BOX_SECCOMP_ALLOW, .with = CAP(CAP_NET_ADMIN), .names = NAMES("socket"), .n_args = 1,
     .args = {INT_IS(0, 39)}},
    {BOX_SECCOMP_ALLOW, .with = CAP(CAP_NET_ADMIN), .names = NAMES("socket"), .n_args = 1,
     .args = {INT_IS(0, 41)}},
    {BOX_SECCOMP_ALLOW, .with = CAP(CAP_NET_ADMIN), .names = NAMES("socket"), .n_args = 1,
     .args = {INT_BLOCK(0, 42, 2)}},
    {BOX_SECCOMP_ALLOW, .with = CAP(CAP_NET_ADMIN), .names = NAMES("socket"), .n_args = 1,
     .args = {INT_BLOCK(0, 44, 2)}},
    /* What else has pairs is refused by the kernel, but only after it has made two sockets. */
    {BOX_SECCOMP_ALLOW, .names = NAMES("socketpair"), .n_args = 1, .args = {INT_IS(0, AF_UNIX)}},

    /* clone3 keeps its flags in memory, where a filter can't see them; at ENOSYS C libraries go back to
       clone. */
    {BOX_SECCOMP_ALLOW, .without = CAP(CAP_SYS_ADMIN), .names = NAMES("clone"), .n_args = 1,
     .args = {BITS_ARE(0, CLONE_NAMESPACES, 0)}},
    {BOX_SECCOMP_ERRNO, ENOSYS, .without = CAP(CAP_SYS_ADMIN), .names = NAMES("clone3")},
    {BOX_SECCOMP_ALLOW, .with = CAP(CAP_SYS_ADMIN), .names = NAMES("clone")},
    {BOX_SECCOMP_ALLOW, .with = CAP(CAP_SYS_ADMIN), .names = administration},

    {BOX_SECCOMP_ALLOW, .with = CAP(CAP_SYS_ADMIN) | CAP(CAP_SYSLOG), .names = NAMES("syslog")},
    {BOX_SECCOMP_ALLOW, .with = CAP(CAP_SYS_ADMIN) | CAP(CAP_BPF), .names = NAMES("bpf")},
    {BOX_SECCOMP_ALLOW, .with = CAP(CAP_SYS_ADMIN) | CAP(CAP_PERFMON), .names = NAMES("perf_event_open")},
    {BOX_SECCOMP_ALLOW, .with = CAP(CAP_DAC_READ_SEARCH), .names = NAMES("open_by_handle_at")},
    {BOX_SECCOMP_ALLOW, .with = CAP(CAP_SYS_CHROOT), .names = NAMES("chroot")},
    {BOX_SECCOMP_ALLOW, .with = CAP(CAP_SYS_PTRACE),
     .names = NAMES("kcmp", "pidfd_getfd", "process_madvise")},
    {BOX_SECCOMP_ALLOW, .with = CAP(CAP_SYS_MODULE),
     .names = NAMES("delete_module", "finit_module", "init_module")},
    {BOX_SECCOMP_ALLOW, .with = CAP(CAP_SYS_TIME),
     .names = NAMES("clock_settime", "clock_settime64", "settimeofday", "stime")},
    {BOX_SECCOMP_ALLOW, .with = CAP(CAP_SYS_BOOT), .names = NAMES("reboot")},
    {BOX_SECCOMP_ALLOW, .with = CAP(CAP_SYS_NICE),
     .names = NAMES("get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node")},
    {BOX_SECCOMP_ALLOW, .with = CAP(CAP_SYS_RAWIO), .names = NAMES("ioperm", "iopl")},
    {BOX_SECCOMP_ALLOW, .with = CAP(CAP_SYS_PACCT), .names = NAMES("acct")},
    {BOX_SECCOMP_ALLOW, .with = CAP(CAP_SYS_TTY_CONFIG), .names = NAMES("vhangup")},
};

/* ---- for plugins that compute ---- */

static const char *const computing[] = {
    /* what is open already */
    "close", "close_range", "dup", "dup2", "dup3", "fadvise64", "fcntl", "fcntl64", "fdatasync", "fstat",
    "fstat64", "fsync", "ftruncate", "lseek", "_llseek", "pread64", "preadv", "preadv2", "pwrite64",
    "pwritev", "pwritev2", "read", "readv", "write", "writev", "sendfile", "splice", "tee", "copy_file_range",
    /* files by name: what there is, the mounts and Landlock decide */
    "access", "faccessat", "faccessat2", "fstatat64", "fstatfs", "getcwd", "getdents64", "lstat", "lstat64",
    "newfstatat", "open", "openat", "readlink", "readlinkat", "stat", "stat64", "statfs", "statx",
    /* waiting, pipes, sockets that were handed over */
    "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait", "eventfd2", "pipe", "pipe2",
    "poll", "ppoll", "ppoll_time64", "pselect6", "pselect6_time64", "select", "getsockopt", "recvfrom",
    "recvmsg", "recvmmsg", "sendmmsg", "sendmsg", "sendto", "shutdown",
    /* memory */
    "brk", "madvise", "map_shadow_stack", "membarrier", "memfd_create", "mincore", "mlock", "mlock2", "mmap",
    "mmap2", "mprotect", "mremap", "mseal", "msync", "munlock", "munmap", "pkey_alloc", "pkey_free",
    "pkey_mprotect",
    /* threads and signals of its own */
    "arch_prctl", "cacheflush", "exit", "exit_group", "futex", "futex_requeue", "futex_time64", "futex_wait",
    "futex_waitv", "futex_wake", "get_robust_list", "restart_syscall", "rseq", "rt_sigaction",
    "rt_sigpending", "rt_sigprocmask", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait",
    "sched_getaffinity", "sched_getparam", "sched_getscheduler", "sched_setaffinity", "sched_yield",
    "set_robust_list", "set_thread_area", "set_tid_address", "set_tls", "sigaltstack", "sigreturn", "tgkill",
    "execve", "execveat",
    /* time and facts */
    "capget", "clock_getres", "clock_gettime", "clock_gettime64", "clock_nanosleep", "clock_nanosleep_time64",
    "getcpu", "getegid", "geteuid", "getgid", "getgroups", "getpgrp", "getpid", "getppid", "getpriority",
    "getrandom", "getresgid", "getresuid", "getrlimit", "getrusage", "getsid", "gettid", "gettimeofday",
    "getuid", "nanosleep", "sysinfo", "time", "timer_create", "timer_delete", "timer_getoverrun",
    "timer_gettime", "timer_settime", "timerfd_create", "timerfd_gettime", "timerfd_settime", "times",
    "uname", NULL};

/* Only an attack makes these. */
static const char *const attacks[] = {
    /* mounts and namespaces */
    "chroot", "fanotify_init", "fsconfig", "fsmount", "fsopen", "fspick", "mount", "mount_setattr",
    "move_mount", "name_to_handle_at", "open_by_handle_at", "open_tree", "open_tree_attr", "pivot_root",
    "setns", "swapoff", "swapon", "umount", "umount2", "unshare",
    /* the kernel's insides */
    "add_key", "bpf", "delete_module", "finit_module", "init_module", "io_uring_enter", "io_uring_register",
    "io_uring_setup", "ioperm", "iopl", "kexec_file_load", "kexec_load", "keyctl", "perf_event_open",
    "reboot", "request_key", "userfaultfd",
    /* other processes */
    "kcmp", "pidfd_getfd", "process_madvise", "process_vm_readv", "process_vm_writev", "ptrace", NULL};

enum {
    CMD_TCGETS = 0x5401,
    CMD_TIOCGWINSZ = 0x5413,
    CMD_FIONREAD = 0x541b,
    CMD_FIONBIO = 0x5421,
    CMD_FIONCLEX = 0x5450, /* and FIOCLEX, one higher */
    PRCTL_SET_NAME = 15,
    PRCTL_GET_NAME = 16,
    PRCTL_SET_VMA = 0x53564d41, /* names for memory, which malloc gives */
};

static const struct preset_rule plugin[] = {
    {BOX_SECCOMP_ALLOW, .names = computing},
    {BOX_SECCOMP_KILL_PROCESS, .names = attacks},
    {BOX_SECCOMP_ALLOW, .names = NAMES("socketpair"), .n_args = 1, .args = {INT_IS(0, AF_UNIX)}},
    /* Threads, and no other kind of child; no namespaces. */
    {BOX_SECCOMP_ALLOW, .names = NAMES("clone"), .n_args = 1,
     .args = {BITS_ARE(0, CLONE_NAMESPACES | CLONE_THREAD, CLONE_THREAD)}},
    {BOX_SECCOMP_ERRNO, ENOSYS, .names = NAMES("clone3")},
    {BOX_SECCOMP_ALLOW, .names = NAMES("ioctl"), .n_args = 1, .args = {INT_IS(1, CMD_TCGETS)}},
    {BOX_SECCOMP_ALLOW, .names = NAMES("ioctl"), .n_args = 1, .args = {INT_IS(1, CMD_TIOCGWINSZ)}},
    {BOX_SECCOMP_ALLOW, .names = NAMES("ioctl"), .n_args = 1, .args = {INT_IS(1, CMD_FIONREAD)}},
    {BOX_SECCOMP_ALLOW, .names = NAMES("ioctl"), .n_args = 1, .args = {INT_IS(1, CMD_FIONBIO)}},
    {BOX_SECCOMP_ALLOW, .names = NAMES("ioctl"), .n_args = 1, .args = {INT_BLOCK(1, CMD_FIONCLEX, 2)}},
    {BOX_SECCOMP_ALLOW, .names = NAMES("prctl"), .n_args = 1, .args = {INT_IS(0, PRCTL_SET_NAME)}},
    {BOX_SECCOMP_ALLOW, .names = NAMES("prctl"), .n_args = 1, .args = {INT_IS(0, PRCTL_GET_NAME)}},
    {BOX_SECCOMP_ALLOW, .names = NAMES("prctl"), .n_args = 1, .args = {INT_IS(0, PRCTL_SET_VMA)}},
    /* Reading a limit: the caller's own (process 0), with no new one. */
    {BOX_SECCOMP_ALLOW, .names = NAMES("prlimit64"), .n_args = 2,
     .args = {INT_IS(0, 0), {.index = 2, .op = BOX_SECCOMP_EQ, .value = 0}}},
};

/* ---- from lists to policies ---- */

static int add_preset_rule(box_seccomp *policy, const struct preset_rule *rule, uint64_t caps,
                           box_error **err)
{
    if ((rule->with && !(rule->with & caps)) || (rule->without & caps))
        return 0;
    return box_seccomp_add_rules(policy, rule->action, rule->errno_value, rule->names, rule->args,
                                 rule->n_args, err);
}

static box_seccomp *from_list(enum box_seccomp_arch machine, bool compat, const struct preset_rule *rules,
                              size_t n, uint64_t caps, box_error **err)
{
    _cleanup_(box_seccomp) box_seccomp *policy = box_seccomp_new_empty(err);

    if (!policy || box_seccomp_set_default_action(policy, BOX_SECCOMP_ERRNO, EPERM, err) < 0 ||
        box_seccomp_add_arch(policy, box_seccomp_arches[machine].oci, err) < 0)
        return NULL;
    if (compat &&
        box_seccomp_add_arch(policy, box_seccomp_arches[box_seccomp_compat_arch(machine)].oci, err) < 0)
        return NULL;
    for (size_t i = 0; i < n; i++)
        if (add_preset_rule(policy, &rules[i], caps, err) < 0)
            return NULL;
    policy->preset_caps = caps & box_seccomp_preset_caps();
    return box_take(policy);
}

uint64_t box_seccomp_preset_caps(void)
{
    uint64_t caps = 0;

    for (size_t i = 0; i < BOX_ARRAY(container); i++)
        caps |= container[i].with | container[i].without;
    return caps;
}

box_seccomp *box_seccomp_default_for(enum box_seccomp_arch machine, uint64_t caps, bool compat,
                                     box_error **err)
{
    box_seccomp *policy = from_list(machine, compat, container, BOX_ARRAY(container), caps, err);

    if (policy)
        policy->preset = BOX_PRESET_DEFAULT;
    return policy;
}

box_seccomp *box_seccomp_strict_for(enum box_seccomp_arch machine, box_error **err)
{
    box_seccomp *policy = from_list(machine, false, plugin, BOX_ARRAY(plugin), 0, err);

    if (policy)
        policy->preset = BOX_PRESET_STRICT;
    return policy;
}

box_seccomp *box_seccomp_new_default(uint64_t caps, box_error **err)
{
    return box_seccomp_default_for(BOX_ARCH_NATIVE, caps, true, err);
}

box_seccomp *box_seccomp_new_strict(box_error **err)
{
    return box_seccomp_strict_for(BOX_ARCH_NATIVE, err);
}
