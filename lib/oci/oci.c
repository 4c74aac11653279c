/* The directory of containers, their ids, and the list of them. */
#include "oci/oci.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libbox/image.h>
#include "base/strings.h"
#include "kernel/cgroup.h"

#define ID_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-."

int oci_check_id(const char *id, box_error **err)
{
    if (!id || !*id || strlen(id) > OCI_ID_MAX || strspn(id, ID_CHARACTERS) != strlen(id) || strcmp(id, ".") == 0 || strcmp(id, "..") == 0)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = id ? id : ""},
                             "invalid container ID format: %.300s", id ? id : "");
    return 0;
}

bool oci_privileged(void)
{
    return geteuid() == 0 && !cgroup_in_user_namespace();
}

/* An ordinary user's engine is root of a user namespace of its own, where /run is the machine's still. */
static char *default_root(void)
{
    const char *run = getenv("XDG_RUNTIME_DIR");
    bool named = run && *run == '/';

    if (geteuid() == 0 && (!named || oci_privileged()))
        return strdup("/run/box-oci");
    return named ? box_strf("%s/box-oci", run) : box_strf("/tmp/box-oci-%u", (unsigned)geteuid());
}

int box_oci_open(const char *root, unsigned flags, box_oci **out, box_error **err)
{
    if (!out || (flags & ~(unsigned)BOX_OCI_SYSTEMD_CGROUP))
        return box_fail(err, BOX_EINVAL, "box_oci_open: a wrong argument");
    box_oci *oci = calloc(1, sizeof(*oci));
    if (!oci)
        return box_fail_nomem(err);
    oci->flags = flags;
    oci->root = root ? strdup(root) : default_root();
    oci->dir = oci->root ? box_dir_open(AT_FDCWD, oci->root, 0711, err) : box_fail_nomem(err);
    if (oci->dir < 0) {
        int r = oci->dir;
        box_oci_free(oci);
        return r;
    }
    *out = oci;
    return 0;
}

void box_oci_free(box_oci *oci)
{
    if (!oci)
        return;
    if (oci->dir >= 0)
        close(oci->dir);
    free(oci->root);
    free(oci);
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int box_oci_list(box_oci *oci, char ***ids, box_error **err)
{
    char **found = NULL;
    size_t n = 0;

    if (!oci || !ids)
        return box_fail(err, BOX_EINVAL, "box_oci_list: arguments must not be NULL");
    int fd = openat(oci->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return box_fail_sys(err, "opendir", oci->root, "list containers");
    }
    found = box_strv_dup(NULL);
    for (struct dirent *e = found ? readdir(dir) : NULL; e; e = readdir(dir)) {
        char *path = oci_check_id(e->d_name, NULL) < 0 ? NULL : box_strf("%s/state.json", e->d_name);
        if (path && faccessat(oci->dir, path, F_OK, 0) == 0 && box_strv_append(&found, e->d_name) < 0) {
            box_strv_free(found);
            found = NULL;
        }
        free(path);
        if (!found)
            break;
    }
    if (!found)
        return box_fail_nomem(err);
    while (found[n])
        n++;
    qsort(found, n, sizeof(*found), compare);
    *ids = found;
    return 0;
}
