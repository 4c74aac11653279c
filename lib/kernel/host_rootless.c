/* The host report: what an ordinary user needs to have more than one id in a container. */
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "kernel/host_report.h"
#include "kernel/idmap_subid.h"
#include "kernel/smallfile.h"

#define ENOUGH_IDS 65536

static void probe_range(box_host *h, const char *id, const char *file, const struct box_subid_user *user)
{
    _free_ char *text = NULL;
    _free_ struct box_subid_range *ranges = NULL;
    _cleanup_(box_error) box_error *err = NULL;
    const char *option = strcmp(id, "subuid") == 0 ? "uids" : "gids";
    size_t n = 0;
    uint64_t total = 0;
    int r = box_smallfile_load(file, &text);

    if (r == 0)
        r = box_subid_parse(file, text, strlen(text), user->name, user->uid, &ranges, &n, &err);
    for (size_t i = 0; i < n; i++)
        total += ranges[i].count;
    if (total >= ENOUGH_IDS)
        box_host_set(h, id, BOX_HOST_OK, NULL, "%llu from %u on", (unsigned long long)total, ranges[0].start);
    else if (h->uid == 0)
        box_host_set(h, id, BOX_HOST_OK, NULL, "root needs none");
    else {
        if (err)
            box_host_set(h, id, BOX_HOST_MISSING, NULL, "%s", box_error_message(err));
        else
            box_host_set(h, id, total ? BOX_HOST_DEGRADED : BOX_HOST_MISSING, NULL,
                         "%llu; images use up to 65536 ids", (unsigned long long)total);
        box_host_set_remedy(h, id, "usermod --add-sub%s 100000-165535 %s (a range that nobody else has)",
                            option, user->name ? user->name : "USER");
    }
}

/* Whether the file's own capabilities have this one; xattr(7), struct vfs_cap_data. */
static bool has_file_capability(const char *path, unsigned capability)
{
    uint32_t data[6];
    ssize_t n = getxattr(path, "security.capability", data, sizeof(data));

    return n >= 8 && capability < 32 && data[1] >> capability & 1;
}

static void probe_program(box_host *h, const char *name, unsigned capability)
{
    static const char *const places[] = {"/usr/bin", "/usr/sbin",      "/bin",
                                         "/sbin",    "/usr/local/bin", "/run/wrappers/bin"};
    const char *package =
        "install it: apt-get install uidmap, dnf install shadow-utils, or apk add shadow-subids";
    char path[64];
    struct stat st;
    struct statvfs fs;

    for (size_t i = 0; i < BOX_ARRAY(places); i++) {
        snprintf(path, sizeof(path), "%s/%s", places[i], name);
        if (stat(path, &st) < 0)
            continue;
        bool powerful = (st.st_mode & S_ISUID && st.st_uid == 0) || has_file_capability(path, capability);
        if (!powerful)
            box_host_set(h, name, BOX_HOST_FORBIDDEN, "reinstall its package: it lost its set-user-ID bit",
                         "%s", path);
        else if (statvfs(path, &fs) == 0 && fs.f_flag & ST_NOSUID)
            box_host_set(h, name, BOX_HOST_FORBIDDEN, "mount its file system without nosuid",
                         "%s is on a nosuid mount", path);
        else if (h->uid != 0 && box_no_new_privs_get(0, NULL) == 1)
            box_host_set(h, name, BOX_HOST_FORBIDDEN, "start this program without no_new_privs",
                         "%s has no power, as this process has no_new_privs", path);
        else
            box_host_set(h, name, BOX_HOST_OK, NULL, "%s", path);
        return;
    }
    if (h->uid == 0)
        box_host_set(h, name, BOX_HOST_OK, NULL, "not installed; root needs none");
    else
        box_host_set(h, name, BOX_HOST_MISSING, package, "%s", "");
}

void box_host_probe_rootless(box_host *h)
{
    struct box_subid_user user = {.uid = h->uid};
    _free_ char *passwd = NULL;

    if (box_smallfile_load("/etc/passwd", &passwd) == 0)
        box_subid_user("/etc/passwd", passwd, strlen(passwd), NULL, h->uid, &user, NULL);
    probe_range(h, "subuid", "/etc/subuid", &user);
    probe_range(h, "subgid", "/etc/subgid", &user);
    probe_program(h, "newuidmap", CAP_SETUID);
    probe_program(h, "newgidmap", CAP_SETGID);
    free(user.name);
}
