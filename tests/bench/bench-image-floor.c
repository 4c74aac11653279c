/* The floor of each row: the system calls and the arithmetic that no tool can leave out, on all processors, with nothing
 * checked, nothing kept in order, and all of it in memory.
 *
 * Pulling: fetch the blobs, digest them, inflate them, digest what comes out, make the files with their times and modes
 * in a tree for each layer. `kept` also writes the blobs, as a store does that can push and save them again; `synced` also
 * has it all on disk at the end. */
#include "bench-image.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <isa-l/igzip_lib.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

#define RATIO       8 /* what a blob inflates to at most */
#define THREADS_MAX 64

struct floor_layer {
    const char *digest;
    char *blob, *tar;
    size_t blob_size, tar_size;
    int dir;
    bool inflated;
};
static struct floor_layer layers[IMAGE_LAYERS];
static bool floor_fetches, floor_keeps;
static int floor_room = -1;
static pthread_mutex_t floor_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t floor_cond = PTHREAD_COND_INITIALIZER;
static void (*isal_init)(struct inflate_state *);
static int (*isal)(struct inflate_state *);

/* ---- Threads, one a processor, that take one item after the other ---- */

static unsigned next_item, items;
static void (*do_item)(unsigned);

static void *take_items(void *data)
{
    for (unsigned item; (item = __atomic_fetch_add(&next_item, 1, __ATOMIC_RELAXED)) < items;)
        do_item(item);
    return data;
}

static void on_all_processors(void (*what)(unsigned), unsigned count)
{
    pthread_t threads[THREADS_MAX];
    cpu_set_t set;

    next_item = 0;
    items = count;
    do_item = what;
    sched_getaffinity(0, sizeof(set), &set);
    unsigned n = (unsigned)CPU_COUNT(&set) < THREADS_MAX ? (unsigned)CPU_COUNT(&set) : THREADS_MAX;
    for (unsigned i = 0; i < n; i++)
        if (pthread_create(&threads[i], NULL, take_items, NULL) != 0)
            _exit(6);
    for (unsigned i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
}

/* ---- Pulling ---- */

static void *map(size_t size)
{
    void *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (data == MAP_FAILED)
        _exit(7);
    madvise(data, size, MADV_HUGEPAGE); /* or half of the time would be page faults */
    return data;
}

static void fetch(struct floor_layer *l)
{
    char path[300];
    const char *name = strchr(image_settings.registry, '/');
    char host[100];
    int status = 0;

    snprintf(host, sizeof(host), "%.*s", (int)(name - image_settings.registry), image_settings.registry);
    snprintf(path, sizeof(path), "/v2/%.*s/blobs/%s", (int)strcspn(name + 1, ":"), name + 1, l->digest);
    if (http_get(host, path, l->blob, l->blob_size, &status) != (int64_t)l->blob_size || status != 200)
        _exit(8);
}

static void keep(const struct floor_layer *l)
{
    int fd = openat(floor_room, l->digest, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0 || box_write_all(fd, l->blob, l->blob_size) < 0)
        _exit(9);
    close(fd);
}

static void inflate_layer(struct floor_layer *l)
{
    struct inflate_state *state = malloc(sizeof(*state));

    if (!state)
        _exit(7);
    isal_init(state);
    state->crc_flag = ISAL_GZIP;
    state->next_in = (uint8_t *)l->blob;
    state->avail_in = (uint32_t)l->blob_size;
    state->next_out = (uint8_t *)l->tar;
    state->avail_out = (uint32_t)l->tar_size;
    if (isal(state) != ISAL_DECOMP_OK)
        _exit(3);
    l->tar_size -= state->avail_out;
    free(state);
    pthread_mutex_lock(&floor_mutex);
    l->inflated = true;
    pthread_cond_broadcast(&floor_cond);
    pthread_mutex_unlock(&floor_mutex);
}

static void digest_floor(const char *data, size_t size)
{
    struct box_digest digest;

    if (box_digest_data(BOX_SHA256, data, size, &digest, NULL) < 0)
        _exit(10);
}

static void make_file(int dir, const char *h, const char *name, size_t size, const struct timespec times[2])
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)strtoul(h + 100, NULL, 8));

    if (fd < 0 || box_write_all(fd, h + 512, size) < 0 || futimens(fd, times) < 0)
        _exit(5);
    close(fd);
}

