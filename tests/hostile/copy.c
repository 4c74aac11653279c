/* Copying into and out of a container that changes its files meanwhile (CVE-2018-15664), whose libraries wait to be
 * loaded (CVE-2019-14271), or that sends an archive made to get out. */
#include "hostile.h"
#include "tarball.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#define ROUNDS 300
#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE 2
#endif

static box_store *store;
static box_container *container;
static int root = -1; /* the container's, as its own processes see it */
static char *victim;  /* a directory of the host's */

/* ---- The container ---- */

static void start_container(void)
{
    char *tree = hostile_root("image"), *where = hostile_path("%s/store", hostile_tmp());
    char *run = hostile_path("%s/run", hostile_tmp()), path[64];
    box_spec *spec = box_spec_new();
    box_image *image = NULL;
    box_error *err = NULL;
    char *const args[] = {(char *)"/bin/payload", (char *)"sleep", NULL};

    must(box_store_open(where, run, 0, &store, &err), err, "open a store");
    must(box_image_import(store, tree, NULL, &image, &err), err, "import the image");
    must(box_spec_set_args(spec, args, &err), err, "set the arguments");
    must(box_container_create(store, "hostile", image, spec, 0, &container, &err), err, "create");
    must(box_container_start_detached(container, &err), err, "start");
    snprintf(path, sizeof(path), "/proc/%d/root", (int)box_container_pid(container));
    root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    box_image_free(image);
    box_spec_free(spec);
    free(tree);
    free(where);
    free(run);
}

static void put(int dirfd, const char *name, const char *text)
{
    int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        diag("cannot write %s: %s", name, strerror(errno));
    close(fd);
}

static int count(const char *path)
{
    DIR *d = opendir(path);
    int n = 0;

    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d))
        n += e->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}

/* ---- A directory and a link that change places ---- */

struct swap {
    const char *a, *b;
    atomic_bool stop;
    atomic_ulong swaps;
};

static void *swap_all(void *data)
{
    struct swap *s = data;

    while (!atomic_load(&s->stop)) {
        if (syscall(SYS_renameat2, root, s->a, root, s->b, RENAME_EXCHANGE) == 0)
            atomic_fetch_add(&s->swaps, 1);
    }
    return NULL;
}

struct gathered {
    char text[8192];
    size_t length;
};

static int gather(const void *data, size_t length, void *context)
{
    struct gathered *g = context;
    size_t room = sizeof(g->text) - g->length;

    memcpy(g->text + g->length, data, length < room ? length : room);
    g->length += length < room ? length : room;
    return 0;
}

static bool holds(const char *text, size_t length, const char *what)
{
    return memmem(text, length, what, strlen(what)) != NULL;
}

/* What a copy by path, as the host's own open(2) would do it, reads: that the race is one. */
static bool naive_read(const char *name)
{
    char path[PATH_MAX], text[64] = "";
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/root/%s", (int)box_container_pid(container), name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        close(fd);
    return n > 0 && strstr(text, "HOST");
}

