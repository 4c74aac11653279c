/* A disk that is full, a run directory that is full, a store that is read-only. Each call says so and leaves nothing
 * behind; nothing is started that could not be written down; and with room again all goes on.
 *
 * In a mount namespace of its own, with a tmpfs of 32 MiB that is filled up to some pages. */
#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include "base/digest.h"
#include "hostile.h"
#include "tarball.h"

static char *root, *disk, *small, *filler, *archive;

/* What one life comes to: the first failure, and of which call. */
struct life {
    int code;
    char call[24], message[512];
    bool silent; /* a failure without an error object */
};

static int note(struct life *life, const char *call, int r, box_error **err)
{
    if (r < 0 && !life->code) {
        life->code = r;
        snprintf(life->call, sizeof(life->call), "%s", call);
        snprintf(life->message, sizeof(life->message), "%s", *err ? box_error_message(*err) : "");
        life->silent = !*err;
    }
    box_error_free(*err);
    *err = NULL;
    return r;
}

static struct life live(const char *store_path, const char *run_path, const char *name)
{
    struct life life = {0};
    box_error *err = NULL;
    box_store *store = NULL;
    box_spec *spec = hostile_spec(root, "id", NULL);
    box_container *c = NULL;

    int r = note(&life, "open", box_store_open(store_path, run_path, 0, &store, &err), &err);
    if (r >= 0)
        r = note(&life, "load", box_image_load(store, archive, NULL, NULL, &err), &err);
    if (store && (r >= 0 || life.code == BOX_ELIBRARY))
        r = note(&life, "create", box_container_create(store, name, NULL, spec, 0, &c, &err), &err);
    if (c && r >= 0)
        r = note(&life, "start", box_container_start_detached(c, &err), &err);
    if (c && r >= 0)
        r = note(&life, "wait", box_container_wait(c, 20000, &err), &err);
    if (c)
        note(&life, "remove", box_container_remove(c, BOX_CONTAINER_FORCE, &err), &err);
    box_container_free(c);
    box_spec_free(spec);
    box_store_free(store);
    return life;
}

/* Leaves `bytes` free on the file system that the file is on. */
static void fill(const char *path, long bytes)
{
    struct statvfs fs;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0 || fstatvfs(fd, &fs) < 0)
        exit(99);
    long free_bytes = (long)(fs.f_bavail * fs.f_frsize);
    struct stat st;
    if (fstat(fd, &st) < 0 || (free_bytes > bytes && posix_fallocate(fd, st.st_size, free_bytes - bytes) != 0))
        exit(99);
    close(fd);
}

/* Processes that run the payload of this test. */
static int payloads(void)
{
    char *path = hostile_path("%s/bin/payload", root), link[64];
    struct stat payload, st;
    DIR *d = opendir("/proc");
    int n = 0;

    if (stat(path, &payload) < 0)
        exit(99);
    for (struct dirent *e; d && (e = readdir(d));) {
        snprintf(link, sizeof(link), "/proc/%.20s/exe", e->d_name);
        n += e->d_name[0] >= '1' && e->d_name[0] <= '9' && stat(link, &st) == 0 && st.st_ino == payload.st_ino &&
             st.st_dev == payload.st_dev;
    }
    if (d)
        closedir(d);
    free(path);
    return n;
}

static int left_in(const char *directory)
{
    DIR *d = opendir(directory);
    int n = 0;

    for (struct dirent *e; d && (e = readdir(d));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && strcmp(e->d_name, ".lock") != 0 &&
            strcmp(e->d_name, ".names") != 0) {
            diag("left in %s: %s", directory, e->d_name);
            n++;
        }
    if (d)
        closedir(d);
    return n;
}

static bool about_space(const struct life *life)
{
    return life->code == BOX_ENOSPACE || strstr(life->message, "space");
}

