/* Opening a store: where it is, whether it may be trusted, and making what is missing.
 *
 * In this order: the two directories are worked out and opened by descriptor; whoever else could write to
 * them could lead the rest anywhere, so owner and mode are looked at; the layout file is written or read; the
 * directories below are made; what killed processes left is swept. All later work starts from the
 * descriptors. */
#include "image/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/json.h"
#include "base/strings.h"
#include "image/store_late.h"
#include "kernel/mount.h"

#define LAYOUT_VERSION 1
#define LAYOUT_FILE    "layout"
#define LAYOUT_MAX     4096

/* ---- Where ---- */

static char *below(const char *dir, const char *name)
{
    return dir && dir[0] == '/' ? box_strf("%s/%s", dir, name) : NULL;
}

static char *default_root(void)
{
    if (geteuid() == 0)
        return strdup("/var/lib/libbox");
    char *path = below(secure_getenv("XDG_DATA_HOME"), "libbox");
    return path ? path : below(secure_getenv("HOME"), ".local/share/libbox");
}

/* *guessable: it lies in a directory where others may have put something under that name before. */
static char *default_runroot(bool *guessable)
{
    if (geteuid() == 0)
        return strdup("/run/libbox");
    char *path = below(secure_getenv("XDG_RUNTIME_DIR"), "libbox");
    *guessable = !path;
    return path ? path : box_strf("/tmp/libbox-%u", (unsigned)geteuid());
}

/* An absolute path without slashes at its end. */
static int make_absolute(const char *path, char **out, box_error **err)
{
    _free_ char *cwd = path[0] == '/' ? NULL : getcwd(NULL, 0);

    if (path[0] != '/' && !cwd)
        return box_fail_sys(err, "getcwd", path, "the working directory has no name");
    *out = cwd ? box_strf("%s/%s", cwd, path) : strdup(path);
    if (!*out)
        return box_fail_nomem(err);
    for (size_t n = strlen(*out); n > 1 && (*out)[n - 1] == '/'; n--)
        (*out)[n - 1] = '\0';
    return 0;
}

/* ---- Trusting a directory ---- */

static int check_owner(int fd, const char *path, box_error **err)
{
    struct box_fail_info info = {.code = BOX_EPERMISSION, .subject = path};
    struct stat st;

    if (fstat(fd, &st) < 0)
        return box_fail_sys(err, "fstat", path, "cannot look at %s", path);
    if (st.st_uid != geteuid()) {
        info.remedy = "use the store of this user, or give another directory";
        return box_fail_with(err, &info, "%s belongs to user %u, not to user %u", path, (unsigned)st.st_uid,
                             (unsigned)geteuid());
    }
    if (st.st_mode & 022) {
        info.remedy = "chmod go-w it, if nobody else has been in it";
        return box_fail_with(err, &info, "%s can be written to by others (mode %04o)", path,
                             (unsigned)st.st_mode & 07777);
    }
    return 0;
}

/* Opens the directory, making it (0700) and those above it (0755) unless it must be there. */
static int open_top(const char *path, bool existing, bool guessable, box_error **err)
{
    _free_ char *parent = strdup(path);
    char *slash = parent ? strrchr(parent, '/') : NULL;
    int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | (guessable ? O_NOFOLLOW : 0);
    _close_ int fd = -1;

    if (!slash)
        return box_fail_nomem(err);
    if (!existing && slash[1]) {
        *slash = '\0';
        _close_ int parentfd = box_dir_open(AT_FDCWD, slash == parent ? "/" : parent, 0755, err);
        if (parentfd < 0)
            return parentfd;
        if (mkdirat(parentfd, slash + 1, 0700) < 0 && errno != EEXIST && errno != EROFS)
            return box_fail_sys(err, "mkdir", path, "cannot make %s", path);
    }
    fd = open(path, flags);
    if (fd < 0)
        return box_fail_sys(err, "open", path, "cannot open %s", path);
    int r = check_owner(fd, path, err);
    return r < 0 ? r : box_take_fd(&fd);
}

