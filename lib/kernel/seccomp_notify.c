/* The supervisor's end: calls of a filtered child wait at the listener until they are answered.
 * seccomp_unotify(2).
 *
 * Whatever is looked up by the caller's pid may belong to another process by the time it is looked at: the
 * caller can be killed and its number given away. So every look ends with asking whether the request still
 * stands. */
#include <libbox/seccomp.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "base/fail.h"

/* Debian 12's headers have all but these. */
#ifndef SECCOMP_ADDFD_FLAG_SEND
#define SECCOMP_ADDFD_FLAG_SEND (1UL << 1)
#endif

struct box_seccomp_notify {
    int fd;
    size_t request_size; /* of what the kernel writes, which may be more than this build knows */
    struct seccomp_notif *request;
};

BOX_CLEANUP(box_seccomp_notify, box_seccomp_notify_free);

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

box_seccomp_notify *box_seccomp_notify_new(int listener, box_error **err)
{
    struct seccomp_notif_sizes sizes = {0};
    _cleanup_(box_seccomp_notify) box_seccomp_notify *notify = calloc(1, sizeof(*notify));

    if (!notify) {
        box_fail_nomem(err);
        return NULL;
    }
    notify->fd = fcntl(listener, F_DUPFD_CLOEXEC, 0);
    if (notify->fd < 0) {
        box_fail_sys(err, "fcntl", NULL, "seccomp: the listener");
        return NULL;
    }
    if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0) {
        box_fail_sys(err, "seccomp", NULL, "seccomp: the sizes of notifications");
        return NULL;
    }
    notify->request_size = larger(sizes.seccomp_notif, sizeof(*notify->request));
    notify->request = calloc(1, notify->request_size);
    if (!notify->request) {
        box_fail_nomem(err);
        return NULL;
    }
    return box_take(notify);
}

void box_seccomp_notify_free(box_seccomp_notify *notify)
{
    if (!notify)
        return;
    if (notify->fd >= 0)
        close(notify->fd);
    free(notify->request);
    free(notify);
}

int box_seccomp_notify_fd(const box_seccomp_notify *notify)
{
    return notify->fd;
}

int box_seccomp_notify_receive(box_seccomp_notify *notify, struct box_seccomp_request *request,
                               box_error **err)
{
    struct pollfd poll_fd = {.fd = notify->fd, .events = POLLIN};
    const struct seccomp_notif *got = notify->request;
    int r = poll(&poll_fd, 1, 0);

    if (r < 0 && errno != EINTR)
        return box_fail_sys(err, "poll", NULL, "seccomp: the listener");
    if (r <= 0 || !(poll_fd.revents & POLLIN))
        return 0;
    /* The kernel refuses a buffer that is not zero. */
    memset(notify->request, 0, notify->request_size);
    if (ioctl(notify->fd, SECCOMP_IOCTL_NOTIF_RECV, notify->request) < 0) {
        if (errno == ENOENT || errno == EINTR)
            return 0;
        return box_fail_sys(err, "ioctl(SECCOMP_IOCTL_NOTIF_RECV)", NULL, "seccomp: the next request");
    }
    *request = (struct box_seccomp_request){
        .id = got->id,
        .pid = (pid_t)got->pid,
        .call = {.arch = got->data.arch,
                 .number = got->data.nr,
                 .instruction_pointer = got->data.instruction_pointer},
    };
    memcpy(request->call.args, got->data.args, sizeof(request->call.args));
    return 1;
}