/* Each amount of free space from none to enough. */
static void full(const char *what, const char *store_path, const char *run_path, const char *filled)
{
    enum { STEPS = 20 };
    int failures = 0, odd = 0, silent = 0, successes = 0, left = 0, after = 0, running = 0;

    for (int i = 0; i < STEPS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "c%d", i);
        fill(filled, i * (i < 16 ? 4096L : 16384L));
        struct life life = live(store_path, run_path, name);
        failures += life.code < 0;
        successes += life.code == 0;
        silent += life.code < 0 && life.silent;
        if (life.code < 0 && !about_space(&life) && life.code != BOX_ELIBRARY && odd++ < 5)
            diag("%s, step %d, %s: %d: %s", what, i, life.call, life.code, life.message);
        running += payloads();
        unlink(filled);
        /* with room again: what is there can be cleared, and a life lived */
        snprintf(name, sizeof(name), "d%d", i);
        life = live(store_path, run_path, name);
        if (life.code < 0 && life.code != BOX_ELIBRARY && after++ < 5)
            diag("%s, step %d, with room again, %s: %d: %s", what, i, life.call, life.code, life.message);
        box_store *store = NULL;
        box_container **list = NULL;
        size_t n = 0;
        if (box_store_open(store_path, run_path, 0, &store, NULL) >= 0 && box_container_list(store, &list, &n, NULL) >= 0)
            for (size_t k = 0; k < n; k++)
                box_container_remove(list[k], BOX_CONTAINER_FORCE, NULL);
        box_container_list_free(list);
        if (store && box_image_remove(store, "app:1", BOX_IMAGE_REMOVE_FORCE, NULL, NULL, NULL) < 0 && i == 0)
            diag("no image was loaded");
        box_store_free(store);
        char *containers = hostile_path("%s/containers", store_path), *runs = hostile_path("%s/containers", run_path);
        char *layers = hostile_path("%s/layers", store_path), *tmp = hostile_path("%s/tmp", store_path);
        left += left_in(containers) + left_in(runs) + left_in(layers) + left_in(tmp);
        free(containers);
        free(runs);
        free(layers);
        free(tmp);
    }
    diag("%s: %d lives failed, %d went through", what, failures, successes);
    ok(failures > 0 && silent == 0, "%s: a failure says what it is", what);
    is_int(odd, 0, "and that it is for want of space");
    ok(successes > 0, "%s: with enough space all goes through", what);
    is_int(running, 0, "nothing runs afterwards");
    is_int(after, 0, "with room again all goes on");
    is_int(left, 0, "and nothing is left behind");
}

