/* A container's state on disk, and what of it is still true. */
#include "oci/oci.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libbox/cgroup.h>
#include <libbox/pidfd.h>
#include "base/strings.h"
#include "launch/hooks.h"

#define STATE_MAX (1 << 20)

void oci_container_clear(struct oci_container *c)
{
    free(c->bundle);
    free(c->rootfs);
    free(c->cgroup_location);
    free(c->rdt_group);
    free(c->systemd);
    box_systemd_unit_free(c->unit);
    box_spec_free(c->spec);
    box_cgroup_free(c->cgroup);
    if (c->dir >= 0)
        close(c->dir);
    if (c->pidfd >= 0)
        close(c->pidfd);
    *c = OCI_CONTAINER_INIT;
}

static void boot_id(char out[40])
{
    _close_ int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, out, 36);

    out[n == 36 ? 36 : 0] = '\0';
}

int oci_save_state(const struct oci_container *c, int dir, box_error **err)
{
    _cleanup_(json_object) json_object *doc = json_object_new_object();
    char boot[40];
    int r;

    if (!doc)
        return box_fail_nomem(err);
    boot_id(boot);
    if ((r = box_json_put_string(doc, "id", c->id, err)) < 0 || (r = box_json_put_string(doc, "boot", boot, err)) < 0 ||
        (r = box_json_put_i64(doc, "pid", c->pid, err)) < 0 ||
        (r = box_json_put_u64(doc, "startTime", c->start_time, err)) < 0 ||
        (r = box_json_put_i64(doc, "created", c->created, err)) < 0 ||
        (r = box_json_put_i64(doc, "owner", c->owner, err)) < 0 ||
        (r = box_json_put_string(doc, "bundle", c->bundle, err)) < 0 ||
        (r = box_json_put_string(doc, "rootfs", c->rootfs, err)) < 0 ||
        (c->cgroup_location && (r = box_json_put_string(doc, "cgroup", c->cgroup_location, err)) < 0) ||
        (c->cgroup_pending && (r = box_json_put_bool(doc, "cgroupPending", true, err)) < 0) ||
        (c->root_mount && (r = box_json_put_u64(doc, "rootMount", c->root_mount, err)) < 0) ||
        (c->systemd && (r = box_json_put_string(doc, "systemd", c->systemd, err)) < 0) ||
        (c->cgroup_found && (r = box_json_put_bool(doc, "cgroupFound", true, err)) < 0) ||
        (c->rdt_group && ((r = box_json_put_string(doc, "rdtGroup", c->rdt_group, err)) < 0 ||
                          (r = box_json_put_bool(doc, "rdtMade", c->rdt_made, err)) < 0 ||
                          (r = box_json_put_bool(doc, "rdtMonitor", c->rdt_monitor, err)) < 0)))
        return r;
    const char *text = json_object_to_json_string_ext(doc, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    return text ? box_file_replace(dir, "state.json", text, strlen(text), 0600, BOX_FILE_NO_SYNC, err) : box_fail_nomem(err);
}

static int take_text(const struct box_json_at *at, const char *key, char **out, box_error **err)
{
    const char *text = NULL;
    int r = box_json_get_string(at, key, BOX_JSON_OPTIONAL, &text, err);

    if (r >= 0 && text && !(*out = strdup(text)))
        return box_fail_nomem(err);
    return r;
}

static int read_state(struct oci_container *c, json_object *doc, box_error **err)
{
    struct box_json_at at = BOX_JSON_ROOT(doc);
    const char *boot = "";
    char now[40];
    int64_t pid = 0, owner = 0;
    int r;

    if ((r = box_json_get_string(&at, "boot", BOX_JSON_REQUIRED, &boot, err)) < 0 ||
        (r = box_json_get_i64(&at, "pid", BOX_JSON_REQUIRED, 0, INT32_MAX, &pid, err)) < 0 ||
        (r = box_json_get_u64(&at, "startTime", BOX_JSON_REQUIRED, 0, INT64_MAX, &c->start_time, err)) < 0 ||
        (r = box_json_get_i64(&at, "created", BOX_JSON_REQUIRED, 0, INT64_MAX, &c->created, err)) < 0 ||
        (r = box_json_get_i64(&at, "owner", BOX_JSON_REQUIRED, 0, UINT32_MAX, &owner, err)) < 0 ||
        (r = take_text(&at, "bundle", &c->bundle, err)) < 0 || (r = take_text(&at, "rootfs", &c->rootfs, err)) < 0 ||
        (r = take_text(&at, "cgroup", &c->cgroup_location, err)) < 0 ||
        (r = box_json_get_bool(&at, "cgroupPending", BOX_JSON_OPTIONAL, &c->cgroup_pending, err)) < 0 ||
        (r = box_json_get_u64(&at, "rootMount", BOX_JSON_OPTIONAL, 0, INT64_MAX, &c->root_mount, err)) < 0 ||
        (r = take_text(&at, "systemd", &c->systemd, err)) < 0 ||
        (r = box_json_get_bool(&at, "cgroupFound", BOX_JSON_OPTIONAL, &c->cgroup_found, err)) < 0 ||
        (r = take_text(&at, "rdtGroup", &c->rdt_group, err)) < 0 ||
        (r = box_json_get_bool(&at, "rdtMade", BOX_JSON_OPTIONAL, &c->rdt_made, err)) < 0 ||
        (r = box_json_get_bool(&at, "rdtMonitor", BOX_JSON_OPTIONAL, &c->rdt_monitor, err)) < 0)
        return r;
    c->owner = (uid_t)owner;
    boot_id(now);
    c->pid = strcmp(now, boot) == 0 ? (pid_t)pid : 0; /* of another boot: whatever has this pid now is not ours */
    if (!c->bundle || !c->rootfs)
        return box_fail(err, BOX_ECORRUPT, "container %s: state.json lacks the bundle", c->id);
    return 0;
}

int oci_open(const box_oci *oci, const char *id, struct oci_container *c, box_error **err)
{
    _cleanup_(json_object) json_object *doc = NULL;
    _free_ char *text = NULL;
    size_t length = 0;

    *c = OCI_CONTAINER_INIT;
    if (!oci)
        return box_fail(err, BOX_EINVAL, "the directory of containers must not be NULL");
    int r = oci_check_id(id, err);
    if (r < 0)
        return r;
    c->oci = oci;
    snprintf(c->id, sizeof(c->id), "%s", id);
    c->dir = openat(oci->dir, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (c->dir < 0 && errno == ENOENT)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ENOTFOUND, .subject = id}, "container does not exist: %s", id);
    if (c->dir < 0)
        return box_fail_sys(err, "openat", id, "open the container");
    r = box_file_read(c->dir, "state.json", STATE_MAX, &text, &length, err);
    if (r < 0)
        return box_fail_wrap(err, r, "container %s", id);
    doc = box_json_parse(text, length, &BOX_JSON_DEFAULT, "state.json", err);
    if (!doc)
        return err && *err ? box_error_code(*err) : BOX_ECORRUPT;
    r = read_state(c, doc, err);
    if (r >= 0 && c->pid)
        c->pidfd = box_pidfd_open_started(c->pid, c->start_time, NULL);
    if (c->pidfd < 0)
        c->pidfd = -1;
    return r;
}