static int open_below(int dirfd, const char *name, bool readonly, int *fd, box_error **err)
{
    if (!readonly && mkdirat(dirfd, name, 0700) < 0 && errno != EEXIST)
        return box_fail_sys(err, "mkdir", name, "cannot make the store's directory %s", name);
    *fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (*fd < 0)
        return box_fail_sys(err, "open", name, "cannot open the store's directory %s", name);
    return 0;
}

/* ---- Layout ---- */

static int check_layout(const char *text, size_t length, box_error **err)
{
    _cleanup_(json_object) json_object *doc =
        box_json_parse(text, length, &BOX_JSON_DEFAULT, LAYOUT_FILE, err);
    struct box_json_at root = BOX_JSON_ROOT(doc);
    uint64_t version = 0;
    int r;

    if (!doc)
        return err && *err ? box_error_code(*err) : BOX_EPARSE;
    r = box_json_get_u64(&root, "libboxStore", BOX_JSON_REQUIRED, 1, UINT32_MAX, &version, err);
    if (r == 0 && version != LAYOUT_VERSION) {
        struct box_fail_info info = {.code = BOX_EUNSUPPORTED,
                                     .subject = LAYOUT_FILE,
                                     .remedy = "update libbox, or use another store"};
        return box_fail_with(err, &info, "the store has layout %u; this libbox knows %u", (unsigned)version,
                             LAYOUT_VERSION);
    }
    return r;
}

/* Reads the layout file; where there is none, makes one, unless the store must be there already. */
static int settle_layout(const struct box_store *store, bool existing, box_error **err)
{
    char text[64];
    _free_ char *data = NULL;
    size_t length = 0;

    if (!existing && !store->readonly && faccessat(store->rootfd, LAYOUT_FILE, F_OK, 0) < 0 &&
        errno == ENOENT) {
        int n = snprintf(text, sizeof(text), "{\"libboxStore\":%d}\n", LAYOUT_VERSION);
        int r = box_file_replace(store->rootfd, LAYOUT_FILE, text, (size_t)n, 0600, BOX_FILE_EXCLUSIVE, NULL);
        if (r < 0 && r != BOX_EEXISTS)
            return box_file_replace(store->rootfd, LAYOUT_FILE, text, (size_t)n, 0600, 0, err);
    }
    int r = box_file_read(store->rootfd, LAYOUT_FILE, LAYOUT_MAX, &data, &length, err);
    if (r == BOX_ENOTFOUND) {
        struct box_fail_info info = {.code = BOX_ENOTFOUND, .subject = store->root};
        box_error_free(err ? *err : NULL);
        return box_fail_with(err, &info, "there is no store in %s", store->root);
    }
    if (r == 0)
        r = check_layout(data, length, err);
    return r < 0 ? box_fail_wrap(err, r, "store %s", store->root) : 0;
}

/* ---- The process ---- */

static void read_boot_id(char *out, size_t size)
{
    _free_ char *text = NULL;

    if (box_file_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 256, &text, NULL, NULL) == 0)
        snprintf(out, size, "%.*s", (int)strcspn(text, "\n"), text);
}

/* ---- Opening and closing ---- */

