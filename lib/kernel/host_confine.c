/* The host report: what confines a process. */
#include <linux/seccomp.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <libbox/landlock.h>
#include <libbox/lsm.h>

#include "kernel/host_report.h"
#include "kernel/smallfile.h"

static void probe_capabilities(box_host *h)
{
    uint64_t all = box_capability_all(), lacking = all & ~h->caps.bounding;
    _free_ char *list = lacking ? box_capability_format(lacking) : NULL;
    const char *last = box_capability_name(box_capability_last());

    if (h->uid == 0 && lacking)
        box_host_set(h, "capabilities", BOX_HOST_DEGRADED,
                     "a container cannot have these; give them to the program that starts it",
                     "this process lacks %s", list ? list : "some");
    else
        box_host_set(h, "capabilities", BOX_HOST_OK, NULL, "up to %s",
                     last ? last : "a newer one than libbox knows");
}

/* Whether the kernel has an action, asked as libseccomp does; seccomp(2). */
static bool has_action(uint32_t action)
{
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

static void probe_seccomp(box_host *h)
{
    struct seccomp_notif_sizes sizes;
    bool filter = has_action(SECCOMP_RET_ERRNO), kill = has_action(SECCOMP_RET_KILL_PROCESS);

    box_host_set_there(h, "seccomp", filter && kill,
                       "the kernel needs CONFIG_SECCOMP_FILTER (4.14 or newer)");
    bool notify =
        has_action(SECCOMP_RET_USER_NOTIF) && syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) == 0;
    box_host_set(h, "seccomp.notify", notify ? BOX_HOST_OK : BOX_HOST_MISSING,
                 notify ? NULL : "use Linux 5.0 or newer, and do not forbid seccomp(2) by a filter", "%s",
                 notify && box_host_kernel_at_least(h, 5, 19) ? "with waits that only fatal signals end"
                                                              : "");
}

static void probe_landlock(box_host *h)
{
    int abi = box_landlock_abi();

    if (abi >= BOX_LANDLOCK_ABI) {
        box_host_set(h, "landlock", BOX_HOST_OK, NULL, "ABI %d", abi);
        return;
    }
    if (abi > 0) {
        box_landlock *l = box_landlock_new(NULL);
        struct box_landlock_loss loss = {0};
        _free_ char *text = NULL;
        if (l) {
            box_landlock_handle_up_to(l, BOX_LANDLOCK_ABI);
            box_landlock_would_lose(l, &loss);
            text = box_landlock_loss_text(&loss);
        }
        box_landlock_free(l);
        if (text && *text)
            box_host_set(h, "landlock", BOX_HOST_DEGRADED, "a newer kernel governs more", "without %s", text);
        else
            box_host_set(h, "landlock", BOX_HOST_OK, NULL, "ABI %d", abi);
        return;
    }
    box_host_set(
        h, "landlock", BOX_HOST_MISSING,
        "a kernel with CONFIG_SECURITY_LANDLOCK (5.13 or newer), started with landlock in lsm=", "%s", "");
}

static void probe_lsm(box_host *h)
{
    static const struct {
        enum box_lsm lsm;
        const char *id, *remedy;
    } modules[] = {
        {BOX_LSM_APPARMOR, "apparmor", "install the package apparmor, and boot with apparmor in lsm="},
        {BOX_LSM_SELINUX, "selinux", "install a policy of SELinux, and boot with selinux in lsm="},
    };
    _free_ char *list = box_lsm_list();
    bool any = box_lsm_enabled(BOX_LSM_APPARMOR) || box_lsm_enabled(BOX_LSM_SELINUX);

    box_host_set(h, "lsm", any ? BOX_HOST_OK : BOX_HOST_MISSING,
                 any ? NULL : "boot with AppArmor or SELinux, as distributions do", "active: %s",
                 list ? list : "");
    for (size_t i = 0; i < BOX_ARRAY(modules); i++) {
        _free_ char *label = NULL;
        bool on = box_lsm_enabled(modules[i].lsm);
        if (on)
            label = box_lsm_label_read(modules[i].lsm, 0, NULL);
        box_host_set(h, modules[i].id, on ? BOX_HOST_OK : BOX_HOST_MISSING,
                     on || any ? NULL : modules[i].remedy, "%s%s", label ? "this process is " : "",
                     label ? label : "");
    }
}

static void probe_keyring(box_host *h)
{
    /* An operation that is none: asking for a keyring might make one. */
    bool there = syscall(SYS_keyctl, -1) < 0 && errno == EOPNOTSUPP;

    box_host_set_there(
        h, "keyring", there,
        "the kernel needs CONFIG_KEYS; inside of another container, let its filter allow keyctl");
}

void box_host_probe_confine(box_host *h)
{
    probe_capabilities(h);
    probe_seccomp(h);
    probe_landlock(h);
    probe_lsm(h);
    probe_keyring(h);
}