int oci_load_spec(struct oci_container *c, box_error **err)
{
    char path[64];

    if (c->spec)
        return 0;
    snprintf(path, sizeof(path), "/proc/self/fd/%d/config.json", c->dir);
    int r = box_spec_load(path, &c->spec, err);
    return r < 0 ? box_fail_wrap(err, r, "container %s", c->id) : 0;
}

int oci_lock(const struct oci_container *c, int timeout_ms, box_error **err)
{
    return box_lock_take_existing(c->dir, "lock", BOX_LOCK_EXCLUSIVE, box_deadline_in_ms(timeout_ms), err);
}

/* ---- what it is doing -------------------------------------------------------------------------------------------- */

const char *oci_status_name(enum oci_status status)
{
    static const char *const names[] = {"creating", "created", "running", "paused", "stopped"};

    return names[status];
}

/* Whether the held process waits for the start: it is the only reader that the fifo ever has. */
static bool is_held(const struct oci_container *c)
{
    _close_ int fd = openat(c->dir, OCI_FIFO, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);

    return fd >= 0;
}

static bool being_made(const struct oci_container *c)
{
    _close_ int lock = oci_lock(c, 0, NULL);

    return lock == BOX_EBUSY;
}

box_cgroup *oci_cgroup(struct oci_container *c, box_error **err)
{
    if (!c->cgroup && c->cgroup_location && !c->cgroup_pending)
        c->cgroup = box_cgroup_open(NULL, c->cgroup_location, err);
    return c->cgroup;
}

