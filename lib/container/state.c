/* A container's documents: meta.json, config.json and the run file, read and written whole. */
#include "container/container.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/strings.h"

#define LOCK_WAIT_MS 30000

int64_t container_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

char *container_default_cgroup(const box_container *c)
{
    return c->spec->cgroups_path ? strdup(c->spec->cgroups_path) : box_strf("/libbox/%s", c->id);
}

int container_lock(box_container *c, box_error **err)
{
    _cleanup_(box_error) box_error *own = NULL;
    int lock = box_lock_take_existing(c->dir, "lock", BOX_LOCK_EXCLUSIVE, box_deadline_in_ms(LOCK_WAIT_MS), &own);

    if (lock == BOX_ENOTFOUND)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ENOTFOUND, .subject = c->name},
                             "container %s has been removed", c->name);
    if (lock < 0 && err)
        *err = box_take(own);
    return lock;
}

int container_run_dir(box_container *c, box_error **err)
{
    struct stat st;

    if (c->run_dir >= 0 && fstat(c->run_dir, &st) == 0 && st.st_nlink > 0)
        return c->run_dir;
    box_cleanup_close(&c->run_dir);
    _free_ char *path = box_strf("%s/containers", c->runroot);
    int fd = path ? box_dir_open(AT_FDCWD, path, 0700, err) : box_fail_nomem(err);
    c->run_dir = fd < 0 ? -1 : fd;
    return fd;
}

static struct document_stamp stamp_of(const box_container *c, const char *name)
{
    struct stat st;

