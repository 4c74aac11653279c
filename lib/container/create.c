/* Making a container, finding one, listing them.
 *
 * A container is made below a name that begins with ".new-", whose lock the maker holds; when all is written the name
 * of the container is taken and the directory renamed to its id, both under the lock of the whole directory. A kill
 * before the rename leaves a ".new-" directory that nobody holds: the next sweep takes it away. */
#include "container/container.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/strings.h"
#include "kernel/mount_image.h"

#define NAME_LIMIT 128
#define ALL_WAIT   30000

int container_open_dir(const box_store *store, box_error **err)
{
    _free_ char *path = box_store_containers_dir(store);

    return path ? box_dir_open(AT_FDCWD, path, 0700, err) : box_fail_nomem(err);
}

bool container_name_is_valid(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    size_t n = strlen(name);

    if (n < 2 || n > NAME_LIMIT || !strchr(allowed, name[0]))
        return false;
    for (const char *p = name; *p; p++)
        if (!strchr(allowed, *p) && !strchr("_.-", *p))
            return false;
    return true;
}

static int names_dir(int all, box_error **err)
{
    return box_dir_open(all, ".names", 0700, err);
}

/* The id that has a name, when its container is there. */
static int id_of_name(int all, const char *name, char id[CONTAINER_ID_LENGTH + 1], box_error **err)
{
    _close_ int names = names_dir(all, err);
    _free_ char *text = NULL;
    size_t length = 0;

    if (names < 0)
        return names;
    if (strchr(name, '/') || box_file_read(names, name, 256, &text, &length, NULL) < 0 || length != CONTAINER_ID_LENGTH ||
        strspn(text, "0123456789abcdef") != CONTAINER_ID_LENGTH || faccessat(all, text, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    memcpy(id, text, CONTAINER_ID_LENGTH + 1);
    return 1;
}

/* Takes a name for the id, under the lock of the whole. */
static int take_name(int all, box_container *c, const char *wanted, box_error **err)
{
    char made[64], owner[CONTAINER_ID_LENGTH + 1];

    for (unsigned attempt = 0; attempt < 100; attempt++) {
        const char *name = wanted;
        if (!name) {
            int r = container_make_name(made, sizeof(made), attempt, err);
            if (r < 0)
                return r;
            name = made;
        }
        int taken = id_of_name(all, name, owner, err);
        if (taken < 0)
            return taken;
        if (taken && wanted)
            return box_fail_with(err, &(struct box_fail_info){.code = BOX_EEXISTS, .subject = name,
                                                              .remedy = "remove or rename that container, or take another name"},
                                 "the container name %s is in use by container %.12s", name, owner);
        if (taken)
            continue;
        free(c->name);
        if (!(c->name = strdup(name)))
            return box_fail_nomem(err);
        return 0;
    }
    return box_fail(err, BOX_EEXISTS, "no free name was found for the container");
}

static bool is_thrown_away(const box_container *c)
{
    return c->flags & BOX_CONTAINER_AUTO_REMOVE;
}

static int write_name(int all, const box_container *c, box_error **err)
{
    _close_ int names = names_dir(all, err);
    unsigned flags = is_thrown_away(c) ? BOX_FILE_NO_SYNC : BOX_FILE_NO_DIR_SYNC;

    return names < 0 ? names : box_file_replace(names, c->name, c->id, CONTAINER_ID_LENGTH, 0600, flags, err);
}

/* ---- the files that every container has ---------------------------------------------------------------------------- */

static int write_hosts(box_container *c, int dir, const char *hostname, box_error **err)
{
    _free_ char *hosts = box_strf("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\t%s\n", hostname);
    _free_ char *line = box_strf("%s\n", hostname), *resolv = NULL;
    unsigned flags = container_file_flags(c); /* whoever keeps the container finds them whole */
    size_t length = 0;
    int r;

    if (!hosts || !line)
        return box_fail_nomem(err);
    if (box_file_read(AT_FDCWD, "/etc/resolv.conf", 64 << 10, &resolv, &length, NULL) < 0)
        length = 0;
    if ((r = box_file_replace(dir, "hosts", hosts, strlen(hosts), 0644, flags, err)) < 0 ||
        (r = box_file_replace(dir, "hostname", line, strlen(line), 0644, flags, err)) < 0)
        return r;
    return box_file_replace(dir, "resolv.conf", resolv ? resolv : "", length, 0644, flags, err);
}

static bool mounts_at(const box_spec *spec, const char *path)
{
    for (size_t i = 0; i < spec->n_mounts; i++)
        if (strcmp(spec->mounts[i].destination, path) == 0)
            return true;
    return false;
}

/* hosts, hostname and resolv.conf of the container's own over those of the image, unless the spec has mounts there. */
static int add_etc(box_container *c, int dir, box_error **err)
{
    static const char *const files[] = {"hosts", "hostname", "resolv.conf"};
    const char *hostname = c->spec->hostname ? c->spec->hostname : "localhost";
    int r = write_hosts(c, dir, hostname, err);

    for (size_t i = 0; i < BOX_ARRAY(files) && r >= 0; i++) {
        char inside[64];
        snprintf(inside, sizeof(inside), "/etc/%s", files[i]);
        if (mounts_at(c->spec, inside))
            continue;
        _free_ char *outside = box_strf("%s/containers/%s/%s", c->root, c->id, files[i]);
        if (!outside)
            return box_fail_nomem(err);
        r = box_spec_add_bind(c->spec, outside, inside, NULL, err);
    }
    return r;
}

/* The writable layer: its top directory looks as the image's own does, since it hides that. */
static int make_upper(box_container *c, int dir, char *const *lower, box_error **err)
{
    struct stat st = {.st_mode = 0755};

    (void)c;
    if (lower && lower[0]) {
        _close_ int top = box_mount_image_or_directory(AT_FDCWD, lower[0], err);
        if (top < 0)
            return top;
        (void)fstat(top, &st);
    }
    if (mkdirat(dir, "upper", 0700) < 0 || mkdirat(dir, "work", 0700) < 0)
        return box_fail_sys(err, "mkdirat", "upper", "make the writable layer");
    _close_ int upper = openat(dir, "upper", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (upper < 0 || (geteuid() == 0 && fchown(upper, st.st_uid, st.st_gid) < 0) || fchmod(upper, st.st_mode & 07777) < 0)
        return box_fail_sys(err, "openat", "upper", "make the writable layer");
    return 0;
}

static int use_image(box_container *c, int dir, struct box_image *image, box_error **err)
{
    const box_store *store = NULL;
    _strv_ char **lower = NULL;

    (void)store;
    int r = box_image_layer_dirs(image, &lower, err);
    if (r < 0)
        return r;
    _free_ char *work = box_strf("%s/containers/%s/work", c->root, c->id);
    char *const *names = box_image_names(image);
    c->image_id = strdup(box_image_id(image));
    c->manifest = strdup(box_image_digest(image));
    if (!c->image_name && names && names[0])
        box_image_familiar_name(names[0], &c->image_name, NULL);
    if (!c->stop_signal && *box_image_stop_signal(image))
        c->stop_signal = strdup(box_image_stop_signal(image));
    if (!work || !c->image_id || !c->manifest)
        return box_fail_nomem(err);
    r = make_upper(c, dir, lower, err);
    return r < 0 ? r : box_spec_set_root_overlay(c->spec, lower, c->upper, work, err);
}

/* As Docker sets it, for programs that ask nobody else for their host's name. */
static int add_hostname_variable(box_container *c, box_error **err)
{
    char host[65] = "";
    const char *name = c->spec->hostname;

    if (!name && gethostname(host, sizeof(host) - 1) == 0)
        name = host;
    return !name || box_spec_get_env(c->spec, "HOSTNAME") ? 0 : box_spec_set_env(c->spec, "HOSTNAME", name, err);
}

static int fill(box_container *c, const box_store *store, int dir, struct box_image *image, box_error **err)
{
    int r;

    if (!c->spec->hostname && c->spec->namespaces[SPEC_NS_UTS].present && !c->spec->namespaces[SPEC_NS_UTS].path) {
        char hostname[13];
        snprintf(hostname, sizeof(hostname), "%.12s", c->id);
        if ((r = box_spec_set_hostname(c->spec, hostname, err)) < 0)
            return r;
    }
    if (image) {
        if ((r = use_image(c, dir, image, err)) < 0 || (r = add_etc(c, dir, err)) < 0 ||
            (r = add_hostname_variable(c, err)) < 0)
            return r;
        if ((r = box_store_pin(store, dir, c->manifest, container_file_flags(c), err)) < 0)
            return r;
    }
    if ((r = box_spec_check(c->spec, err)) < 0)
        return r;
    return container_save_config(c, err);
}

/* ---- create -------------------------------------------------------------------------------------------------------- */

static int publish(box_container *c, int all, const char *temporary, const char *name, box_error **err)
{
    _close_ int lock = box_lock_take(all, ALL_LOCK, BOX_LOCK_EXCLUSIVE, box_deadline_in_ms(ALL_WAIT), err);
    int r = lock < 0 ? lock : take_name(all, c, name, err);

    if (r >= 0)
        r = container_save_meta(c, err);
    if (r >= 0 && !is_thrown_away(c))
        r = box_dir_sync(c->dir, err);
    if (r < 0)
        return r;
    /* The name first: one that leads to no container is free again, a container without a name would be lost. */
    if ((r = write_name(all, c, err)) < 0)
        return r;
    if (renameat(all, temporary, all, c->id) < 0)
        return box_fail_sys(err, "renameat", c->id, "make the container");
    c->unpublished = false;
    return is_thrown_away(c) ? 0 : box_dir_sync(all, err);
}

static box_container *new_container(const box_store *store, unsigned flags, box_error **err)
{
    box_container *c = calloc(1, sizeof(*c));

    if (!c) {
        box_fail_nomem(err);
        return NULL;
    }
    c->dir = c->run_dir = c->pidfd = c->host_lock = -1;
    c->flags = flags;
    c->unpublished = true;
    c->stop_timeout = 10;
    c->created = container_now();
    c->root = strdup(box_store_root(store));
    c->runroot = strdup(box_store_runroot(store));
    if (box_random_hex(c->id, CONTAINER_ID_LENGTH, err) < 0) {
        box_container_free(c);
        return NULL;
    }
    c->log_path = box_strf("%s/containers/%s/log", c->root, c->id);
    c->upper = box_strf("%s/containers/%s/upper", c->root, c->id);
    if (!c->root || !c->runroot || !c->log_path || !c->upper) {
        box_container_free(c);
        box_fail_nomem(err);
        return NULL;
    }
    return c;
}

/* The directory that it is made in, and its lock; both under the lock of the whole, so that no sweep comes in between and
 * takes a directory away that nobody holds yet. */
static int begin(box_container *c, int all, const char *temporary, box_error **err)
{
    _close_ int whole = box_lock_take(all, ALL_LOCK, BOX_LOCK_EXCLUSIVE, box_deadline_in_ms(ALL_WAIT), err);

    if (whole < 0)
        return whole;
    if (mkdirat(all, temporary, is_thrown_away(c) ? S_ISVTX | 0700 : 0700) < 0)
        return box_fail_sys(err, "mkdirat", temporary, "make the container");
    c->dir = openat(all, temporary, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (c->dir < 0)
        return box_fail_sys(err, "openat", temporary, "make the container");
    return box_lock_take(c->dir, "lock", BOX_LOCK_EXCLUSIVE, box_deadline_in_ms(0), err);
}

static int take_options(box_container *c, const box_container_options *o, box_error **err)
{
    if (o->stop_signal && container_signal_number(o->stop_signal) < 0)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = o->stop_signal},
                             "invalid signal: %s", o->stop_signal);
    c->stop_timeout = o->stop_timeout < 0 ? -1 : o->stop_timeout;
    if ((o->stop_signal && !(c->stop_signal = strdup(o->stop_signal))) ||
        (o->image_name && !(c->image_name = strdup(o->image_name))))
        return box_fail_nomem(err);
    return 0;
}

int box_container_create(struct box_store *store, const char *name, struct box_image *image, const box_spec *spec,
                         unsigned flags, box_container **container, box_error **err)
{
    box_container_options options = BOX_CONTAINER_OPTIONS_INIT;

    options.name = name;
    options.flags = flags;
    return box_container_create_with(store, image, spec, &options, container, err);
}

int box_container_create_with(struct box_store *store, struct box_image *image, const box_spec *spec,
                              const box_container_options *options, box_container **container, box_error **err)
{
    static const box_container_options usual = BOX_CONTAINER_OPTIONS_INIT;
    char temporary[CONTAINER_ID_LENGTH + 8];
    const char *name = options ? options->name : NULL;

    if (!store || !spec || !container)
        return box_fail(err, BOX_EINVAL, "box_container_create: store, spec and container must not be NULL");
    if (name && !container_name_is_valid(name))
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = name},
                             "the container name %s is not made of [a-zA-Z0-9][a-zA-Z0-9_.-]+", name);
    box_container_sweep(store, NULL, NULL);
    if (!options)
        options = &usual;
    _cleanup_(box_container) box_container *c = new_container(store, options->flags, err);
    if (!c)
        return err && *err ? box_error_code(*err) : BOX_ENOMEM;
    int r = box_spec_clone(spec, &c->spec, err);
    if (r < 0 || (r = take_options(c, options, err)) < 0)
        return r;
    _close_ int all = container_open_dir(store, err);
    if (all < 0)
        return all;
    snprintf(temporary, sizeof(temporary), ".new-%s", c->id);
    _close_ int lock = begin(c, all, temporary, err);
    if ((r = lock) >= 0)
        r = fill(c, store, c->dir, image, err);
    if (r >= 0)
        r = publish(c, all, temporary, name, err);
    if (r < 0) {
        box_remove_tree(all, temporary, NULL);
        return r;
    }
    *container = box_take(c);
    return 0;
}

