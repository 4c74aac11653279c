/* Session keyrings, by the system call itself: libkeyutils would be a library for one call. */
#include <libbox/keyring.h>

#include <linux/keyctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fail.h"

static int fail_keyctl(box_error **err, const char *name)
{
    struct box_fail_info info = {.errnum = errno, .call = "keyctl", .subject = name};

    if (errno == ENOSYS || errno == EPERM) {
        info.code = BOX_EUNSUPPORTED;
        info.remedy = "the kernel needs CONFIG_KEYS, and the host's own seccomp filter must allow keyctl";
    } else if (errno == EDQUOT) {
        info.code = BOX_ELIMIT;
        info.remedy = "raise the sysctls kernel.keys.maxkeys and kernel.keys.maxbytes, or for root "
                      "kernel.keys.root_maxkeys";
    }
    return box_fail_with(err, &info, "session keyring");
}

int box_keyring_join_session(const char *name, int32_t *serial, box_error **err)
{
    long r = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name);

    if (r < 0)
        return fail_keyctl(err, name);
    if (serial)
        *serial = (int32_t)r;
    return 0;
}

int box_keyring_session(int32_t *serial, box_error **err)
{
    long r = syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);

    if (r < 0)
        return fail_keyctl(err, NULL);
    *serial = (int32_t)r;
    return 0;
}
