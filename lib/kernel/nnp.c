/* no_new_privs: the promise that makes set-user-ID programs harmless and unprivileged seccomp and Landlock
 * possible. */
#include <libbox/capability.h>

#include <sys/prctl.h>

#include "base/fail.h"
#include "kernel/smallfile.h"

int box_no_new_privs_set(box_error **err)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return box_fail_sys(err, "prctl(PR_SET_NO_NEW_PRIVS)", NULL, "set no_new_privs");
    return 0;
}

int box_no_new_privs_get(pid_t pid, box_error **err)
{
    char path[32], text[8192];

    if (pid < 0)
        return box_fail(err, BOX_EINVAL, "%d is no process id", (int)pid);
    if (pid == 0)
        return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    ssize_t n = box_smallfile_read(path, text, sizeof(text));
    if (n == -ENOENT || n == -ESRCH)
        return box_fail_with(err,
                             &(struct box_fail_info){.code = BOX_ENOTFOUND, .errnum = ESRCH, .subject = path},
                             "no process %d", (int)pid);
    if (n < 0)
        return box_fail_with(err, &(struct box_fail_info){.errnum = (int)-n, .call = "read", .subject = path},
                             "read the state of process %d", (int)pid);
    const char *value = box_smallfile_field(text, "NoNewPrivs");
    if (!value)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EUNSUPPORTED, .subject = path},
                             "there is no NoNewPrivs line");
    return *value == '1';
}