/* Two names lead to it between the first step and the last; a kill in between leaves the old one to lead there as
 * well, until the container goes. */
int box_container_rename(box_container *c, const char *name, box_error **err)
{
    char owner[CONTAINER_ID_LENGTH + 1];

    if (!c || !name)
        return box_fail(err, BOX_EINVAL, "box_container_rename: arguments must not be NULL");
    if (!container_name_is_valid(name))
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = name},
                             "the container name %s is not made of [a-zA-Z0-9][a-zA-Z0-9_.-]+", name);
    int r = box_container_refresh(c, err);
    if (r < 0)
        return r;
    _free_ char *path = box_strf("%s/containers", c->root);
    _close_ int all = path ? box_dir_open(AT_FDCWD, path, 0700, err) : box_fail_nomem(err);
    if (all < 0)
        return all;
    _close_ int mine = container_lock(c, err);
    if (mine < 0)
        return mine;
    container_read_name(c);
    _close_ int lock = box_lock_take(all, ALL_LOCK, BOX_LOCK_EXCLUSIVE, box_deadline_in_ms(ALL_WAIT), err);
    _free_ char *before = strdup(c->name);
    if (lock < 0 || !before)
        return lock < 0 ? lock : box_fail_nomem(err);
    bool same = id_of_name(all, name, owner, NULL) == 1 && strcmp(owner, c->id) == 0;
    if (same)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = name},
                             "container %s has this name already", name);
    if ((r = take_name(all, c, name, err)) < 0)
        return r;
    if ((r = write_name(all, c, err)) < 0 || (r = container_save_meta(c, err)) < 0)
        return r;
    _close_ int names = names_dir(all, NULL);
    if (names >= 0)
        unlinkat(names, before, 0);
    return 0;
}

