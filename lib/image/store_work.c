/* The store's lock, and workplaces with their leases.
 *
 * A workplace is tmp/RANDOM. It is made with the store's lock held shared, and whoever sweeps holds it
 * exclusively, so a workplace without a held lease is a dead one, at every instant. The sweeper takes the
 * dead lease itself while it clears, so that several may sweep at once; a sweeper that is killed leaves just
 * another dead workplace. */
#include "image/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/strings.h"

#define LOCK_FILE "lock"
#define LEASE     "lease"
#define DATA      "data"
/* A lease lists digests, some 75 bytes each. */
#define LEASE_MAX (16u << 20)
#define CLAIMS    16

int box_store_lock(const box_store *store, enum box_lock kind, box_error **err)
{
    if (store->readonly) {
        if (kind == BOX_LOCK_EXCLUSIVE) {
            struct box_fail_info info = {.code = BOX_EPERMISSION, .errnum = EROFS, .subject = store->root};
            return box_fail_with(err, &info, "the store %s cannot be changed", store->root);
        }
        int fd = fcntl(store->rootfd, F_DUPFD_CLOEXEC, 3);
        return fd < 0 ? box_fail_sys(err, "fcntl", store->root, "cannot duplicate a descriptor") : fd;
    }
    int fd = box_lock_take(store->rootfd, LOCK_FILE, kind, BOX_NEVER, err);
    return fd < 0 ? box_fail_wrap(err, fd, "store %s", store->root) : fd;
}

void box_store_unlock(int *fd)
{
    if (*fd < 0)
        return;
    int saved = errno;
    flock(*fd, LOCK_UN);
    close(*fd);
    *fd = -1;
    errno = saved;
}

/* ---- A workplace of one's own ---- */

