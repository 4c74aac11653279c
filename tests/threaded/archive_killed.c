/* Processes that commit a container and save its image, killed at any instant: afterwards the store is sound, an
 * archive is there whole or not at all, and the next commit and save succeed. */
#include "tap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libbox/box.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define ROUNDS 24
#define FILES  200

static char root[256], run[256], out[256];

static void die(const char *what, box_error *err)
{
    diag("%s: %s", what, err ? box_error_message(err) : strerror(errno));
    exit(99);
}

static box_store *open_store(void)
{
    box_store *store = NULL;
    box_error *err = NULL;

    if (box_store_open(root, run, 0, &store, &err) < 0)
        die("open the store", err);
    return store;
}

static void make_container(void)
{
    char path[600], tree[300];
    box_store *store = open_store();
    box_image *image = NULL;
    box_container *c = NULL;
    box_spec *spec = box_spec_new();
    box_error *err = NULL;
    char *const args[] = {(char *)"/none", NULL};

    snprintf(tree, sizeof(tree), "%s.tree", root);
    mkdir(tree, 0755);
    if (box_image_import(store, tree, NULL, &image, &err) < 0 || box_spec_set_args(spec, args, &err) < 0 ||
        box_container_create(store, "it", image, spec, 0, &c, &err) < 0)
        die("make the container", err);
    for (int i = 0; i < FILES; i++) {
        static char data[16384];
        memset(data, 'a' + i % 26, sizeof(data));
        snprintf(path, sizeof(path), "%s/file%d", box_container_upper(c), i);
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0 || write(fd, data, sizeof(data)) < 0)
            die(path, NULL);
        close(fd);
    }
    box_container_free(c);
    box_image_free(image);
    box_spec_free(spec);
    box_store_free(store);
}

static int commit_and_save(enum box_archive_format format, box_error **err)
{
    static const char *const names[] = {"made:1", NULL};
    box_commit_options commit = BOX_COMMIT_OPTIONS_INIT;
    box_archive_options archive = BOX_ARCHIVE_OPTIONS_INIT;
    box_store *store = open_store();
    box_container *c = NULL;
    int r = box_container_open(store, "it", &c, err);

    archive.compression = BOX_ARCHIVE_GZIP;
    archive.format = format;
    commit.name = "made:1";
    commit.archive = &archive;
    if (r == 0)
        r = box_container_commit(store, c, &commit, NULL, err);
    if (r == 0)
        r = box_image_save(store, names, out, &archive, err);
    box_container_free(c);
    box_store_free(store);
    return r;
}

static void nap(long us)
{
    const struct timespec t = {us / 1000000, us % 1000000 * 1000};

    nanosleep(&t, NULL);
}

static int entries(const char *path)
{
    DIR *d = opendir(path);
    int n = 0;

    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d))
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    if (d)
        closedir(d);
    return n;
}

static void count_damage(const char *what, const char *why, void *data)
{
    diag("%s: %s", what, why);
    ++*(int *)data;
}

/* What a killed process left. */
static void look(int round, long after)
{
    char tmp[300];
    int damage = 0;
    box_store *store = open_store();
    box_error *err = NULL;
    box_image_list *list = NULL;

    snprintf(tmp, sizeof(tmp), "%s/tmp", root);
    ok(box_store_verify(store, count_damage, &damage, &err) == 0 && damage == 0 && entries(tmp) == 0,
       "round %d, killed after %ld us: the store is sound and nothing is left", round, after);
    struct stat st;
    if (stat(out, &st) == 0 && !S_ISDIR(st.st_mode) && box_image_load(store, out, NULL, &list, &err) < 0) {
        ok(0, "the archive that is there is whole: %s", box_error_message(err));
        box_error_free(err);
    }
    box_image_list_free(list);
    box_store_free(store);
    unlink(out);
}

int main(void)
{
    const char *tmp = getenv("BOX_TMP");
    box_error *err = NULL;
    long whole = 0;
    int hit = 0;

    snprintf(root, sizeof(root), "%s/root", tmp ? tmp : "/tmp");
    snprintf(run, sizeof(run), "%s/run", tmp ? tmp : "/tmp");
    snprintf(out, sizeof(out), "%s/out.tar", tmp ? tmp : "/tmp");
    make_container();
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    ok(commit_and_save(BOX_ARCHIVE_DOCKER, &err) == 0, "a commit and a save: %s", err ? box_error_message(err) : "");
    clock_gettime(CLOCK_MONOTONIC, &b);
    whole = (b.tv_sec - a.tv_sec) * 1000000 + (b.tv_nsec - a.tv_nsec) / 1000;
    unlink(out);
    srand(7);
    for (int i = 0; i < ROUNDS; i++) {
        long after = (long)((double)rand() / RAND_MAX * (double)whole);
        pid_t pid = fork();
        if (pid == 0)
            _exit(commit_and_save(BOX_ARCHIVE_DOCKER, NULL) == 0 ? 0 : 1);
        nap(after);
        kill(pid, SIGKILL);
        int status = 0;
        waitpid(pid, &status, 0);
        hit += WIFSIGNALED(status);
        look(i, after);
    }
    ok(hit > 0, "%d of %d were hit", hit, ROUNDS);
    ok(commit_and_save(BOX_ARCHIVE_OCI, &err) == 0, "afterwards it goes through: %s", err ? box_error_message(err) : "");
    return done_testing();
}
