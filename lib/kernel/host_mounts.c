/* The host report: mounts and file systems. What has been tried is in h->direct and h->nested. */
#include <fcntl.h>
#include <linux/mount.h>
#include <string.h>
#include <unistd.h>

#include "base/rawsys.h"
#include "kernel/host_report.h"
#include "kernel/idmap.h"
#include "kernel/smallfile.h"

bool box_host_filesystem_known(const char *type)
{
    _free_ char *text = NULL;
    size_t n = strlen(type);

    if (box_smallfile_load("/proc/filesystems", &text) < 0)
        return false;
    for (const char *at = text; (at = strstr(at, type)); at += n)
        if (at > text && at[-1] == '\t' && (at[n] == '\n' || at[n] == '\0'))
            return true;
    return false;
}

bool box_host_module_exists(const box_host *h, const char *file)
{
    static const char *const places[] = {"/lib/modules", "/usr/lib/modules"};
    static const char *const lists[] = {"modules.dep", "modules.builtin"};
    char path[160];

    for (size_t i = 0; i < BOX_ARRAY(places) * BOX_ARRAY(lists); i++) {
        _free_ char *text = NULL;
        snprintf(path, sizeof(path), "%s/%s/%s", places[i / 2], h->release, lists[i % 2]);
        if (box_smallfile_load(path, &text) == 0 && strstr(text, file))
            return true;
    }
    return false;
}

static void probe_mounting(box_host *h)
{
    int failure = box_try_failure(&h->direct, BOX_TRY_TMPFS);

    if (failure == 0)
        box_host_set(h, "mount", BOX_HOST_OK, NULL, "%s", h->privileged ? "" : "in a user namespace");
    else
        box_host_set(h, "mount", BOX_HOST_FORBIDDEN,
                     h->privileged
                         ? "a filter or security module forbids it: inside of another container, let its "
                           "seccomp and AppArmor profiles allow mounts"
                         : box_userns_remedy(-failure),
                     "%s", box_host_errno(-failure));

    int proc = h->direct.result[BOX_TRY_PROC];
    if (proc == 0)
        box_host_set(h, "mount.proc", BOX_HOST_OK, NULL, "%s", "");
    else if (proc == BOX_TRY_NOT_TRIED)
        box_host_set(h, "mount.proc", BOX_HOST_FORBIDDEN, NULL, "no mount can be made");
    else
        box_host_set(h, "mount.proc", BOX_HOST_FORBIDDEN,
                     "parts of this host's /proc are covered, so that the kernel grants no new one in a user "
                     "namespace: "
                     "inside of Docker, start it with --security-opt systempaths=unconfined",
                     "%s", box_host_errno(-proc));
}

static void probe_api(box_host *h)
{
    /* Wrong on purpose: all that is asked is whether the kernel knows the calls. */
    long open_tree = box_sys(open_tree, -1, NULL, 0), fsopen = box_sys(fsopen, NULL, 0);
    long move = box_sys(move_mount, -1, NULL, -1, NULL, ~0U),
         setattr = box_sys(mount_setattr, -1, NULL, 0, NULL, 0);
    bool all = open_tree != -ENOSYS && fsopen != -ENOSYS && move != -ENOSYS;

    box_host_set(h, "mount.api", all ? BOX_HOST_OK : BOX_HOST_DEGRADED, all ? NULL : "use Linux 5.2 or newer",
                 "%s", all ? "" : "mount(2) is used instead");
    bool attributes = setattr != -ENOSYS && h->direct.result[BOX_TRY_ATTRIBUTES] >= 0;
    box_host_set(h, "mount.attributes", attributes ? BOX_HOST_OK : BOX_HOST_DEGRADED,
                 attributes ? NULL : "use Linux 5.12 or newer, and do not forbid the call by a filter", "%s",
                 attributes ? "" : "mounts are made read-only one by one instead");
}

/* Tried on a copy of the root's mount that is attached nowhere and gone with its descriptor. */
static void probe_idmap(box_host *h)
{
    _cleanup_(box_idmap) box_idmap *map = NULL;

    if (!h->privileged) {
        box_host_set(h, "mount.idmap", BOX_HOST_FORBIDDEN, NULL, "for root only");
        return;
    }
    if (box_idmap_new_identity(&map, NULL) < 0) {
        h->failed = true;
        return;
    }
    _close_ int userns = box_idmap_userns(map, NULL);
    _close_ int tree = (int)box_sys(open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (userns < 0 || tree < 0) {
        box_host_set(h, "mount.idmap", BOX_HOST_FORBIDDEN, NULL, "%s",
                     userns < 0 ? "no user namespace" : "no mount can be made");
        return;
    }
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)userns};
    long r = box_sys(mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof(attr));
    if (r == 0)
        box_host_set(h, "mount.idmap", BOX_HOST_OK, NULL, "tried on the file system of /");
    else
        box_host_set(
            h, "mount.idmap", BOX_HOST_DEGRADED,
            "use Linux 5.12 or newer (5.19 for overlay), and a file system that can: ext4, xfs, btrfs",
            "%s; "
            "owners are changed by copying instead",
            box_host_errno((int)-r));
}