static void race_of_a_directory(void)
{
    struct swap swap = {.a = "race", .b = "link"};
    int leaked = 0, read_inside = 0, wrote = 0, naive = 0;
    box_archive_options options = BOX_ARCHIVE_OPTIONS_INIT;
    char *copies = hostile_path("%s/copies", hostile_tmp());
    struct tarball t = {0};
    pthread_t thread;

    options.timeout_ms = 20000;
    mkdirat(root, "race", 0755);
    put(root, "race/secret", "inside");
    symlinkat(victim, root, "link");
    tarball_put(&t, &(struct tarball_member){.name = "planted", .data = "x", .size = 1});
    tarball_put(&t, &(struct tarball_member){.name = "sub/", .type = '5'});
    tarball_put(&t, &(struct tarball_member){.name = "sub/planted", .data = "x", .size = 1});
    tarball_end(&t);
    int tar = memfd_create("tar", MFD_CLOEXEC);
    if (write(tar, t.data, t.length) < 0)
        abort();
    mkdir(copies, 0755);
    pthread_create(&thread, NULL, swap_all, &swap);
    for (int i = 0; i < ROUNDS; i++) {
        struct gathered g = {.length = 0};
        if (box_container_copy_out_to(container, "/race/secret", gather, &g, 0, &options, NULL) == 0)
            read_inside++;
        leaked += holds(g.text, g.length, "HOST");
        g.length = 0;
        box_container_copy_out_to(container, "/race", gather, &g, BOX_COPY_FOLLOW, &options, NULL);
        leaked += holds(g.text, g.length, "HOST");
        lseek(tar, 0, SEEK_SET);
        wrote += box_container_copy_in(container, "/race", tar, 0, &options, NULL) == 0;
        box_container_copy_from(container, "/race", copies, 0, &options, NULL);
        naive += naive_read("race/secret");
    }
    atomic_store(&swap.stop, true);
    pthread_join(thread, NULL);
    diag("%lu swaps; %d reads and %d writes went through, and %d by path found the host's file", swap.swaps, read_inside,
         wrote, naive);
    ok(naive > 0, "a copy by path would read the host's files");
    is_int(leaked, 0, "nothing of the host's is copied out");
    ok(read_inside > 0, "what is inside is");
    is_int(count(victim), 1, "nothing is written to the host's directory");
    ok(wrote > 0, "into the container's it is");
    close(tar);
    tarball_free(&t);
    free(copies);
}

/* A plain file and a FIFO: whoever opens the FIFO for reading waits for ever. */
static void race_of_a_file(void)
{
    struct swap swap = {.a = "file", .b = "fifo"};
    box_archive_options options = BOX_ARCHIVE_OPTIONS_INIT;
    int late = 0, read_inside = 0;
    pthread_t thread;

    options.timeout_ms = 10000;
    put(root, "file", "inside");
    mknodat(root, "fifo", S_IFIFO | 0644, 0);
    pthread_create(&thread, NULL, swap_all, &swap);
    for (int i = 0; i < ROUNDS; i++) {
        struct gathered g = {.length = 0};
        int r = box_container_copy_out_to(container, "/file", gather, &g, 0, &options, NULL);
        late += r == BOX_ETIMEOUT;
        read_inside += r == 0;
    }
    atomic_store(&swap.stop, true);
    pthread_join(thread, NULL);
    ok(late == 0 && read_inside > 0, "a file that becomes a FIFO is not waited for");
}

/* ---- Archives ---- */

static int copy_in(const struct tarball *t, const char *where, box_error **err)
{
    int tar = memfd_create("tar", MFD_CLOEXEC);

    if (write(tar, t->data, t->length) < 0 || lseek(tar, 0, SEEK_SET) < 0)
        abort();
    int r = box_container_copy_in(container, where, tar, 0, NULL, err);
    close(tar);
    return r;
}

static void archives(void)
{
    static const char *const names[] = {"../../../../../../../../planted", "a/../../../planted", "..", "/../planted"};
    struct tarball t = {0};
    char *deep = hostile_path("../../../../../../../../../..%s", victim);

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        box_error *err = NULL;
        t = (struct tarball){0};
        tarball_put(&t, &(struct tarball_member){.name = names[i], .data = "x", .size = 1});
        tarball_end(&t);
        is_int(copy_in(&t, "/tmp", &err), BOX_EESCAPE, names[i]);
        box_error_free(err);
        tarball_free(&t);
    }
    const char *const links[] = {victim, deep};
    for (size_t i = 0; i < 2; i++) {
        t = (struct tarball){0};
        tarball_put(&t, &(struct tarball_member){.name = i ? "deep" : "out", .type = '2', .link = links[i]});
        tarball_put(&t, &(struct tarball_member){.name = i ? "deep/planted" : "out/planted", .data = "x", .size = 1});
        tarball_put(&t, &(struct tarball_member){.name = i ? "deep" : "out", .type = '1', .link = "out/secret"});
        tarball_end(&t);
        copy_in(&t, "/tmp", NULL);
        tarball_free(&t);
        is_int(count(victim), 1, "a link in the archive leads nowhere outside");
    }
    t = (struct tarball){0};
    tarball_put(&t, &(struct tarball_member){.name = "dev", .type = '3', .major = 0, .minor = 0});
    tarball_end(&t);
    ok(copy_in(&t, "/tmp", NULL) < 0, "a device that would be a whiteout is refused");
    tarball_free(&t);
    free(deep);
}