static void make_files(struct floor_layer *l)
{
    for (size_t at = 0; at + 512 <= l->tar_size && l->tar[at];) {
        const char *h = l->tar + at;
        size_t size = strtoull(h + 124, NULL, 8);
        const time_t mtime = (time_t)strtoull(h + 136, NULL, 8);
        const struct timespec times[2] = {{mtime, 0}, {mtime, 0}};
        char name[101];
        snprintf(name, sizeof(name), "%.100s", h);
        if (h[156] == '5') {
            for (char *p = name; (p = strchr(p, '/')); *p++ = '/') {
                *p = '\0';
                mkdirat(l->dir, name, 0755);
            }
        } else if (h[156] == '2') {
            if (symlinkat(h + 157, l->dir, name) < 0 || utimensat(l->dir, name, times, AT_SYMLINK_NOFOLLOW) < 0)
                _exit(4);
        } else {
            make_file(l->dir, h, name, size, times);
        }
        at += 512 + (size + 511) / 512 * 512;
    }
}

/* In this order: what others wait for comes first, and of each the large one. */
static void pull_item(unsigned item)
{
    struct floor_layer *l = &layers[IMAGE_LAYERS - 1 - item % IMAGE_LAYERS];

    switch (item / IMAGE_LAYERS) {
    case 0:
        if (floor_fetches)
            fetch(l);
        inflate_layer(l);
        return;
    case 3:
        digest_floor(l->blob, l->blob_size);
        if (floor_keeps)
            keep(l);
        return;
    default:
        pthread_mutex_lock(&floor_mutex);
        while (!l->inflated)
            pthread_cond_wait(&floor_cond, &floor_mutex);
        pthread_mutex_unlock(&floor_mutex);
        if (item / IMAGE_LAYERS == 1)
            make_files(l);
        else
            digest_floor(l->tar, l->tar_size);
    }
}

static void open_isal(void)
{
    void *library = dlopen("libisal.so.2", RTLD_NOW);
    void *init = library ? dlsym(library, "isal_inflate_init") : NULL;
    void *inflate = library ? dlsym(library, "isal_inflate") : NULL;

    memcpy(&isal_init, &init, sizeof(init));
    memcpy(&isal, &inflate, sizeof(inflate));
    if (!isal_init || !isal) {
        fprintf(stderr, "ISA-L is not installed\n");
        _exit(1);
    }
}