static void probe_overlay(box_host *h)
{
    const int *direct = h->direct.result, *nested = h->nested.result;
    bool known = box_host_filesystem_known("overlay"),
         module = !known && box_host_module_exists(h, "/overlay.ko");

    if (!known) {
        enum box_host_state state = module ? BOX_HOST_OK : BOX_HOST_MISSING;
        const char *remedy =
            module ? NULL : "the kernel needs CONFIG_OVERLAY_FS, or its module: modprobe overlay";
        const char *detail = module ? "a module that the kernel loads when it is first used" : "";
        box_host_set(h, "overlay", state, remedy, "%s", detail);
        box_host_set(h, "overlay.userns", state, remedy, "%s", detail);
        box_host_set(h, "overlay.layers", box_host_kernel_at_least(h, 6, 8) ? state : BOX_HOST_DEGRADED, NULL,
                     "%s", detail);
        return;
    }
    if (direct[BOX_TRY_OVERLAY] == 0)
        box_host_set(h, "overlay", BOX_HOST_OK, NULL, "%s", h->privileged ? "" : "in a user namespace");
    else
        box_host_set(h, "overlay", BOX_HOST_FORBIDDEN, h->privileged ? NULL : "use Linux 5.11 or newer", "%s",
                     direct[BOX_TRY_OVERLAY] < 0 ? box_host_errno(-direct[BOX_TRY_OVERLAY])
                                                 : "no mount can be made");
    if (nested[BOX_TRY_OVERLAY] == 0)
        box_host_set(h, "overlay.userns", BOX_HOST_OK, NULL, "%s", "");
    else
        box_host_set(h, "overlay.userns", nested[BOX_TRY_OVERLAY] < 0 ? BOX_HOST_MISSING : BOX_HOST_FORBIDDEN,
                     nested[BOX_TRY_OVERLAY] < 0 ? "use Linux 5.11 or newer" : NULL, "%s",
                     nested[BOX_TRY_OVERLAY] < 0 ? box_host_errno(-nested[BOX_TRY_OVERLAY])
                                                 : "no user namespace");
    bool layers = direct[BOX_TRY_LAYERS] == 0;
    box_host_set(h, "overlay.layers", layers ? BOX_HOST_OK : BOX_HOST_DEGRADED,
                 layers ? NULL : "use Linux 6.8 or newer", "%s",
                 layers ? "" : "layers are named by short links, which limits their number");
}

static void probe_erofs(box_host *h)
{
    if (!box_host_filesystem_known("erofs")) {
        bool module = box_host_module_exists(h, "/erofs.ko");
        box_host_set(h, "erofs.file", BOX_HOST_MISSING,
                     module ? "modprobe erofs" : "the kernel needs CONFIG_EROFS_FS",
                     "libbox does not need it");
        return;
    }
    bool file = box_host_kernel_at_least(h, 6, 12);
    box_host_set(h, "erofs.file", file ? BOX_HOST_OK : BOX_HOST_DEGRADED,
                 file ? NULL : "use Linux 6.12 or newer", "%s; libbox does not need it",
                 file ? "by the kernel's version" : "through a loop device only");
}

static void probe_fuse(box_host *h)
{
    if (access("/dev/fuse", F_OK) < 0)
        box_host_set(h, "fuse", BOX_HOST_MISSING, "modprobe fuse", "no /dev/fuse; libbox does not need it");
    else if (access("/dev/fuse", R_OK | W_OK) < 0)
        box_host_set(h, "fuse", BOX_HOST_FORBIDDEN, NULL, "libbox does not need it");
    else
        box_host_set(h, "fuse", BOX_HOST_OK, NULL, "libbox does not need it");
}

void box_host_probe_mounts(box_host *h)
{
    probe_mounting(h);
    probe_api(h);
    probe_idmap(h);
    probe_overlay(h);
    probe_erofs(h);
    probe_fuse(h);
}
