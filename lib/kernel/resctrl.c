/* Groups of resctrl. See kernel/resctrl.h.
 *
 * In order: the mount is found; the group's directory is made, which the kernel fills with files; its schemata are
 * written, in one piece, since the kernel takes all lines of a write or none from the first that it does not like on; the
 * monitoring group is made below. Names come from a document and an id: each is one component, and no link is followed. */
#include "kernel/resctrl.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/resolve.h"
#include "kernel/mount.h"

#define FIELD     "linux.intelRdt"
#define FILE_MOST 8192 /* of a file that is read whole */

int resctrl_open(struct resctrl *fs, box_error **err)
{
    _cleanup_(box_mount_table) box_mount_table *table = NULL;
    const box_mount_entry *entry;
    int r = box_mount_table_read(0, &table, err);

    *fs = (struct resctrl){-1, mkdirat, unlinkat};
    if (r < 0)
        return box_fail_wrap(err, r, FIELD);
    for (size_t i = 0; (entry = box_mount_table_get(table, i)); i++) {
        if (strcmp(entry->type, "resctrl") != 0 || strcmp(entry->root, "/") != 0)
            continue;
        fs->root = open(entry->target, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fs->root < 0 ? box_fail_sys(err, "open", entry->target, FIELD ": open resctrl") : 0;
    }
    return box_fail_with(err, &(struct box_fail_info){.code = BOX_EUNSUPPORTED, .subject = FIELD,
                                                      .remedy = "on a processor that has it: mount -t resctrl resctrl /sys/fs/resctrl"},
                         "Intel RDT is not supported or not enabled here: resctrl is not mounted");
}

void resctrl_close(struct resctrl *fs)
{
    if (fs->root >= 0)
        close(fs->root);
    fs->root = -1;
}

static bool is_root(const char *name)
{
    return strcmp(name, "/") == 0;
}

static int open_directory(int dir, const char *name)
{
    return openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int open_group(const struct resctrl *fs, const char *name)
{
    return open_directory(fs->root, is_root(name) ? "." : name);
}

int resctrl_exists(const struct resctrl *fs, const char *name, box_error **err)
{
    _close_ int fd = open_group(fs, name);

    if (fd < 0 && errno != ENOENT)
        return box_fail_sys(err, "openat", name, FIELD ".closID: open the group");
    return fd >= 0;
}

/* The kernel keeps a sentence about the last thing that it refused. */
static void last_status(const struct resctrl *fs, char *text, size_t size)
{
    _close_ int info = open_directory(fs->root, "info");
    _close_ int fd = info < 0 ? -1 : openat(info, "last_cmd_status", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

    text[n > 0 ? n : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
}

static int write_schemata(const struct resctrl *fs, int group, const char *lines, box_error **err)
{
    _close_ int fd = openat(group, "schemata", O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC);
    size_t length = strlen(lines);
    char status[200];

    if (fd < 0)
        return box_fail_sys(err, "openat", FIELD ".schemata", "write the schemata");
    if (write(fd, lines, length) == (ssize_t)length)
        return 0;
    int errnum = errno;
    last_status(fs, status, sizeof(status));
    return box_fail_with(err, &(struct box_fail_info){.errnum = errnum, .call = "write", .subject = FIELD ".schemata",
                                                      .code = errnum == EINVAL ? BOX_ESPEC : 0},
                         "the kernel does not take the schemata%s%s", *status ? ": " : "", status);
}

static int make_directory(const struct resctrl *fs, int dir, const char *name, const char *field, box_error **err)
{
    if (fs->make(dir, name, 0755) == 0 || errno == EEXIST)
        return 0;
    int errnum = errno;
    return box_fail_with(err,
                         &(struct box_fail_info){.errnum = errnum, .call = "mkdirat", .subject = field,
                                                 .remedy = errnum == ENOSPC ? "the processor has only so many groups" : NULL},
                         "make the resctrl group %s", name);
}

int resctrl_make(const struct resctrl *fs, const struct resctrl_group *group, box_error **err)
{
    int r = is_root(group->name) ? 0 : make_directory(fs, fs->root, group->name, FIELD ".closID", err);

    if (r < 0)
        return r;
    _close_ int dir = open_group(fs, group->name);
    if (dir < 0)
        return box_fail_sys(err, "openat", group->name, FIELD ".closID: open the group");
    if (group->schemata && *group->schemata && (r = write_schemata(fs, dir, group->schemata, err)) < 0)
        return r;
    if (!group->monitor)
        return 0;
    _close_ int monitors = open_directory(dir, "mon_groups");
    if (monitors < 0)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EUNSUPPORTED, .errnum = errno, .call = "openat",
                                                          .subject = FIELD ".enableMonitoring"},
                             "this processor cannot monitor groups");
    return make_directory(fs, monitors, group->monitor, FIELD ".enableMonitoring", err);
}

static int open_tasks(int dir, box_error **err)
{
    int fd = openat(dir, "tasks", O_WRONLY | O_NOFOLLOW | O_CLOEXEC);

    return fd < 0 ? box_fail_sys(err, "openat", FIELD, "open a resctrl group's tasks") : fd;
}

int resctrl_tasks(const struct resctrl *fs, const struct resctrl_group *group, int tasks[2], box_error **err)
{
    _close_ int dir = open_group(fs, group->name);

    tasks[0] = tasks[1] = -1;
    if (dir < 0)
        return box_fail_sys(err, "openat", group->name, FIELD ".closID: open the group");
    _close_ int first = open_tasks(dir, err);
    if (first < 0)
        return first;
    if (group->monitor) {
        _close_ int monitors = open_directory(dir, "mon_groups");
        _close_ int own = monitors < 0 ? -1 : open_directory(monitors, group->monitor);
        if (own < 0)
            return box_fail_sys(err, "openat", group->monitor, FIELD ".enableMonitoring: open the group");
        if ((tasks[1] = open_tasks(own, err)) < 0)
            return tasks[1];
    }
    tasks[0] = box_take_fd(&first);
    return 0;
}

int resctrl_add(const struct resctrl *fs, const struct resctrl_group *group, pid_t pid, box_error **err)
{
    int tasks[2], r = resctrl_tasks(fs, group, tasks, err);
    char text[16];

    if (r < 0)
        return r;
    int n = snprintf(text, sizeof(text), "%d", (int)pid);
    for (int i = 0; i < 2; i++) {
        if (tasks[i] >= 0 && r >= 0 && write(tasks[i], text, (size_t)n) != n && errno != ESRCH)
            r = box_fail_sys(err, "write", FIELD, "put a process into the resctrl group");
        if (tasks[i] >= 0)
            close(tasks[i]);
    }
    return r;
}

/* Names in the path are this library's and the state's, which were checked; no link is followed all the same. */
char *resctrl_read(const struct resctrl *fs, const char *path)
{
    char text[FILE_MOST + 1];
    _close_ int fd = box_resolve(fs->root, path, O_RDONLY, BOX_RESOLVE_BENEATH | BOX_RESOLVE_NO_SYMLINKS);
    size_t n = 0;
    ssize_t more = 0;

    if (fd < 0)
        return NULL;
    while (n < FILE_MOST && (more = read(fd, text + n, FILE_MOST - n)) > 0)
        n += (size_t)more;
    if (more < 0)
        return NULL;
    while (n > 0 && text[n - 1] == '\n')
        n--;
    text[n] = '\0';
    return strdup(text);
}

static bool has_tasks(int dir)
{
    char byte;
    _close_ int fd = openat(dir, "tasks", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    return fd >= 0 && read(fd, &byte, 1) > 0;
}

static int remove_directory(const struct resctrl *fs, int dir, const char *name, box_error **err)
{
    if (fs->remove(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return 0;
    return box_fail_sys(err, "unlinkat", name, FIELD ": remove the resctrl group");
}

int resctrl_remove(const struct resctrl *fs, const struct resctrl_group *group, bool whole, bool shared, box_error **err)
{
    _close_ int dir = open_group(fs, group->name);
    int r = 0;

    if (dir < 0)
        return errno == ENOENT ? 0 : box_fail_sys(err, "openat", group->name, FIELD ": open the group");
    if (group->monitor) {
        _close_ int monitors = open_directory(dir, "mon_groups");
        r = monitors < 0 ? 0 : remove_directory(fs, monitors, group->monitor, err);
    }
    if (r < 0 || !whole || is_root(group->name) || (shared && has_tasks(dir)))
        return r;
    return remove_directory(fs, fs->root, group->name, err);
}
