/* What a failed start says. The stage reports the operation, the system call and errno; here they become a sentence,
 * a code that the caller can act on, and the remedy where the cause is known. */
#include "launch/launch.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

static const char *const step_text[OP_COUNT] = {
    [OP_NONE] = "start the stage",
#define X(name, text) [OP_##name] = text,
    PLAN_OPS(X)
#undef X
};

static uint16_t code_of(const box_plan *plan, uint32_t index)
{
    const struct plan_header *header = (const struct plan_header *)plan->bytes;
    const struct plan_op *ops = (const struct plan_op *)(plan->bytes + header->ops);

    return index < header->n_ops && ops[index].code < OP_COUNT ? ops[index].code : OP_NONE;
}

static const struct {
    uint16_t op;
    int errnum;
    int code;
    const char *remedy;
} known[] = {
    {OP_EXEC, ENOENT, BOX_ENOPROGRAM, NULL},
    {OP_EXEC, ENOTDIR, BOX_ENOPROGRAM, NULL},
    {OP_EXEC, EACCES, BOX_ENOEXEC, "is it executable, and does the user of the process have the right?"},
    {OP_EXEC, ENOEXEC, BOX_ENOEXEC, "is it a program for this kind of machine, or a script without a #! line?"},
    {OP_EXEC, EISDIR, BOX_ENOEXEC, NULL},
    {OP_EXEC, 0, BOX_ENOEXEC, NULL},
    {OP_FIND_PROGRAM, ENOENT, BOX_ENOPROGRAM, NULL},
    {OP_FIND_PROGRAM, ENOTDIR, BOX_ENOPROGRAM, NULL},
    {OP_FIND_PROGRAM, EACCES, BOX_ENOEXEC, "is it executable, and does the user of the process have the right?"},
    {OP_CHDIR, 0, BOX_ESTART, "the working directory must exist in the root"},
    {OP_OPEN_SOURCE, ENOENT, BOX_ENOTFOUND, "it must be there on the host before the start"},
    {OP_TARGET, ELOOP, BOX_EESCAPE, "the root has a link where the mount needs a directory"},
    {OP_TARGET, EXDEV, BOX_EESCAPE, NULL},
    {OP_TARGET, EPERM, BOX_EESCAPE, "mount it elsewhere; the root may have a link there"},
    {OP_TARGET, EACCES, BOX_EPERMISSION,
     "the root directory must belong to the user namespace's root; the layers of an image are mapped by themselves"},
    {OP_MKNOD, EPERM, BOX_EPERMISSION, "the rules of linux.resources.devices must allow to make it (\"m\")"},
    {OP_RLIMIT, EPERM, BOX_EPERMISSION, "a hard limit can only be raised with CAP_SYS_RESOURCE"},
    {OP_IDS, EINVAL, BOX_ESPEC, "the user or group id is not in the map of the user namespace"},
    {OP_OVERLAY, EINVAL, BOX_ESTART, "layers with mapped ids need Linux 6.15; the kernel's log may say more"},
    {OP_OVERLAY, ENODEV, BOX_EUNSUPPORTED, "modprobe overlay"},
    {OP_NEW_FS, ENODEV, BOX_EUNSUPPORTED, "the kernel lacks this file system"},
    {OP_LANDLOCK, ENOSYS, BOX_EUNSUPPORTED, "boot with lsm=landlock,..., on Linux 5.13 or later"},
    {OP_LANDLOCK, EOPNOTSUPP, BOX_EUNSUPPORTED, "boot with lsm=landlock,..."},
    {OP_SETNS, ESRCH, BOX_ESTATE, NULL},
    {OP_VERIFY_USER, EPERM, BOX_EESCAPE, "its first process has left the container's user namespace"},
    {OP_VERIFY_USER, 0, BOX_ESTATE, NULL},
    {OP_HOLD, ECANCELED, BOX_ECANCELLED, NULL},
    {OP_HOOK, ECANCELED, BOX_ESTART, NULL},
    {OP_RECONFIGURE, EPERM, BOX_EPERMISSION, "only the file systems that the user namespace itself mounted can be changed"},
};

int start_fail(const box_plan *plan, const struct stage_message *m, box_error **err)
{
    uint16_t op = code_of(plan, m->op);
    struct box_fail_info info = {.code = BOX_ESTART, .errnum = m->errnum, .stage = "start", .call = m->call, .subject = m->subject};

    for (size_t i = 0; i < BOX_ARRAY(known); i++) {
        if (known[i].op == op && (known[i].errnum == m->errnum || known[i].errnum == 0)) {
            info.code = known[i].code;
            info.remedy = known[i].remedy;
            break;
        }
    }
    if (m->errnum == ENOSYS && !info.remedy) {
        info.code = BOX_EUNSUPPORTED;
        info.remedy = "libbox starts processes on Linux 5.12 and later, and under no seccomp filter that takes this call away";
    }
    if (op == OP_HOOK && m->errnum == ECANCELED) /* the subject tells what the hook did; there is no errno in that */
        info.errnum = 0, info.call = NULL;
    return box_fail_with(err, &info, "%s", step_text[op]);
}

int start_fail_clone(const box_plan *plan, int errnum, box_error **err)
{
    struct box_fail_info info = {.errnum = errnum, .stage = "start", .call = "clone3"};
    bool user = plan->clone_flags & CLONE_NEWUSER;

    info.code = errnum == EPERM || errnum == ENOMEM || errnum == ENOSYS ? 0 : BOX_ESTART;
    if (errnum == EPERM && user)
        info.remedy = "the host forbids user namespaces: see kernel.unprivileged_userns_clone and "
                      "kernel.apparmor_restrict_unprivileged_userns in sysctl(8)";
    else if (errnum == EPERM)
        info.remedy = "only root may make these namespaces; add a user namespace to the spec";
    else if (errnum == ENOSPC)
        info.remedy = "the limits of user.max_*_namespaces in sysctl(8), or of nested namespaces, are reached";
    else if (errnum == EAGAIN)
        info.remedy = "the user's limit on processes, or that of the cgroup, is reached";
    else if (errnum == ENOSYS)
        info.remedy = "clone3 needs Linux 5.3, and a seccomp filter around this program that allows it";
    return box_fail_with(err, &info, "make a process in %s", plan->clone_flags ? "new namespaces" : "the host's namespaces");
}