static int open_directories(struct box_store *store, box_error **err)
{
    _close_ int blobs = -1;
    _close_ int empty = -1;
    const struct {
        const char *name;
        int *fd;
    } table[] = {{"blobs", &blobs},
                 {"blobs/sha256", &store->blobsfd},
                 {"blobs/partial", &store->partialfd},
                 {"layers", &store->layersfd},
                 {"containers", &store->containersfd},
                 {"volumes", &store->volumesfd},
                 {"empty", &empty},
                 {"tmp", &store->tmpfd}};

    for (size_t i = 0; i < BOX_ARRAY(table); i++) {
        if (store->readonly && table[i].fd == &store->partialfd &&
            faccessat(store->rootfd, table[i].name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
            continue; /* a store from before there were any */
        int r = open_below(store->rootfd, table[i].name, store->readonly, table[i].fd, err);
        if (r < 0)
            return box_fail_wrap(err, r, "store %s", store->root);
    }
    /* The layer of an image that has none; its mode becomes that of the container's root. */
    if (!store->readonly && fchmod(empty, 0755) < 0)
        return box_fail_sys(err, "fchmod", store->root, "cannot set the mode of the store's directory empty");
    return 0;
}

static int open_at(struct box_store *store, const char *root, const char *runroot, unsigned flags,
                   box_error **err)
{
    bool existing = flags & BOX_STORE_EXISTING, guessable = false;
    _free_ char *own_root = root ? NULL : default_root();
    _free_ char *own_runroot = runroot ? NULL : default_runroot(&guessable);
    struct statvfs fs;
    int r;

    root = root ? root : own_root;
    runroot = runroot ? runroot : own_runroot;
    if (!root || !*root || !runroot || !*runroot) {
        struct box_fail_info info = {.code = BOX_EINVAL,
                                     .remedy = "set HOME or XDG_DATA_HOME, or name the directory"};
        return box_fail_with(err, &info, "no directory for the store is known");
    }
    if ((r = make_absolute(root, &store->root, err)) < 0 ||
        (r = make_absolute(runroot, &store->runroot, err)) < 0)
        return r;
    if ((r = store->rootfd = open_top(store->root, existing, false, err)) < 0)
        return r;
    if ((r = store->runfd = open_top(store->runroot, false, guessable, err)) < 0)
        return r;
    store->readonly = fstatvfs(store->rootfd, &fs) == 0 && (fs.f_flag & ST_RDONLY);
    /* What user 0 of a nested user namespace may do is not what owners and devices of an image ask for. And the layers'
     * marks have to be the ones that the overlay will look at. */
    store->privileged = box_overlay_is_trusted();
    read_boot_id(store->boot, sizeof(store->boot));
    if ((r = settle_layout(store, existing, err)) < 0 || (r = open_directories(store, err)) < 0)
        return r;
    if (!store->readonly)
        box_store_sweep(store, NULL, NULL); /* a failure to tidy up is no reason not to open */
    return 0;
}

int box_store_open(const char *root, const char *runroot, unsigned flags, box_store **store, box_error **err)
{
    if (!store || (flags & ~(unsigned)BOX_STORE_EXISTING))
        return box_fail(err, BOX_EINVAL, "box_store_open: a wrong argument");
    struct box_store *s = calloc(1, sizeof(*s));
    if (!s)
        return box_fail_nomem(err);
    s->rootfd = s->runfd = s->blobsfd = s->partialfd = s->layersfd = s->containersfd = s->volumesfd = s->tmpfd = -1;
    int r = open_at(s, root, runroot, flags, err);
    if (r < 0) {
        box_store_free(s);
        return r;
    }
    if (!s->readonly)
        box_store_recover(s, false, NULL); /* what cannot be recovered is no reason not to open either */
    *store = s;
    return 0;
}

void box_store_free(box_store *store)
{
    if (!store)
        return;
    int *const fds[] = {&store->rootfd,   &store->runfd,        &store->blobsfd,   &store->partialfd,
                        &store->layersfd, &store->containersfd, &store->volumesfd, &store->tmpfd};
    for (size_t i = 0; i < BOX_ARRAY(fds); i++)
        box_cleanup_close(fds[i]);
    free(store->root);
    free(store->runroot);
    free(store);
}

const char *box_store_root(const box_store *store)
{
    return store->root;
}

const char *box_store_runroot(const box_store *store)
{
    return store->runroot;
}

char *box_store_containers_dir(const box_store *store)
{
    return box_strf("%s/containers", store->root);
}

char *box_store_volumes_dir(const box_store *store)
{
    return box_strf("%s/volumes", store->root);
}

DIR *box_store_read_dir(int dirfd)
{
    int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (!dir)
        box_cleanup_close(&fd);
    return dir;
}