/* ---- finding ------------------------------------------------------------------------------------------------------- */

static bool is_id(const char *name)
{
    return strlen(name) == CONTAINER_ID_LENGTH && strspn(name, "0123456789abcdef") == CONTAINER_ID_LENGTH;
}

static int ids(int all, char ***out, box_error **err)
{
    int fd = openat(all, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);
    _strv_ char **list = NULL;
    struct dirent *e;

    if (!d) {
        if (fd >= 0)
            close(fd);
        return box_fail_sys(err, "opendir", "containers", "list the containers");
    }
    while ((e = readdir(d)))
        if (is_id(e->d_name) && box_strv_append(&list, e->d_name) < 0)
            return box_fail_nomem(err);
    *out = box_take(list);
    return 0;
}

static int id_of_prefix(int all, const char *prefix, char id[CONTAINER_ID_LENGTH + 1], box_error **err)
{
    _strv_ char **list = NULL;
    int found = 0, r = ids(all, &list, err);

    if (r < 0)
        return r;
    for (char **p = list; p && *p; p++) {
        if (strncmp(*p, prefix, strlen(prefix)) != 0)
            continue;
        if (found++)
            return box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = prefix,
                                                              .remedy = "give more of the id, or the name"},
                                 "several containers have ids that begin with %s", prefix);
        memcpy(id, *p, CONTAINER_ID_LENGTH + 1);
    }
    return found;
}