/* The destination on the host has a link where the archive has a directory. */
static void links_of_the_destination(void)
{
    char *dest = hostile_path("%s/dest", hostile_tmp()), *link = hostile_path("%s/d", dest);
    box_error *err = NULL;

    mkdirat(root, "d", 0755);
    put(root, "d/planted", "x");
    mkdir(dest, 0755);
    if (symlink(victim, link) < 0)
        diag("symlink: %s", strerror(errno));
    box_container_copy_from(container, "/d", dest, 0, NULL, &err);
    ok(err && box_error_code(err) == BOX_EINVAL, "a link is not replaced by a directory, nor followed");
    is_int(count(victim), 1, "and nothing lies where it leads");
    box_error_free(err);
    free(dest);
    free(link);
}

/* ---- Libraries ---- */

static void libraries(void)
{
    static const char *const paths[] = {"lib", "lib/x86_64-linux-gnu", "lib64", "usr", "usr/lib", "usr/lib/x86_64-linux-gnu"};
    struct gathered g = {.length = 0};
    int mapped = 0;
    char line[1024];

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        mkdirat(root, paths[i], 0755);
    put(root, "lib/x86_64-linux-gnu/libnss_files.so.2", "not even a library");
    put(root, "etc/nsswitch.conf", "passwd: files evil\ngroup: files evil\n");
    put(root, "etc/passwd", "evil:x:0:0::/:/bin/sh\n");
    ok(box_container_copy_out_to(container, "/etc", gather, &g, BOX_COPY_ARCHIVE, NULL, NULL) == 0,
       "copying does not ask the container's libraries");
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps && fgets(line, sizeof(line), maps))
        mapped += strstr(line, "libnss") || strstr(line, "/store/containers/");
    if (maps)
        fclose(maps);
    is_int(mapped, 0, "none is loaded");
    is_str(g.length > 512 ? g.text + 265 : NULL, "", "and owners have no names in the archive");
}

/* ---- Changes ---- */

static void layers(void)
{
    box_error *err = NULL;

    put(root, "tmp/.wh.payload", "x");
    box_container_commit(store, container, NULL, NULL, &err);
    ok(err && box_error_code(err) == BOX_EUNSUPPORTED, "a name that would be a whiteout is no part of a layer");
    box_error_free(err);
    unlinkat(root, "tmp/.wh.payload", 0);
    err = NULL;
    int fd = openat(root, "tmp/huge", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    ok(ftruncate(fd, (off_t)1 << 40) == 0, "a file of a terabyte of nothing");
    close(fd);
    box_container_commit(store, container, NULL, NULL, &err);
    ok(err && box_error_code(err) == BOX_ELIMIT, "is too large for a layer before it is written");
    box_error_free(err);
    unlinkat(root, "tmp/huge", 0);
}

int main(void)
{
    char *secret;

    if (geteuid() != 0)
        skip_all("needs root");
    victim = hostile_path("%s/victim", hostile_tmp());
    secret = hostile_path("%s/secret", victim);
    mkdir(victim, 0755);
    hostile_write(secret, "HOST");
    start_container();
    ok(root >= 0, "the container runs");
    race_of_a_directory();
    race_of_a_file();
    archives();
    links_of_the_destination();
    libraries();
    layers();
    box_error *err = NULL;
    ok(box_container_remove(container, BOX_CONTAINER_FORCE, &err) == 0, "the container is removed");
    box_container_free(container);
    box_store_free(store);
    close(root);
    free(victim);
    free(secret);
    return done_testing();
}