int box_seccomp_notify_id_valid(box_seccomp_notify *notify, uint64_t id, box_error **err)
{
    if (ioctl(notify->fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0)
        return 1;
    if (errno == ENOENT)
        return 0;
    return box_fail_sys(err, "ioctl(SECCOMP_IOCTL_NOTIF_ID_VALID)", NULL,
                        "seccomp: whether the caller waits");
}

static int caller_gone(box_error **err)
{
    return box_fail(err, BOX_ENOTFOUND, "seccomp: the caller does not wait any more");
}

ssize_t box_seccomp_notify_read(box_seccomp_notify *notify, const struct box_seccomp_request *request,
                                uint64_t address, void *buffer, size_t len, box_error **err)
{
    struct iovec here = {.iov_base = buffer, .iov_len = len};
    struct iovec there = {.iov_base = (void *)(uintptr_t)address, .iov_len = len};
    ssize_t n;
    int errnum, valid;

    if (request->pid <= 0)
        return box_fail(err, BOX_EUNSUPPORTED,
                        "seccomp: the caller's pid is not visible from this pid namespace");
    n = process_vm_readv(request->pid, &here, 1, &there, 1, 0);
    errnum = errno;
    valid = box_seccomp_notify_id_valid(notify, request->id, err);
    if (valid < 0)
        return valid;
    if (!valid)
        return caller_gone(err);
    if (n < 0)
        return box_fail_with(err, &(struct box_fail_info){.errnum = errnum, .call = "process_vm_readv"},
                             "seccomp: the caller's memory at %#llx", (unsigned long long)address);
    return n;
}

int box_seccomp_notify_read_string(box_seccomp_notify *notify, const struct box_seccomp_request *request,
                                   uint64_t address, char *buffer, size_t size, box_error **err)
{
    /* By pages: the string may end just before one that isn't there. */
    const size_t page = 4096;
    size_t have = 0;

    while (have < size) {
        size_t step = page - (size_t)((address + have) % page);
        if (step > size - have)
            step = size - have;
        ssize_t n = box_seccomp_notify_read(notify, request, address + have, buffer + have, step, err);
        if (n < 0)
            return (int)n;
        if (memchr(buffer + have, '\0', (size_t)n))
            return 0;
        have += (size_t)n;
        if (n == 0)
            break;
    }
    return box_fail(err, BOX_ELIMIT, "seccomp: the caller's string does not end within %zu bytes", size);
}

static int answer(box_seccomp_notify *notify, struct seccomp_notif_resp response, box_error **err)
{
    if (ioctl(notify->fd, SECCOMP_IOCTL_NOTIF_SEND, &response) == 0)
        return 0;
    if (errno == ENOENT)
        return caller_gone(err);
    if (errno == EINPROGRESS)
        return box_fail(err, BOX_ESTATE, "seccomp: the request is answered already");
    return box_fail_sys(err, "ioctl(SECCOMP_IOCTL_NOTIF_SEND)", NULL, "seccomp: the answer");
}

int box_seccomp_notify_value(box_seccomp_notify *notify, uint64_t id, int64_t value, box_error **err)
{
    return answer(notify, (struct seccomp_notif_resp){.id = id, .val = value}, err);
}

int box_seccomp_notify_error(box_seccomp_notify *notify, uint64_t id, int errnum, box_error **err)
{
    if (errnum <= 0 || errnum > 4095)
        return box_fail(err, BOX_EINVAL, "seccomp: %d is no errno", errnum);
    return answer(notify, (struct seccomp_notif_resp){.id = id, .error = -errnum}, err);
}

int box_seccomp_notify_continue(box_seccomp_notify *notify, uint64_t id, box_error **err)
{
    return answer(notify, (struct seccomp_notif_resp){.id = id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE},
                  err);
}

static int add_fd_failed(int errnum, box_error **err)
{
    if (errnum == ENOENT)
        return caller_gone(err);
    if (errnum == EINPROGRESS)
        return box_fail(err, BOX_ESTATE, "seccomp: the request is answered already");
    return box_fail_with(
        err, &(struct box_fail_info){.errnum = errnum, .call = "ioctl(SECCOMP_IOCTL_NOTIF_ADDFD)"},
        "seccomp: giving the caller an fd");
}

int box_seccomp_notify_add_fd(box_seccomp_notify *notify, uint64_t id, int fd, int at, bool cloexec,
                              box_error **err)
{
    struct seccomp_notif_addfd add = {
        .id = id, .srcfd = (uint32_t)fd, .newfd_flags = cloexec ? O_CLOEXEC : 0};

    if (at >= 0) {
        add.flags = SECCOMP_ADDFD_FLAG_SETFD;
        add.newfd = (uint32_t)at;
    }
    int there = ioctl(notify->fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
    return there >= 0 ? there : add_fd_failed(errno, err);
}

int box_seccomp_notify_send_fd(box_seccomp_notify *notify, uint64_t id, int fd, bool cloexec, box_error **err)
{
    struct seccomp_notif_addfd add = {.id = id,
                                      .flags = SECCOMP_ADDFD_FLAG_SEND,
                                      .srcfd = (uint32_t)fd,
                                      .newfd_flags = cloexec ? O_CLOEXEC : 0};
    int there = ioctl(notify->fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add);

    if (there >= 0)
        return there;
    if (errno != EINVAL)
        return add_fd_failed(errno, err);
    /* Before 5.14. */
    there = box_seccomp_notify_add_fd(notify, id, fd, -1, cloexec, err);
    if (there < 0)
        return there;
    int r = box_seccomp_notify_value(notify, id, there, err);
    return r < 0 ? r : there;
}