int box_container_open(struct box_store *store, const char *name, box_container **container, box_error **err)
{
    char id[CONTAINER_ID_LENGTH + 1];

    if (!store || !name || !container)
        return box_fail(err, BOX_EINVAL, "box_container_open: store, name and container must not be NULL");
    _close_ int all = container_open_dir(store, err);
    if (all < 0)
        return all;
    int r = *name ? id_of_name(all, name, id, err) : 0;
    if (r == 0 && *name && strspn(name, "0123456789abcdef") == strlen(name))
        r = id_of_prefix(all, name, id, err);
    if (r < 0)
        return r;
    if (r == 0)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ENOTFOUND, .subject = name}, "no such container: %s", name);
    _cleanup_(box_container) box_container *c = NULL;
    if ((r = container_load(store, id, &c, err)) < 0 || (r = box_container_refresh(c, err)) < 0)
        return r;
    *container = box_take(c);
    return 0;
}

static int newest_first(const void *a, const void *b)
{
    const box_container *x = *(box_container *const *)a, *y = *(box_container *const *)b;

    return x->created < y->created ? 1 : x->created > y->created ? -1 : 0;
}

int box_container_list(struct box_store *store, box_container ***list, size_t *n, box_error **err)
{
    _strv_ char **all_ids = NULL;
    size_t count = 0;

    if (!store || !list)
        return box_fail(err, BOX_EINVAL, "box_container_list: store and list must not be NULL");
    box_container_sweep(store, NULL, NULL);
    _close_ int all = container_open_dir(store, err);
    if (all < 0)
        return all;
    int r = ids(all, &all_ids, err);
    if (r < 0)
        return r;
    box_container **found = calloc(box_strv_length(all_ids) + 1, sizeof(box_container *));
    if (!found)
        return box_fail_nomem(err);
    for (char **id = all_ids; id && *id; id++) {
        box_container *c = NULL; /* one that goes away meanwhile, or is damaged, does not spoil the list */
        int loaded = container_load(store, *id, &c, NULL);
        if (loaded < 0) {
            if (loaded == BOX_EPARSE || loaded == BOX_ESPEC || loaded == BOX_ECORRUPT || loaded == BOX_ENOTFOUND)
                container_remove_torn(all, *id);
            continue;
        }
        if (c->removing) { /* cut short right after it was marked */
            _close_ int lock = container_lock(c, NULL);
            if (lock >= 0)
                container_remove_files(c, NULL);
        }
        if (c->removing || box_container_refresh(c, NULL) < 0 || c->removing)
            box_container_free(c);
        else
            found[count++] = c;
    }
    qsort(found, count, sizeof(*found), newest_first);
    *list = found;
    if (n)
        *n = count;
    return 0;
}

void box_container_list_free(box_container **list)
{
    for (box_container **c = list; c && *c; c++)
        box_container_free(*c);
    free(list);
}

void box_container_free(box_container *c)
{
    if (!c)
        return;
    box_process_free(c->process);
    if (c->host_lock >= 0 && c->run.present) { /* it was killed with this handle: no one else will finish it */
        c->process = NULL;
        close(c->host_lock);
        c->host_lock = -1;
        container_finish(c, NULL);
    }
    box_cgroup_free(c->cgroup);
    const int fds[] = {c->dir, c->run_dir, c->pidfd, c->host_lock};
    for (size_t i = 0; i < BOX_ARRAY(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    container_clear_run(&c->run);
    char *strings[] = {c->root, c->runroot, c->name, c->image_name, c->image_id, c->manifest, c->stop_signal, c->log_path, c->upper};
    for (size_t i = 0; i < BOX_ARRAY(strings); i++)
        free(strings[i]);
    box_spec_free(c->spec);
    free(c);
}
