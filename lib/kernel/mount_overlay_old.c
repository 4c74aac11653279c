/* Overlays whose layers come in one string, for kernels before 6.5 and for the old API. Interface:
 * kernel/mount.h.
 *
 * The string may not be longer than a page, and "/proc/self/fd/12:" for every layer would end at about 200.
 * So a child that shares the host's memory, descriptors and mount namespace, but has a working directory of
 * its own, goes to /proc/self/fd, where a layer is called "12", and makes the call from there. (A mount
 * namespace of its own, in which to make a detached overlay, would not do: the layers' mounts must be in the
 * one of the call.) */
#include <sched.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mount.h>

#include "base/fail.h"
#include "base/rawsys.h"
#include "kernel/mount.h"
#include "kernel/spawn.h"
#include "kernel/vclone.h"

struct box_overlay_fds {
    int *fds; /* copies: the caller may close its own */
    size_t n;
    char *data;
};

void box_overlay_fds_free(struct box_overlay_fds *overlay)
{
    if (!overlay)
        return;
    for (size_t i = 0; i < overlay->n; i++)
        close(overlay->fds[i]);
    free(overlay->fds);
    free(overlay->data);
    free(overlay);
}

/* ---- The string
 * ---------------------------------------------------------------------------------------------- */

struct text {
    char *at;
    size_t size, used;
};

static void BOX_PRINTF(2, 3) add(struct text *t, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    size_t room = t->used < t->size ? t->size - t->used : 0;
    t->used += (size_t)vsnprintf(room ? t->at + t->used : NULL, room, fmt, args);
    va_end(args);
}

static void write_data(struct text *t, const box_mount_overlay *o, const struct box_overlay_fds *f,
                       const struct box_mount_options *options)
{
    struct box_mount_param own[4];
    size_t n_own = box_overlay_params(o, own);

    add(t, "lowerdir=");
    for (size_t i = 0; i < o->n_lower; i++)
        add(t, "%s%d", i ? ":" : "", f->fds[i]);
    if (o->upper >= 0)
        add(t, ",upperdir=%d,workdir=%d", f->fds[o->n_lower], f->fds[o->n_lower + 1]);
    for (size_t i = 0; i < n_own; i++)
        add(t, own[i].value ? ",%s=%s" : ",%s", own[i].key, own[i].value);
    if (*options->data)
        add(t, ",%s", options->data);
}

static int copy_fd(struct box_overlay_fds *f, int fd, box_error **err)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

    if (copy < 0)
        return box_fail_sys(err, "fcntl", NULL, "make an overlay");
    f->fds[f->n++] = copy;
    return 0;
}

int box_overlay_old_prepare(const box_mount_overlay *o, const struct box_mount_options *options,
                            box_mount *mount, box_error **err)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct box_overlay_fds *f = mount->overlay = calloc(1, sizeof(*f));
    int r = 0;

    if (!f || !(f->fds = calloc(o->n_lower + 2, sizeof(int))) || !(f->data = malloc(page)))
        return box_fail_nomem(err);
    for (size_t i = 0; i < o->n_lower && r == 0; i++)
        r = copy_fd(f, o->lower[i], err);
    if (r == 0 && o->upper >= 0 && (r = copy_fd(f, o->upper, err)) == 0)
        r = copy_fd(f, o->work, err);
    if (r < 0)
        return r;
    struct text text = {.at = f->data, .size = page};
    write_data(&text, o, f, options);
    if (text.used >= page)
        return box_fail_with(err,
                             &(struct box_fail_info){.code = BOX_ELIMIT,
                                                     .subject = "lowerdir",
                                                     .remedy = "fewer layers, or Linux 6.5"},
                             "the layers of an overlay do not fit one page of options");
    return 0;
}

/* ---- The child
 * ----------------------------------------------------------------------------------------------- */

struct job {
    const char *data;
    unsigned long flags;
    const char *target; /* relative to /proc/self/fd */
    /* Out. */
    const char *step;
    long result;
};

BOX_VCHILD static int overlay_main(void *arg)
{
    struct job *j = arg;

    j->step = "chdir";
    j->result = box_sys(chdir, "/proc/self/fd");
    if (j->result >= 0) {
        j->step = "mount";
        j->result = box_sys(mount, "overlay", j->target, "overlay", j->flags, j->data);
    }
    return 0;
}

static int fail_overlay(const struct job *j, box_error **err)
{
    int errnum = (int)-j->result;

    return box_fail_with(err,
                         &(struct box_fail_info){.code = errnum == ENODEV   ? BOX_EUNSUPPORTED
                                                         : errnum == EINVAL ? BOX_ESPEC
                                                                            : 0,
                                                 .errnum = errnum,
                                                 .call = j->step,
                                                 .subject = "overlay",
                                                 .remedy = errnum == ENODEV ? "modprobe overlay"
                                                           : errnum == EINVAL
                                                               ? "the kernel's log (dmesg) tells which option"
                                                               : NULL},
                         "cannot make an overlay");
}

int box_overlay_old_mount(const struct box_overlay_fds *overlay, unsigned long ms_flags, int target_fd,
                          box_error **err)
{
    char target[16];
    struct job job = {.data = overlay->data,
                      .flags = ms_flags,
                      .target = target,
                      .step = "clone3",
                      .result = -ECANCELED}; /* unless the child gets to say otherwise */
    int pidfd = -1;
    box_pidfd_status status;

    snprintf(target, sizeof(target), "%d", target_fd);
    int r = box_vclone(CLONE_FILES, -1, overlay_main, &job, &pidfd);
    if (r < 0) {
        errno = -r;
        return box_fail_sys(err, "clone3", NULL, "make an overlay");
    }
    _close_ int child = pidfd;
    box_pidfd_reap(child, -1, &status, NULL);
    return job.result < 0 ? fail_overlay(&job, err) : 0;
}