static void prepare(struct floor_layer *l, unsigned number)
{
    char name[32], path[400];
    struct stat st;

    l->digest = image_settings.layers[number];
    int fd = open(image_blob(l->digest, path), O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        _exit(11);
    l->blob_size = (size_t)st.st_size;
    l->blob = floor_fetches ? map(l->blob_size)
                            : mmap(NULL, l->blob_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    close(fd);
    l->tar_size = l->blob_size * RATIO;
    l->tar = map(l->tar_size);
    snprintf(name, sizeof(name), "layer%u", number);
    if (mkdirat(floor_room, name, 0755) < 0)
        _exit(12);
    l->dir = openat(floor_room, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int pull_and(const char *room, bool fetches, bool keeps, bool syncs)
{
    open_isal();
    floor_fetches = fetches && image_settings.registry;
    floor_keeps = keeps;
    floor_room = open(room, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (unsigned i = 0; i < IMAGE_LAYERS; i++)
        prepare(&layers[i], i);
    on_all_processors(pull_item, 4 * IMAGE_LAYERS);
    return syncs && syncfs(floor_room) < 0;
}

int floor_pull(const char *room, const char *run)
{
    (void)run;
    return pull_and(room, true, false, false);
}

int floor_pull_kept(const char *room, const char *run)
{
    (void)run;
    return pull_and(room, true, true, false);
}

int floor_pull_synced(const char *room, const char *run)
{
    (void)run;
    return pull_and(room, true, true, true);
}

/* From files, which need no fetching. */
int floor_load(const char *room, const char *run)
{
    (void)run;
    return pull_and(room, false, false, false);
}

/* ---- Pushing ---- */

static const char *push_run;

static void push_blob(unsigned item)
{
    const char *digest = item < IMAGE_LAYERS ? image_settings.layers[IMAGE_LAYERS - 1 - item] : image_settings.config;
    char path[400], location[1000] = "", put[1200];
    struct stat st;
    int fd = open(image_blob(digest, path), O_RDONLY | O_CLOEXEC);

    snprintf(put, sizeof(put), "/v2/floor-%s/blobs/uploads/", push_run);
    if (fd < 0 || fstat(fd, &st) < 0 ||
        http_send(image_settings.target, "POST", put, "application/octet-stream", -1, 0, location) != 202)
        _exit(2);
    snprintf(put, sizeof(put), "%s%cdigest=%s", location, strchr(location, '?') ? '&' : '?', digest);
    if (http_send(image_settings.target, "PUT", put, "application/octet-stream", fd, (size_t)st.st_size, NULL) != 201)
        _exit(3);
    close(fd);
}

int floor_push(const char *room, const char *run)
{
    char path[400], put[100];
    struct stat st;

    (void)room;
    push_run = run;
    on_all_processors(push_blob, IMAGE_LAYERS + 1);
    int fd = open(image_blob(image_settings.manifest, path), O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return 4;
    snprintf(put, sizeof(put), "/v2/floor-%s/manifests/1", run);
    int status = http_send(image_settings.target, "PUT", put, "application/vnd.oci.image.manifest.v1+json", fd,
                           (size_t)st.st_size, NULL);
    close(fd);
    return status != 201;
}

/* ---- Saving: a header and a copy for each blob ---- */

static int save_and(bool syncs)
{
    static const char header[512];
    char path[400];
    struct stat st;
    int to = open(getenv("OUT"), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    for (unsigned i = 0; i < IMAGE_LAYERS + 2; i++) {
        const char *digest = i < IMAGE_LAYERS ? image_settings.layers[i]
                             : i == IMAGE_LAYERS ? image_settings.config : image_settings.manifest;
        int from = open(image_blob(digest, path), O_RDONLY | O_CLOEXEC);
        if (to < 0 || from < 0 || fstat(from, &st) < 0 || box_write_all(to, header, sizeof(header)) < 0)
            return 2;
        for (off_t left = st.st_size; left > 0;) {
            ssize_t n = copy_file_range(from, NULL, to, NULL, (size_t)left, 0);
            if (n <= 0)
                return 3;
            left -= n;
        }
        close(from);
    }
    int r = syncs ? fsync(to) : 0;
    close(to);
    return r < 0;
}

int floor_save(const char *room, const char *run)
{
    (void)room;
    (void)run;
    return save_and(false);
}

int floor_save_synced(const char *room, const char *run)
{
    (void)room;
    (void)run;
    return save_and(true);
}

/* ---- Removing: directories that hold files are the items ---- */

static char **leaves;
static size_t n_leaves;

/* Lists what is below, directories behind what they hold. */
static void list(int dirfd, const char *path)
{
    int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);

    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        char below[1000];
        if (e->d_type != DT_DIR || strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(below, sizeof(below), "%.700s/%.250s", path, e->d_name);
        list(dirfd, below);
    }
    if (d)
        closedir(d);
    leaves = realloc(leaves, (n_leaves + 1) * sizeof(*leaves));
    if (!leaves || !(leaves[n_leaves++] = strdup(path)))
        _exit(7);
}

static void empty(unsigned item)
{
    int fd = openat(floor_room, leaves[item], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);

    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d))
        if (e->d_type != DT_DIR && unlinkat(fd, e->d_name, 0) < 0)
            _exit(2);
    if (d)
        closedir(d);
}

int floor_remove(const char *room, const char *run)
{
    (void)run;
    floor_room = open(room, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    list(floor_room, ".");
    on_all_processors(empty, (unsigned)n_leaves);
    for (size_t i = 0; i + 1 < n_leaves; i++)
        if (unlinkat(floor_room, leaves[i], AT_REMOVEDIR) < 0)
            return 3;
    return 0;
}