enum oci_status oci_status(struct oci_container *c)
{
    if (!c->pid)
        return being_made(c) ? OCI_CREATING : OCI_STOPPED;
    if (c->pidfd < 0 || box_pidfd_wait(c->pidfd, 0, NULL) != BOX_ETIMEOUT)
        return OCI_STOPPED;
    if (is_held(c))
        return OCI_CREATED;
    box_cgroup *cgroup = oci_cgroup(c, NULL);
    return cgroup && box_cgroup_frozen(cgroup, NULL) == 1 ? OCI_PAUSED : OCI_RUNNING;
}

int oci_require_alive(struct oci_container *c, enum oci_status *status, box_error **err)
{
    *status = oci_status(c);
    if (*status == OCI_STOPPED || *status == OCI_CREATING)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESTATE, .subject = c->id},
                             "container not running: %s is %s", c->id, oci_status_name(*status));
    return 0;
}

/* ---- the document --------------------------------------------------------------------------------------------------- */

int oci_state_text(struct oci_container *c, enum oci_status status, char **out, box_error **err)
{
    const struct hook_state state = {c->id, c->bundle, oci_status_name(status), status == OCI_STOPPED ? 0 : c->pid};
    int r = oci_load_spec(c, err);

    return r < 0 ? r : hooks_state_text(c->spec, &state, out, err);
}

int box_oci_state(box_oci *oci, const char *id, char **json, box_error **err)
{
    _oci_container_ struct oci_container c = OCI_CONTAINER_INIT;

    if (!json)
        return box_fail(err, BOX_EINVAL, "box_oci_state: json must not be NULL");
    int r = oci_open(oci, id, &c, err);
    return r < 0 ? r : oci_state_text(&c, oci_status(&c), json, err);
}

int box_oci_get_info(box_oci *oci, const char *id, box_oci_info *info, box_error **err)
{
    _oci_container_ struct oci_container c = OCI_CONTAINER_INIT;

    if (!info)
        return box_fail(err, BOX_EINVAL, "box_oci_get_info: info must not be NULL");
    int r = oci_open(oci, id, &c, err);
    if (r < 0)
        return r;
    enum oci_status status = oci_status(&c);
    *info = (box_oci_info){.id = strdup(c.id),
                           .bundle = box_take(c.bundle),
                           .rootfs = box_take(c.rootfs),
                           .status = oci_status_name(status),
                           .pid = status == OCI_STOPPED ? 0 : c.pid,
                           .created = c.created,
                           .owner = c.owner};
    if (!info->id) {
        box_oci_info_clear(info);
        return box_fail_nomem(err);
    }
    return 0;
}

void box_oci_info_clear(box_oci_info *info)
{
    free(info->id);
    free(info->bundle);
    free(info->rootfs);
    *info = (box_oci_info){0};
}
