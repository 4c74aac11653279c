/* The host report: the kernel itself, how processes are started and held, and their limits. */
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libbox/rlimit.h>

#include "base/rawsys.h"
#include "kernel/host_report.h"
#include "kernel/smallfile.h"
#include "kernel/spawn.h"
#include "kernel/vclone.h"

#ifndef __NR_close_range
#define __NR_close_range 436
#endif
#ifndef __NR_openat2
#define __NR_openat2 437
#endif
#define INTO_CGROUP      0x200000000ULL /* CLONE_INTO_CGROUP */
#define RESOLVE_INSIDE   0x10           /* RESOLVE_IN_ROOT */
#define BY_PIDFD         3              /* P_PIDFD */
#define WAIT_ALL         0x40000000     /* __WALL */
#define MEMFD_EXECUTABLE 0x10           /* MFD_EXEC, 6.3 */
#define GET_INFO_IOCTL   _IOWR(0xff, 11, struct pidfd_info_request)
#define INFO_EXIT        (UINT64_C(1) << 3) /* PIDFD_INFO_EXIT, 6.15 */
#define FEWEST_FILES     4096

/* struct pidfd_info as it was first (6.13): 64 bytes. */
struct pidfd_info_request {
    uint64_t mask, cgroup_id;
    uint32_t rest[12];
};

static void probe_kernel(box_host *h)
{
    if (box_host_kernel_at_least(h, 6, 1))
        box_host_set(h, "kernel", BOX_HOST_OK, NULL, "%s", h->release);
    else if (box_host_kernel_at_least(h, 5, 7))
        box_host_set(h, "kernel", BOX_HOST_DEGRADED, "6.1 is the oldest kernel that libbox is tested on",
                     "%s", h->release);
    else
        box_host_set(h, "kernel", BOX_HOST_MISSING, "use Linux 6.1 or newer", "%s", h->release);
}

static void probe_calls(box_host *h)
{
    struct {
        uint64_t flags, mode, resolve;
    } how = {.flags = O_PATH | O_CLOEXEC | O_DIRECTORY, .resolve = RESOLVE_INSIDE};
    const char *slower = "use Linux 5.9 or newer, and do not forbid the call by a filter";
    long r = box_sys(openat2, AT_FDCWD, "/", &how, sizeof(how));

    if (r >= 0)
        close((int)r);
    box_host_set(h, "openat2", r >= 0 ? BOX_HOST_OK : BOX_HOST_DEGRADED, r >= 0 ? NULL : slower, "%s",
                 r >= 0 ? "" : "paths are walked one component at a time instead");
    r = box_sys(close_range, ~0U, ~0U, 0);
    box_host_set(h, "close_range", r >= 0 ? BOX_HOST_OK : BOX_HOST_DEGRADED, r >= 0 ? NULL : slower, "%s",
                 r >= 0 ? "" : "descriptors are closed one at a time instead");
}

static void probe_memfd(box_host *h)
{
    long long noexec = 0;
    int fd = (int)box_sys(memfd_create, "libbox", MFD_CLOEXEC | MFD_ALLOW_SEALING | MEMFD_EXECUTABLE);

    if (fd == -EINVAL) /* a kernel before MFD_EXEC: all are executable */
        fd = (int)box_sys(memfd_create, "libbox", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd >= 0)
        close(fd);
    if (box_smallfile_number("/proc/sys/vm/memfd_noexec", &noexec) < 0)
        noexec = 0;
    if (fd >= 0 && noexec < 2)
        box_host_set(h, "memfd", BOX_HOST_OK, NULL, "%s", "");
    else if (noexec >= 2)
        box_host_set(h, "memfd", BOX_HOST_DEGRADED, "sysctl -w vm.memfd_noexec=1",
                     "vm.memfd_noexec=%lld forbids it; an installed copy of the stage is used", noexec);
    else
        box_host_set(h, "memfd", BOX_HOST_DEGRADED, "the kernel needs CONFIG_MEMFD_CREATE",
                     "%s; an installed copy of the stage is used", box_host_errno(-fd));
}

static void probe_io_uring(box_host *h)
{
    long long disabled = 0;
    long r = box_sys(io_uring_setup, 0, NULL);

    if (box_smallfile_number("/proc/sys/kernel/io_uring_disabled", &disabled) < 0)
        disabled = 0;
    if (disabled == 2 || (disabled == 1 && !h->privileged))
        box_host_set(h, "io_uring", BOX_HOST_FORBIDDEN, NULL,
                     "kernel.io_uring_disabled=%lld; libbox does not need it", disabled);
    else if (r == -ENOSYS || r == -EPERM)
        box_host_set(h, "io_uring", r == -EPERM ? BOX_HOST_FORBIDDEN : BOX_HOST_MISSING, NULL,
                     "libbox does not need it");
    else
        box_host_set(h, "io_uring", BOX_HOST_OK, NULL, "libbox does not need it");
}

