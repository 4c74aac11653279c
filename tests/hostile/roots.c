/* Root file systems, specs and payloads that overdo it: files that are devices or have no end, links without end, trees
 * that are deeper than any path, names of every byte, thousands of mounts, argument vectors of megabytes, processes that
 * multiply. Each is refused with an error, or works, and is cleared away afterwards. */
#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "hostile.h"

static char *root;

/* ---- passwd ----------------------------------------------------------------------------------------------------------- */

static void odd_passwd(void)
{
    static const char *const names[] = {"/dev/zero", "/dev/full", "a terminal", "4 GiB of nothing", "a link to itself",
                                        "a chain of links", "a directory", "one line without end"};
    char *passwd = hostile_path("%s/etc/passwd", root);
    int refused = 0, kinds = (int)(sizeof(names) / sizeof(names[0]));

    for (int kind = 0; kind < kinds; kind++) {
        box_error *err = NULL;
        unlink(passwd);
        rmdir(passwd);
        bool made = true;
        if (kind < 3)
            made = mknod(passwd, S_IFCHR | 0666, kind == 0 ? makedev(1, 5) : kind == 1 ? makedev(1, 7) : makedev(5, 2)) == 0;
        else if (kind == 3) {
            int fd = open(passwd, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
            made = fd >= 0 && ftruncate(fd, 4ll << 30) == 0;
            close(fd);
        } else if (kind == 4)
            made = symlink("passwd", passwd) == 0;
        else if (kind == 5) {
            for (int i = 0; i < 100; i++) {
                char *link = hostile_path("%s/etc/link%d", root, i), *target = hostile_path("link%d", i + 1);
                made &= symlink(target, link) == 0;
                free(link);
                free(target);
            }
            made &= symlink("link0", passwd) == 0;
        } else if (kind == 6)
            made = mkdir(passwd, 0755) == 0;
        else {
            FILE *f = fopen(passwd, "we");
            for (int i = 0; f && i < 1 << 20; i++)
                fputs("somebody", f);
            made = f && fclose(f) == 0;
        }
        if (!made)
            diag("cannot make %s: %s", names[kind], strerror(errno));
        box_spec *spec = hostile_spec(root, "id", NULL);
        must(box_spec_set_user_name(spec, "somebody", &err), err, "set the user");
        struct outcome o = hostile_run(spec);
        refused += !o.started && *o.error;
        if (o.started)
            diag("a passwd that is %s: started", names[kind]);
    }
    unlink(passwd);
    is_int(refused, kinds, "a passwd that is no file, or has no end, is refused, and nobody waits for it");
    free(passwd);
}

/* ---- links and names -------------------------------------------------------------------------------------------------- */

static void odd_links(void)
{
    char *loop = hostile_path("%s/loop", root), *a = hostile_path("%s/a", root), *b = hostile_path("%s/b", root);
    int refused = 0;

    if (symlink("loop", loop) < 0 || symlink("b/x", a) < 0 || symlink("a/x", b) < 0)
        exit(99);
    for (int kind = 0; kind < 6; kind++) {
        const char *path = kind % 2 ? "/a/below" : "/loop";
        box_spec *spec = hostile_spec(root, "id", NULL);
        box_error *err = NULL;
        if (kind < 2)
            must(box_spec_add_tmpfs(spec, path, 4096, 0755, NULL, &err), err, "add a mount");
        else if (kind < 4)
            must(box_spec_set_cwd(spec, path, &err), err, "set the directory");
        else
            must(box_spec_add_masked_path(spec, path, &err), err, "mask a path");
        struct outcome o = hostile_run(spec);
        refused += !o.started && *o.error;
    }
    is_int(refused, 6, "links without end are an error, for a mount, a directory and a mask");
    unlink(loop);
    unlink(a);
    unlink(b);
    free(loop);
    free(a);
    free(b);
}

static void odd_names(void)
{
    static const char *const names[] = {"/vol/a\nb", "/vol/\\040x", "/vol/ ", "/vol/\xff\xfe", "/vol/-rf", "/vol/a,b=c:d", "/vol/\x1b[2J",
                                        "/vol/...", "/vol/%s%n"};
    int found = 0, n = (int)(sizeof(names) / sizeof(names[0]));

    for (int i = 0; i < n; i++) {
        char *source = hostile_path("%s/source%s", hostile_tmp(), names[i] + 4), *parent = hostile_path("%s/source", hostile_tmp());
        char *wanted = hostile_path("cat %s: [there]", names[i]);
        box_spec *spec = hostile_spec(root, "cat", names[i], NULL);
        box_error *err = NULL;
        mkdir(parent, 0755);
        hostile_write(source, "there");
        must(box_spec_add_bind(spec, source, names[i], NULL, &err), err, "add a bind");
        struct outcome o = hostile_run(spec);
        bool good = strstr(o.out, wanted) != NULL;
        if (!good)
            outcome_show(&o);
        found += good;
        unlink(source);
        free(source);
        free(parent);
        free(wanted);
    }
    is_int(found, n, "names of odd bytes are names like others");
}

/* ---- too much ----------------------------------------------------------------------------------------------------------- */

static void many_mounts(void)
{
    static const int counts[] = {500, 10000};

    for (int k = 0; k < 2; k++) {
        box_spec *spec = hostile_spec(root, "stat", "/vol", NULL);
        box_error *err = NULL;
        int r = 0;
        for (int i = 0; i < counts[k] && r >= 0; i++) {
            char path[32];
            snprintf(path, sizeof(path), "/vol/m%d", i);
            r = i % 2 ? box_spec_add_bind(spec, root, path, NULL, &err) : box_spec_add_tmpfs(spec, path, 4096, 0755, NULL, &err);
        }
        must(r, err, "add mounts");
        struct outcome o = hostile_run(spec);
        CHECK(&o, o.started ? o.code == 0 : *o.error, "%d mounts work, or are refused with an error: %s", counts[k],
              o.started ? "they work" : o.error);
    }
}

static void long_arguments(void)
{
    static const struct {
        size_t count, length;
        bool works;
    } rows[] = {{1000, 100, true}, {1, 100000, true}, {1, 1u << 20, false}, {200000, 100, false}, {1, 80u << 20, false}};

    for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
        char **args = calloc(rows[k].count + 3, sizeof(*args)), *text = malloc(rows[k].length + 1);
        box_spec *spec = hostile_spec(root, "id", NULL);
        box_error *err = NULL;
        if (!args || !text)
            exit(99);
        memset(text, 'x', rows[k].length);
        text[rows[k].length] = '\0';
        args[0] = (char *)"/bin/payload";
        args[1] = (char *)"--";
        for (size_t i = 0; i < rows[k].count; i++)
            args[i + 2] = text;
        struct outcome o = {.code = -1};
        if (box_spec_set_args(spec, args, &err) < 0) {
            keep_error(&o, err);
            box_spec_free(spec);
        } else {
            o = hostile_run(spec);
        }
        CHECK(&o, rows[k].works ? o.started && o.code == 0 : !o.started && *o.error, "%zu arguments of %zu bytes %s", rows[k].count,
              rows[k].length, rows[k].works ? "are handed over" : "are an error");
        free(text);
        free(args);
    }
}