    if (fstatat(c->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return (struct document_stamp){0};
    return (struct document_stamp){st.st_ino, (int64_t)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec};
}

static bool same_stamp(const struct document_stamp *a, struct document_stamp b)
{
    return a->inode && a->inode == b.inode && a->changed == b.changed;
}

bool container_is_current(const box_container *c)
{
    return same_stamp(&c->meta_seen, stamp_of(c, "meta.json")) && same_stamp(&c->config_seen, stamp_of(c, "config.json"));
}

/* What is thrown away at its end need not outlive the machine. What is kept is whole after a power cut, old or new. */
unsigned container_file_flags(const box_container *c)
{
    return (c->flags & BOX_CONTAINER_AUTO_REMOVE ? BOX_FILE_NO_SYNC : BOX_FILE_NO_DIR_SYNC) |
           (c->unpublished ? BOX_FILE_IN_PLACE : 0);
}

static int write_document(int dirfd, const char *name, json_object *doc, unsigned flags, box_error **err)
{
    const char *text = json_object_to_json_string_ext(doc, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);

    if (!text)
        return box_fail_nomem(err);
    return box_file_replace(dirfd, name, text, strlen(text), 0600, flags, err);
}

static int put_text(json_object *doc, const char *key, const char *value, box_error **err)
{
    return value ? box_json_put_string(doc, key, value, err) : 0;
}

static int put_ending(json_object *doc, const struct box_ending *e, box_error **err)
{
    json_object *o = json_object_new_object();
    int r;

    if (!o)
        return box_fail_nomem(err);
    if ((r = box_json_put_i64(o, "kind", e->kind, err)) < 0 || (r = box_json_put_i64(o, "code", e->code, err)) < 0 ||
        (r = box_json_put_i64(o, "signal", e->signal, err)) < 0 ||
        (r = box_json_put_bool(o, "coreDumped", e->core_dumped, err)) < 0 ||
        (r = box_json_put_u64(o, "userMicroseconds", e->cpu_user_us, err)) < 0 ||
        (r = box_json_put_u64(o, "systemMicroseconds", e->cpu_system_us, err)) < 0 ||
        (r = box_json_put_u64(o, "maxRssKilobytes", e->max_rss_kb, err)) < 0 ||
        (r = put_text(o, "syscall", e->syscall_name, err)) < 0 || (r = put_text(o, "text", e->text, err)) < 0) {
        json_object_put(o);
        return r;
    }
    return box_json_put(doc, "ending", o, err);
}

int container_save_meta(box_container *c, box_error **err)
{
    _cleanup_(json_object) json_object *doc = json_object_new_object();
    int r;

    if (!doc)
        return box_fail_nomem(err);
    if ((r = box_json_put_string(doc, "id", c->id, err)) < 0 || (r = box_json_put_string(doc, "name", c->name, err)) < 0 ||
        (r = put_text(doc, "imageName", c->image_name, err)) < 0 || (r = put_text(doc, "imageId", c->image_id, err)) < 0 ||
        (r = put_text(doc, "manifest", c->manifest, err)) < 0 || (r = put_text(doc, "stopSignal", c->stop_signal, err)) < 0 ||
        (r = box_json_put_u64(doc, "flags", c->flags, err)) < 0 ||
        (r = box_json_put_i64(doc, "stopTimeout", c->stop_timeout, err)) < 0 || (r = box_json_put_bool(doc, "removing", c->removing, err)) < 0 ||
        (r = box_json_put_i64(doc, "created", c->created, err)) < 0 ||
        (r = box_json_put_i64(doc, "started", c->last_started, err)) < 0 ||
        (r = box_json_put_i64(doc, "finished", c->finished, err)) < 0)
        return r;
    if (c->ending.kind != BOX_ENDING_NONE && (r = put_ending(doc, &c->ending, err)) < 0)
        return r;
    /* A mark that is lost only means that the removal did not happen. */
    r = write_document(c->dir, "meta.json", doc, c->removing ? BOX_FILE_NO_SYNC : container_file_flags(c), err);
    if (r >= 0)
        c->meta_seen = stamp_of(c, "meta.json");
    return r;
}

int container_save_config(box_container *c, box_error **err)
{
    _free_ char *text = NULL;
    int r = box_spec_format(c->spec, &text, err);

    if (r >= 0)
        r = box_file_replace(c->dir, "config.json", text, strlen(text), 0600, container_file_flags(c), err);
    if (r >= 0)
        c->config_seen = stamp_of(c, "config.json");
    return r;
}

static int read_document(int dirfd, const char *name, json_object **doc, box_error **err)
{
    _free_ char *text = NULL;
    size_t length = 0;
    int r = box_file_read(dirfd, name, 1 << 20, &text, &length, err);

    if (r < 0)
        return r;
    *doc = box_json_parse(text, length, &BOX_JSON_DEFAULT, name, err);
    return *doc ? 0 : err && *err ? box_error_code(*err) : BOX_ECORRUPT;
}

static int get_copy(const struct box_json_at *at, const char *key, char **out, box_error **err)
{
    const char *text = NULL;
    int r = box_json_get_string(at, key, BOX_JSON_OPTIONAL, &text, err);

    if (r < 0)
        return r;
    free(*out);
    *out = NULL;
    if (text && !(*out = strdup(text)))
        return box_fail_nomem(err);
    return 0;
}

static int get_ending(const struct box_json_at *at, box_container *c, box_error **err)
{
    struct box_json_at e = {0};
    struct box_ending ending = {0};
    const char *text = NULL;
    int64_t kind = 0, code = 0, signal = 0;
    int r = box_json_get_object(at, "ending", BOX_JSON_OPTIONAL, &e, err);

    if (r < 0 || !e.json)
        return r;
    if ((r = box_json_get_i64(&e, "kind", BOX_JSON_REQUIRED, 0, 99, &kind, err)) < 0 ||
        (r = box_json_get_i64(&e, "code", BOX_JSON_REQUIRED, -1, 255, &code, err)) < 0 ||
        (r = box_json_get_i64(&e, "signal", BOX_JSON_REQUIRED, 0, 128, &signal, err)) < 0 ||
        (r = box_json_get_bool(&e, "coreDumped", BOX_JSON_OPTIONAL, &ending.core_dumped, err)) < 0 ||
        (r = box_json_get_u64(&e, "userMicroseconds", BOX_JSON_OPTIONAL, 0, INT64_MAX, &ending.cpu_user_us, err)) < 0 ||
        (r = box_json_get_u64(&e, "systemMicroseconds", BOX_JSON_OPTIONAL, 0, INT64_MAX, &ending.cpu_system_us, err)) < 0 ||
        (r = box_json_get_u64(&e, "maxRssKilobytes", BOX_JSON_OPTIONAL, 0, INT64_MAX, &ending.max_rss_kb, err)) < 0 ||
        (r = box_json_get_string(&e, "syscall", BOX_JSON_OPTIONAL, &ending.syscall_name, err)) < 0 ||
        (r = box_json_get_string(&e, "text", BOX_JSON_OPTIONAL, &text, err)) < 0)
        return r;
    ending.kind = (enum box_ending_kind)kind;
    ending.code = (int)code;
    ending.signal = (int)signal;
    ending.text = text ? text : "";
    container_set_ending(c, &ending);
    return 0;
}

static int read_meta(box_container *c, box_error **err)
{
    _cleanup_(json_object) json_object *doc = NULL;
    const char *id = NULL;
    uint64_t flags = 0;
    int64_t stop_timeout = 10;
    int r = read_document(c->dir, "meta.json", &doc, err);

    if (r < 0)
        return r;
    struct box_json_at at = BOX_JSON_ROOT(doc);
    if ((r = box_json_get_string(&at, "id", BOX_JSON_REQUIRED, &id, err)) < 0 || (r = get_copy(&at, "name", &c->name, err)) < 0 ||
        (r = get_copy(&at, "imageName", &c->image_name, err)) < 0 || (r = get_copy(&at, "imageId", &c->image_id, err)) < 0 ||
        (r = get_copy(&at, "manifest", &c->manifest, err)) < 0 || (r = get_copy(&at, "stopSignal", &c->stop_signal, err)) < 0 ||
        (r = box_json_get_u64(&at, "flags", BOX_JSON_OPTIONAL, 0, UINT32_MAX, &flags, err)) < 0 ||
        (r = box_json_get_i64(&at, "stopTimeout", BOX_JSON_OPTIONAL, -1, INT32_MAX, &stop_timeout, err)) < 0 ||
        (r = box_json_get_bool(&at, "removing", BOX_JSON_OPTIONAL, &c->removing, err)) < 0 ||
        (r = box_json_get_i64(&at, "created", BOX_JSON_REQUIRED, 0, INT64_MAX, &c->created, err)) < 0 ||
        (r = box_json_get_i64(&at, "started", BOX_JSON_OPTIONAL, 0, INT64_MAX, &c->last_started, err)) < 0 ||
        (r = box_json_get_i64(&at, "finished", BOX_JSON_OPTIONAL, 0, INT64_MAX, &c->finished, err)) < 0)
        return r;
    memset(&c->ending, 0, sizeof(c->ending));
    c->flags = (unsigned)flags;
    c->stop_timeout = (int)stop_timeout;
    if ((r = get_ending(&at, c, err)) < 0)
        return r;
    if (strcmp(id, c->id) != 0 || !c->name)
        return box_fail(err, BOX_ECORRUPT, "container %.12s: meta.json belongs to another container", c->id);
    if (!container_name_is_valid(c->name)) /* it is the name of a file, which a removal deletes */
        return box_fail(err, BOX_ECORRUPT, "container %.12s: the name in meta.json is no name", c->id);
    return 0;
}

void container_read_name(box_container *c)
{
    _cleanup_(json_object) json_object *doc = NULL;

    if (read_document(c->dir, "meta.json", &doc, NULL) < 0)
        return;
    struct box_json_at at = BOX_JSON_ROOT(doc);
    const char *name = NULL;
    char *copy = box_json_get_string(&at, "name", BOX_JSON_OPTIONAL, &name, NULL) >= 0 && name ? strdup(name) : NULL;
    if (!copy)
        return;
    free(c->name);
    c->name = copy;
}

/* ---- the run file --------------------------------------------------------------------------------------------------- */

void container_clear_run(struct run_state *run)
{
    free(run->cgroup);
    *run = (struct run_state){0};
}

/* The run directory is a tmpfs as a rule; where it is not, a file of the last boot says so itself. */
static bool read_boot_id(box_container *c)
{
    if (c->boot[0])
        return true;
    _close_ int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, c->boot, 36);

    c->boot[n == 36 ? 36 : 0] = '\0';
    return n == 36;
}

int container_save_run(box_container *c, box_error **err)
{
    _cleanup_(json_object) json_object *doc = json_object_new_object();
    char name[CONTAINER_ID_LENGTH + 8];
    int r;

    if (!doc)
        return box_fail_nomem(err);
    read_boot_id(c);
    if ((r = box_json_put_string(doc, "boot", c->boot, err)) < 0 || (r = box_json_put_i64(doc, "pid", c->run.pid, err)) < 0 ||
        (r = box_json_put_u64(doc, "startTime", c->run.start_time, err)) < 0 ||
        (r = box_json_put_i64(doc, "monitor", c->run.monitor, err)) < 0 ||
        (r = box_json_put_u64(doc, "monitorStartTime", c->run.monitor_start_time, err)) < 0 ||
        (r = box_json_put_i64(doc, "started", c->run.started, err)) < 0 ||
        (r = box_json_put_u64(doc, "oomBefore", c->run.oom_before, err)) < 0 ||
        (r = box_json_put_bool(doc, "deadline", c->run.deadline, err)) < 0 ||
        (r = put_text(doc, "cgroup", c->run.cgroup, err)) < 0)
        return r;
    int dir = container_run_dir(c, err);
    if (dir < 0)
        return dir;
    snprintf(name, sizeof(name), "%s.json", c->id);
    return write_document(dir, name, doc, BOX_FILE_NO_SYNC, err);
}

static int read_run(box_container *c, json_object *doc, box_error **err)
{
    struct box_json_at at = BOX_JSON_ROOT(doc);
    struct run_state *run = &c->run;
    const char *boot = "";
    int64_t pid = 0, monitor = 0;
    int r;

    if ((r = box_json_get_string(&at, "boot", BOX_JSON_REQUIRED, &boot, err)) < 0 ||
        (r = box_json_get_i64(&at, "pid", BOX_JSON_REQUIRED, 0, INT32_MAX, &pid, err)) < 0 ||
        (r = box_json_get_u64(&at, "startTime", BOX_JSON_REQUIRED, 0, INT64_MAX, &run->start_time, err)) < 0 ||
        (r = box_json_get_i64(&at, "monitor", BOX_JSON_OPTIONAL, 0, INT32_MAX, &monitor, err)) < 0 ||
        (r = box_json_get_u64(&at, "monitorStartTime", BOX_JSON_OPTIONAL, 0, INT64_MAX, &run->monitor_start_time, err)) < 0 ||
        (r = box_json_get_i64(&at, "started", BOX_JSON_REQUIRED, 0, INT64_MAX, &run->started, err)) < 0 ||
        (r = box_json_get_u64(&at, "oomBefore", BOX_JSON_OPTIONAL, 0, INT64_MAX, &run->oom_before, err)) < 0 ||
        (r = box_json_get_bool(&at, "deadline", BOX_JSON_OPTIONAL, &run->deadline, err)) < 0 ||
        (r = get_copy(&at, "cgroup", &run->cgroup, err)) < 0)
        return r;
    run->pid = (pid_t)pid;
    run->monitor = (pid_t)monitor;
    run->present = true;
    if (read_boot_id(c) && strcmp(c->boot, boot) != 0) /* of another boot: whatever has this pid now is not ours */
        run->pid = run->monitor = 0;
    return 0;
}

/* A run file that cannot be read: where the run directory is no tmpfs, a power cut can leave one. Nothing is known to
 * run; the cgroup that it would have named is taken down with the rest. */
static int damaged_run(box_container *c, box_error **err)
{
    struct run_state *run = &c->run;

    container_clear_run(run);
    run->present = true;
    if (geteuid() == 0 && !(run->cgroup = container_default_cgroup(c)))
        return box_fail_nomem(err);
    return 0;
}

int container_load_run(box_container *c, box_error **err)
{
    _cleanup_(json_object) json_object *doc = NULL;
    _cleanup_(box_error) box_error *own = NULL;
    char name[CONTAINER_ID_LENGTH + 8];

    container_clear_run(&c->run);
    int dir = container_run_dir(c, err);
    if (dir < 0)
        return dir;
    snprintf(name, sizeof(name), "%s.json", c->id);
    int r = read_document(dir, name, &doc, &own);
    if (r == BOX_ENOTFOUND)
        return 0;
    if (r >= 0)
        r = read_run(c, doc, &own);
    if (r == BOX_EPARSE || r == BOX_ECORRUPT || r == BOX_EINVAL || r == BOX_ELIMIT ||
        (r < 0 && box_error_errno(own) == ELOOP))
        return damaged_run(c, err);
    if (r < 0 && err) {
        *err = own;
        own = NULL;
    }
    return r;
}

/* ---- opening ---------------------------------------------------------------------------------------------------------- */

static int fill_paths(box_container *c, const box_store *store, box_error **err)
{
    c->root = strdup(box_store_root(store));
    c->runroot = strdup(box_store_runroot(store));
    if (c->root && c->runroot) {
        c->log_path = box_strf("%s/containers/%s/log", c->root, c->id);
        c->upper = box_strf("%s/containers/%s/upper", c->root, c->id);
    }
    return c->log_path && c->upper ? 0 : box_fail_nomem(err);
}

int container_load(const box_store *store, const char *id, box_container **container, box_error **err)
{
    _cleanup_(box_container) box_container *c = calloc(1, sizeof(*c));
    _close_ int all = container_open_dir(store, err);

    if (!c)
        return box_fail_nomem(err);
    c->dir = c->run_dir = c->pidfd = c->host_lock = -1;
    if (all < 0)
        return all;
    snprintf(c->id, sizeof(c->id), "%s", id);
    int r = fill_paths(c, store, err);
    if (r < 0)
        return r;
    c->dir = openat(all, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (c->dir < 0)
        return box_fail_sys(err, "openat", id, "no such container");
    c->meta_seen = stamp_of(c, "meta.json"); /* before it is read: one that is replaced meanwhile is read again */
    c->config_seen = stamp_of(c, "config.json");
    if ((r = read_meta(c, err)) < 0)
        return box_fail_wrap(err, r == BOX_ENOTFOUND ? BOX_ENOTFOUND : r, "container %.12s", id);
    _free_ char *config = box_strf("%s/containers/%s/config.json", c->root, id);
    if (!config)
        return box_fail_nomem(err);
    if ((r = box_spec_load(config, &c->spec, err)) < 0)
        return box_fail_wrap(err, r, "container %.12s", id);
    *container = box_take(c);
    return 0;
}