BOX_VCHILD static int do_nothing(void *unused)
{
    (void)unused;
    return 0;
}

/* A child that does nothing. A negative errno when it cannot be made. */
static int start_nothing(uint64_t flags, int cgroup)
{
    _close_ int pidfd = -1;
    siginfo_t info;
    int pid = box_vclone(flags, cgroup, do_nothing, NULL, &pidfd);

    if (pid < 0)
        return pid;
    while (box_sys(waitid, BY_PIDFD, pidfd, &info, WEXITED | WAIT_ALL, NULL) == -EINTR)
        ;
    return 0;
}

static void probe_clone3(box_host *h)
{
    const char *remedy = "use Linux 5.7 or newer; inside of another container, let its filter allow clone3";
    int r = start_nothing(0, -1);

    box_host_set(h, "clone3",
                 r == 0         ? BOX_HOST_OK
                 : r == -ENOSYS ? BOX_HOST_MISSING
                                : BOX_HOST_FORBIDDEN,
                 r == 0 ? NULL : remedy, "%s", r == 0 ? "" : box_host_errno(-r));
    /* A kernel that knows the flag looks at the descriptor, which is none. */
    r = start_nothing(INTO_CGROUP, INT32_MAX);
    box_host_set(h, "clone3.cgroup", r == -EBADF ? BOX_HOST_OK : BOX_HOST_DEGRADED,
                 r == -EBADF ? NULL : remedy, "%s",
                 r == -EBADF ? "" : "processes are moved into their cgroup after they are made");
}

static void probe_pidfd(box_host *h)
{
    struct pidfd_info_request info = {.mask = INFO_EXIT};
    _close_ int fd = (int)box_sys(pidfd_open, getpid(), 0);

    if (fd < 0) {
        box_host_set(h, "pidfd", BOX_HOST_MISSING, "use Linux 5.4 or newer", "%s", box_host_errno(-fd));
        box_host_set(h, "pidfd.info", BOX_HOST_MISSING, NULL, "%s", "");
        return;
    }
    box_host_set(h, "pidfd", BOX_HOST_OK, NULL, "%s", "");
    if (ioctl(fd, GET_INFO_IOCTL, &info) == 0)
        box_host_set(
            h, "pidfd.info", BOX_HOST_OK, NULL, "%s",
            box_host_kernel_at_least(h, 6, 15) ? "with the exit status of a process that others reaped" : "");
    else
        box_host_set(h, "pidfd.info", BOX_HOST_DEGRADED, "use Linux 6.15 or newer",
                     "how a process ended is lost when the host program reaps it");
}

static void probe_limits(box_host *h)
{
    struct box_rlimit l;
    bool raise = h->caps.effective & BOX_CAP_MASK(CAP_SYS_RESOURCE);

    box_host_set(h, "rlimit.raise", raise ? BOX_HOST_OK : BOX_HOST_FORBIDDEN,
                 raise ? NULL
                       : "run with CAP_SYS_RESOURCE, or raise the limits where this program is started",
                 "%s", raise ? "" : "a container cannot have higher hard limits than this process");
    if (box_rlimit_read(0, RLIMIT_NOFILE, &l, NULL) == 0) {
        _free_ char *text = box_rlimit_format(&l);
        bool enough = l.hard >= FEWEST_FILES;
        box_host_set(h, "rlimit.nofile", enough ? BOX_HOST_OK : BOX_HOST_DEGRADED,
                     enough ? NULL : "LimitNOFILE=524288 in the systemd unit, or ulimit -Hn in the shell",
                     "%s", text ? text : "");
    }
    if (box_rlimit_read(0, RLIMIT_NPROC, &l, NULL) == 0) {
        _free_ char *text = box_rlimit_format(&l);
        bool enough = l.soft >= 512;
        box_host_set(h, "rlimit.nproc", enough ? BOX_HOST_OK : BOX_HOST_DEGRADED,
                     enough ? NULL : "LimitNPROC= in the systemd unit, or ulimit -u in the shell", "%s",
                     text ? text : "");
    }
}

void box_host_probe_system(box_host *h)
{
    probe_kernel(h);
    probe_calls(h);
    probe_memfd(h);
    probe_io_uring(h);
    probe_clone3(h);
    probe_pidfd(h);
    probe_limits(h);
}