static int fill_workplace(struct box_store_work *work, int dirfd, box_error **err)
{
    work->leasefd = box_lock_take(dirfd, LEASE, BOX_LOCK_EXCLUSIVE, BOX_NEVER, err);
    if (work->leasefd < 0)
        return work->leasefd;
    if (mkdirat(dirfd, DATA, 0700) < 0)
        return box_fail_sys(err, "mkdir", work->name, "cannot make a workplace in the store");
    work->fd = openat(dirfd, DATA, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (work->fd < 0)
        return box_fail_sys(err, "open", work->name, "cannot open the workplace in the store");
    return 0;
}

int box_store_work_begin(const box_store *store, struct box_store_work *work, box_error **err)
{
    *work = BOX_STORE_WORK_NONE;
    int r = box_random_hex(work->name, sizeof(work->name) - 1, err);
    if (r < 0)
        return r;
    if (store->readonly)
        return box_store_lock(store, BOX_LOCK_EXCLUSIVE, err); /* says why not */
    _store_unlock_ int lock = box_store_lock(store, BOX_LOCK_SHARED, err);
    if (lock < 0)
        return lock;
    if (mkdirat(store->tmpfd, work->name, 0700) < 0)
        return box_fail_sys(err, "mkdir", store->root, "cannot make a workplace in the store");
    work->store = store;
    _close_ int dirfd = openat(store->tmpfd, work->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    r = dirfd < 0 ? box_fail_sys(err, "open", work->name, "cannot open the workplace in the store")
                  : fill_workplace(work, dirfd, err);
    if (r < 0)
        box_store_work_end(work);
    return r;
}

int box_store_work_need(struct box_store_work *work, const char *kind, const struct box_digest *digest,
                        box_error **err)
{
    char hex[BOX_DIGEST_TEXT];
    _free_ char *line = box_strf("%s %s\n", kind, box_digest_hex(digest, hex));

    if (!line)
        return box_fail_nomem(err);
    _store_unlock_ int lock = box_store_lock(work->store, BOX_LOCK_SHARED, err);
    if (lock < 0)
        return lock;
    if (lseek(work->leasefd, 0, SEEK_END) < 0 || box_write_all(work->leasefd, line, strlen(line)) < 0)
        return box_fail_sys(err, "write", LEASE, "cannot write the lease of an operation");
    return 0;
}

/* Clears tmp/NAME, whose lease is held: the data first, then the lease, then the directory. Should another
 * sweeper have put a new lease between the last two, it finishes the work. */
static int clear_workplace(const box_store *store, const char *name, box_error **err)
{
    _close_ int dirfd = openat(store->tmpfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (dirfd < 0)
        return errno == ENOENT ? 0 : box_fail_sys(err, "open", name, "cannot clear a workplace of the store");
    int r = box_remove_tree(dirfd, DATA, err);
    if (r < 0)
        return r;
    unlinkat(dirfd, LEASE, 0);
    if (unlinkat(store->tmpfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT && errno != ENOTEMPTY)
        return box_fail_sys(err, "rmdir", name, "cannot clear a workplace of the store");
    return 0;
}

void box_store_work_end(struct box_store_work *work)
{
    if (!work->store)
        return;
    int saved = errno;
    box_cleanup_close(&work->fd);
    clear_workplace(work->store, work->name, NULL);
    box_store_unlock(&work->leasefd);
    *work = BOX_STORE_WORK_NONE;
    errno = saved;
}

/* ---- Those of others ---- */

static DIR *open_tmp(const box_store *store)
{
    int fd = openat(store->tmpfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (!dir)
        box_cleanup_close(&fd);
    return dir;
}

static bool is_dots(const char *name)
{
    return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

struct claim {
    char name[33];
    int leasefd;
};

/* Takes the leases of some dead workplaces. The store's lock is held exclusively. */
static size_t claim_dead(const box_store *store, struct claim claims[CLAIMS])
{
    _closedir_ DIR *dir = open_tmp(store);
    size_t n = 0;

    for (struct dirent *e = dir ? readdir(dir) : NULL; e && n < CLAIMS; e = readdir(dir)) {
        if (is_dots(e->d_name) || strlen(e->d_name) >= sizeof(claims[n].name))
            continue;
        _close_ int fd = openat(store->tmpfd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
            continue;
        int lease = box_lock_take(fd, LEASE, BOX_LOCK_EXCLUSIVE, box_deadline_in_ns(0), NULL);
        if (lease < 0)
            continue;
        memcpy(claims[n].name, e->d_name, strlen(e->d_name) + 1);
        claims[n++].leasefd = lease;
    }
    return n;
}

static bool is_empty(const box_store *store)
{
    _closedir_ DIR *dir = open_tmp(store);

    for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir))
        if (!is_dots(e->d_name))
            return false;
    return true;
}

int box_store_sweep(const box_store *store, size_t *count, box_error **err)
{
    struct claim claims[CLAIMS];
    size_t n = CLAIMS, cleared = 0;
    int r = 0;

    while (r == 0 && n > 0 && !is_empty(store)) {
        _store_unlock_ int lock = box_store_lock(store, BOX_LOCK_EXCLUSIVE, err);
        if (lock < 0)
            return lock;
        n = claim_dead(store, claims);
        box_store_unlock(&lock);
        for (size_t i = 0; i < n; i++) {
            int failed = clear_workplace(store, claims[i].name, r == 0 ? err : NULL);
            r = r ? r : failed;
            cleared += failed == 0;
            box_store_unlock(&claims[i].leasefd);
        }
    }
    if (count)
        *count = cleared;
    return r;
}

static int visit_lease(char *text, box_store_need_fn *visit, void *data, box_error **err)
{
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        char *space = strchr(line, ' ');
        *end = '\0';
        if (!space)
            continue;
        *space = '\0';
        int r = visit(line, space + 1, data, err);
        if (r < 0)
            return r;
    }
    return 0; /* a last line without an end was being written: its operation still waits for the lock */
}

int box_store_each_need(const box_store *store, box_store_need_fn *visit, void *data, box_error **err)
{
    _closedir_ DIR *dir = open_tmp(store);

    if (!dir)
        return box_fail_sys(err, "opendir", store->root, "cannot read the store's directory tmp");
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        _free_ char *text = NULL;
        if (is_dots(e->d_name))
            continue;
        _close_ int fd = openat(store->tmpfd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        /* Dead ones count too: they are swept in their own time, and this errs on the safe side. */
        int r = fd < 0 ? 0 : box_file_read(fd, LEASE, LEASE_MAX, &text, NULL, err);
        if (r == BOX_ENOTFOUND && err) {
            box_error_free(*err);
            *err = NULL;
        } else if (r < 0) {
            return r;
        }
        r = text ? visit_lease(text, visit, data, err) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}