static void read_only(const char *store_path, const char *run_path)
{
    box_error *err = NULL;
    box_store *store = NULL;
    box_container *c = NULL, *again = NULL, **list = NULL;
    box_spec *spec = hostile_spec(root, "id", NULL);
    box_image *image = NULL;
    size_t n = 0;

    must(box_store_open(store_path, run_path, 0, &store, &err), err, "open the store");
    int loaded = box_image_load(store, archive, NULL, NULL, NULL);
    must(box_container_create(store, "here", NULL, spec, 0, &c, &err), err, "make a container");
    box_container_free(c);
    box_store_free(store);
    c = NULL;
    store = NULL;
    if (mount(NULL, disk, NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0) {
        skip("cannot be made read-only: %s", strerror(errno));
        return;
    }
    int r = box_store_open(store_path, run_path, 0, &store, &err);
    ok(r >= 0 || err, "a read-only store is opened, or it is said why not: %s", r < 0 ? box_error_message(err) : "opened");
    box_error_free(err);
    err = NULL;
    if (r >= 0) {
        if (loaded >= 0)
            ok(box_image_open(store, "app:1", &image, &err) >= 0, "its image is there");
        box_image_free(image);
        ok(box_container_create(store, "new", NULL, spec, 0, &c, &err) < 0 && err, "no container can be made: %s",
           err ? box_error_message(err) : "");
        box_error_free(err);
        err = NULL;
        ok(box_image_load(store, archive, NULL, NULL, &err) < 0 && err, "no image can be loaded: %s", err ? box_error_message(err) : "");
        box_error_free(err);
        err = NULL;
        r = box_container_list(store, &list, &n, &err);
        ok(r >= 0 || err, "the containers are listed, or it is said why not: %s", r < 0 ? box_error_message(err) : "listed");
        box_error_free(err);
        err = NULL;
        r = box_container_open(store, "here", &again, &err);
        if (r >= 0)
            r = box_container_start(again, NULL, &err);
        ok(r < 0 && err, "one that is there cannot be started: %s", err ? box_error_message(err) : "");
        box_error_free(err);
        err = NULL;
        if (again)
            ok(box_container_remove(again, BOX_CONTAINER_FORCE, &err) < 0 && err, "nor removed: %s", err ? box_error_message(err) : "");
        box_error_free(err);
        err = NULL;
    }
    is_int(payloads(), 0, "and nothing runs");
    box_container_list_free(list);
    box_container_free(again);
    box_container_free(c);
    box_store_free(store);
    if (mount(NULL, disk, NULL, MS_REMOUNT, NULL) < 0)
        exit(99);
    struct life life = live(store_path, run_path, "after");
    CHECK(&(struct outcome){0}, life.code == 0 || life.code == BOX_ELIBRARY, "writable again, all goes on: %s %s", life.call, life.message);
    box_spec_free(spec);
}

/* One layer of some files, as `docker save` writes it. */
static void make_archive(void)
{
    static char content[60000];
    struct tarball t = {0};
    char name[32];

    memset(content, 'x', sizeof(content));
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "dir/file%d", i);
        tarball_put(&t, &(struct tarball_member){.name = name, .data = content, .size = sizeof(content) / 20});
    }
    tarball_end(&t);
    char digest[BOX_DIGEST_TEXT];
    struct box_digest d;
    if (box_digest_data(BOX_SHA256, t.data, t.length, &d, NULL) < 0)
        exit(99);
    box_digest_format(&d, digest);
    char *config = hostile_path("{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\"]}}", digest);
    static const char manifest[] = "[{\"Config\":\"config.json\",\"RepoTags\":[\"app:1\"],\"Layers\":[\"layer.tar\"]}]";
    struct tarball whole = {0};
    tarball_put(&whole, &(struct tarball_member){.name = "manifest.json", .data = manifest, .size = sizeof(manifest) - 1});
    tarball_put(&whole, &(struct tarball_member){.name = "config.json", .data = config, .size = strlen(config)});
    tarball_put(&whole, &(struct tarball_member){.name = "layer.tar", .data = t.data, .size = t.length});
    tarball_end(&whole);
    archive = hostile_path("%s/archive.tar", hostile_tmp());
    FILE *f = fopen(archive, "we");
    if (!f || fwrite(whole.data, 1, whole.length, f) != whole.length || fclose(f) != 0)
        exit(99);
    free(config);
    tarball_free(&whole);
    tarball_free(&t);
}

int main(void)
{
    if (geteuid() != 0)
        skip_all("needs root");
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
        skip_all("no mount namespace: %s", strerror(errno));
    root = hostile_root("disk-root");
    disk = hostile_path("%s/disk", hostile_tmp());
    small = hostile_path("%s/small", hostile_tmp());
    filler = hostile_path("%s/filler", disk);
    char *store_path = hostile_path("%s/store", disk), *run_path = hostile_path("%s/run", disk);
    char *plain_run = hostile_path("%s/run", hostile_tmp()), *small_run = hostile_path("%s/run", small);
    char *small_filler = hostile_path("%s/filler", small);
    mkdir(disk, 0755);
    mkdir(small, 0755);
    if (mount("disk", disk, "tmpfs", 0, "size=32m,mode=755") < 0 || mount("small", small, "tmpfs", 0, "size=1m,mode=755") < 0)
        skip_all("no tmpfs: %s", strerror(errno));
    make_archive();
    full("a full store", store_path, plain_run, filler);
    full("a full run directory", store_path, small_run, small_filler);
    full("both on one full disk", store_path, run_path, filler);
    read_only(store_path, plain_run);
    umount2(disk, MNT_DETACH);
    umount2(small, MNT_DETACH);
    free(store_path);
    free(run_path);
    free(plain_run);
    free(small_run);
    free(small_filler);
    return done_testing();
}