/* ---- payloads ------------------------------------------------------------------------------------------------------------ */

static box_container *run_to_end(box_store *store, box_spec *spec, bool wait)
{
    box_container *c = NULL;
    box_error *err = NULL;

    must(box_container_create(store, NULL, NULL, spec, 0, &c, &err), err, "make a container");
    must(box_container_start_detached(c, &err), err, "start it");
    if (wait)
        must(box_container_wait(c, 60000, &err), err, "wait for it");
    box_spec_free(spec);
    return c;
}

/* The writable layer as a payload may leave it: deeper than any path, names of 255 bytes, directories without rights. */
static void deep_tree(box_store *store)
{
    box_container *c = run_to_end(store, hostile_spec(root, "id", NULL), true);
    char *directory = hostile_path("%s/store/containers/%s", hostile_tmp(), box_container_id(c)), name[256];
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), depth = getenv("BOX_VM") ? 500 : getenv("ROOTS_DEPTH") ? atoi(getenv("ROOTS_DEPTH")) : 1500;
    box_error *err = NULL;

    memset(name, 'd', 255);
    name[255] = '\0';
    for (int i = 0; i < depth; i++) {
        const char *step = i % 100 == 0 ? name : "d";
        if (mkdirat(fd, step, 0700) < 0)
            break;
        int next = openat(fd, step, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (i % 7 == 0)
            fchmod(fd, 0);
        close(fd);
        fd = next;
    }
    close(fd);
    struct rlimit before, few;
    getrlimit(RLIMIT_NOFILE, &before);
    few = before;
    few.rlim_cur = 64;
    setrlimit(RLIMIT_NOFILE, &few);
    int r = box_container_remove(c, BOX_CONTAINER_FORCE, &err);
    setrlimit(RLIMIT_NOFILE, &before);
    ok(r >= 0 && access(directory, F_OK) < 0, "a tree of %d directories is removed with 64 descriptors: %s", depth,
       err ? box_error_message(err) : "it is gone");
    box_error_free(err);
    box_container_free(c);
    free(directory);
}

static int count_of(const char *program)
{
    char *path = hostile_path("%s%s", root, program), link[64];
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

/* Processes that multiply as fast as others are killed; with and without a pid namespace of their own. */
static void multiply(box_store *store)
{
    for (int shared = 0; shared < 2; shared++) {
        box_spec *spec = hostile_spec(root, "multiply", NULL);
        box_error *err = NULL;
        must(box_limits_set(box_spec_limits(spec), BOX_LIMIT_PIDS_MAX, 100, &err), err, "set a limit");
        if (shared)
            must(box_spec_share_namespace(spec, BOX_SPEC_PID_NAMESPACE, &err), err, "share the pid namespace");
        box_container *c = run_to_end(store, spec, false);
        for (int i = 0; i < 5000 && count_of("/bin/payload") < 90; i++)
            usleep(1000);
        int most = count_of("/bin/payload");
        ok(most > 50 && most <= 100, "processes that multiply stay within their limit (%d)", most);
        int r = box_container_remove(c, BOX_CONTAINER_FORCE, &err);
        ok(r >= 0, "%s: they are stopped and removed: %s", shared ? "in the host's pid namespace" : "in one of their own",
           err ? box_error_message(err) : "gone");
        is_int(count_of("/bin/payload"), 0, "and none is left");
        box_error_free(err);
        box_container_free(c);
    }
}

int main(void)
{
    box_error *err = NULL;
    box_store *store = NULL;

    if (geteuid() != 0)
        skip_all("needs root");
    root = hostile_root("roots");
    char *store_path = hostile_path("%s/store", hostile_tmp()), *run_path = hostile_path("%s/run", hostile_tmp());
    must(box_store_open(store_path, run_path, 0, &store, &err), err, "open a store");
    odd_passwd();
    odd_links();
    odd_names();
    many_mounts();
    long_arguments();
    deep_tree(store);
    multiply(store);
    box_store_free(store);
    free(store_path);
    free(run_path);
    free(root);
    return done_testing();
}
