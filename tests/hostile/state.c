/* State on disk that is not what libbox wrote: cut short, of another type, of absurd size, a FIFO that nobody writes to,
 * a link to a file of the host's. Whatever a store or a run directory holds, every call comes back, with an error or
 * without; nothing outside is written or removed; and what can be cleared is cleared.
 *
 * Only who may write to these directories can bring this about (they are refused when others may): a full disk, a bug,
 * a user's own mistake. Each case runs in a process of its own, so that a crash or a hang is seen as one. */
#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>

#include "hostile.h"

static char *root, *store_path, *run_path, *secret;

enum { PATIENCE = 60 }; /* seconds that a case may take */

static box_store *store_at(const char *store, const char *run, box_error **err)
{
    box_store *s = NULL;

    return box_store_open(store, run, 0, &s, err) < 0 ? NULL : s;
}

/* A container that is there, and what its files are called. */
static char *make_container(const char *name)
{
    box_error *err = NULL;
    box_store *store = store_at(store_path, run_path, &err);
    box_spec *spec = hostile_spec(root, "sleep", NULL);
    box_container *c = NULL;

    must(store ? 0 : -1, err, "open the store");
    must(box_container_create(store, name, NULL, spec, 0, &c, &err), err, "make a container");
    char *id = strdup(box_container_id(c));
    box_container_free(c);
    box_spec_free(spec);
    box_store_free(store);
    return id;
}

/* Everything that a program does with a store. Errors are welcome; what is looked for is a crash or a hang. Bit 0 of the
 * result: the store opens; 1: a container can be made in it; 2: the one that is damaged can be opened. */
static int use_all(const char *name)
{
    box_error *err = NULL;
    box_store *store = store_at(store_path, run_path, &err);
    box_container *c = NULL, **list = NULL;
    box_image *image = NULL;
    box_image_list *images = NULL;
    box_spec *spec = hostile_spec(root, "id", NULL);
    size_t n = 0;
    int found = 0;

    if (store) {
        found |= 1;
        if (box_container_list(store, &list, &n, NULL) >= 0)
            box_container_list_free(list);
        box_container_sweep(store, NULL, NULL);
        if (box_image_list_new(store, &images, NULL) >= 0)
            box_image_list_free(images);
        if (box_image_open(store, "busybox", &image, NULL) >= 0)
            box_image_free(image);
        box_store_verify(store, NULL, NULL, NULL);
        if (box_container_open(store, name, &c, NULL) >= 0) {
            char *text = NULL;
            found |= 4;
            box_container_refresh(c, NULL);
            if (box_container_inspect(c, &text, NULL) >= 0)
                free(text);
            box_container_wait(c, 10, NULL);
            box_container_remove(c, BOX_CONTAINER_FORCE, NULL);
            box_container_free(c);
        }
        if (box_container_create(store, NULL, NULL, spec, 0, &c, NULL) >= 0) {
            found |= 2;
            box_container_remove(c, 0, NULL);
            box_container_free(c);
        }
        box_store_free(store);
    }
    box_error_free(err);
    box_spec_free(spec);
    return found;
}

/* In a process of its own: what use_all() found, or -1 when it crashed, or did not come to an end. */
static int tried(const char *name, const char *what)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        alarm(PATIENCE);
        _exit(use_all(name));
    }
    waitpid(pid, &status, 0);
    if (!WIFEXITED(status))
        diag("%s: killed by signal %d", what, WTERMSIG(status));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- damage ---------------------------------------------------------------------------------------------------------- */

enum damage {
    EMPTY, GARBAGE, CUT, DEEP, HUGE_FILE, ZEROS, WRONG_TYPES, ODD_VALUES, DIRECTORY, FIFO, LINK_OUT, LINK_LOOP, DANGLING, GONE, DAMAGES
};
static const char *const damage_names[DAMAGES] = {"empty",       "garbage",      "cut short",   "deep",          "huge",
                                                  "of zeros",    "of other types", "of odd values", "a directory", "a FIFO",
                                                  "a link to a file of the host's", "a link to itself", "a dangling link", "gone"};

static void write_bytes(const char *path, const char *text, size_t length, size_t times)
{
    FILE *f = fopen(path, "we");

    for (size_t i = 0; f && i < times; i++)
        if (fwrite(text, 1, length, f) != length)
            break;
    if (f)
        fclose(f);
}

static void damage(const char *path, enum damage how)
{
    char *whole = strdup(hostile_read(path));
    static const char types[] = "{\"id\":[1],\"name\":{},\"flags\":\"x\",\"created\":[],\"boot\":1,\"pid\":\"1\",\"startTime\":null,"
                                "\"started\":{},\"cgroup\":[],\"ociVersion\":5,\"process\":[],\"root\":3,\"mounts\":{},"
                                "\"manifests\":{\"a\":1},\"schemaVersion\":\"2\",\"libboxStore\":[]}";
    static const char odd[] = "{\"id\":\"../../outside\",\"name\":\"../../../outside/secret\",\"flags\":4294967295,\"created\":9223372036854775807,"
                              "\"boot\":\"\",\"pid\":1,\"startTime\":0,\"monitor\":1,\"started\":0,\"cgroup\":\"../../../../..\","
                              "\"ociVersion\":\"1.0.0\",\"manifests\":[null,{},{\"digest\":\"sha256:../../x\",\"size\":-1}],"
                              "\"schemaVersion\":2,\"libboxStore\":99999999}";

    unlink(path);
    rmdir(path);
    switch (how) {
    case EMPTY: write_bytes(path, "", 0, 0); break;
    case GARBAGE: write_bytes(path, "\x7f" "ELF\x01\xff\xfe{]", 9, 100); break;
    case CUT: write_bytes(path, whole, strlen(whole) / 2, 1); break;
    case DEEP: write_bytes(path, "[", 1, 100000); break;
    case HUGE_FILE: write_bytes(path, "{\"a\":\"bcdefghijklmnopqrstuvwxyz\"}", 33, 1u << 20); break;
    case ZEROS: write_bytes(path, "\0\0\0\0\0\0\0", 8, 64); break;
    case WRONG_TYPES: write_bytes(path, types, sizeof(types) - 1, 1); break;
    case ODD_VALUES: write_bytes(path, odd, sizeof(odd) - 1, 1); break;
    case DIRECTORY: mkdir(path, 0700); break;
    case FIFO: mkfifo(path, 0600); break;
    case LINK_OUT: if (symlink(secret, path) < 0) exit(99); break;
    case LINK_LOOP: if (symlink(path, path) < 0) exit(99); break;
    case DANGLING: if (symlink("/nowhere/at/all", path) < 0) exit(99); break;
    default: break;
    }
    free(whole);
}

/* Puts a file aside and back. */
static char *put_aside(const char *path)
{
    char *aside = hostile_path("%s.aside", path);

    rename(path, aside);
    return aside;
}

static bool untouched(void)
{
    return strcmp(hostile_read(secret), "of the host\n") == 0;
}

/* Each damage to one file of a container; afterwards, with the file gone or as it was, the store can be used. */
static void each_damage(const char *what, const char *format, bool run, bool clears)
{
    int crashed = 0, blocked = 0, stuck = 0;

    for (int how = 0; how < DAMAGES; how++) {
        char name[32], *id, *path, *label = hostile_path("%s is %s", what, damage_names[how]);
        snprintf(name, sizeof(name), "damaged%d", how);
        id = make_container(name);
        char *last = hostile_path(format, strstr(format, ".names") ? name : id);
        path = hostile_path("%s/%s", run ? run_path : store_path, last);
        damage(path, (enum damage)how);
        int found = tried(name, label);
        crashed += found < 0;
        if (found >= 0 && !(found & 2)) {
            diag("%s: no other container can be made (%d)", label, found);
            blocked++;
        }
        if (clears && found >= 0 && how != DIRECTORY) {
            char *there = hostile_path("%s/containers/%s", store_path, id);
            if (access(there, F_OK) == 0) {
                diag("%s: it cannot be removed", label);
                stuck++;
            }
            free(there);
        }
        /* by hand, as the error says */
        char *directory = hostile_path("%s/containers/%s", store_path, id), *command = hostile_path("rm -rf '%s' '%s'", directory, path);
        if (system(command) != 0)
            diag("%s", command);
        free(command);
        free(directory);
        free(label);
        free(last);
        free(path);
        free(id);
    }
    is_int(crashed, 0, "no damage to it crashes or hangs a program");
    is_int(blocked, 0, "nor keeps it from making other containers");
    if (clears)
        is_int(stuck, 0, "and the container can be removed all the same");
    ok(untouched(), "%s: nothing outside is touched", what);
}

/* The store's own files: it may be unusable while they are damaged, and is itself again when they are not. */
static void each_damage_of_store(const char *what, const char *below)
{
    char *path = hostile_path("%s/%s", store_path, below);
    int crashed = 0, spoilt = 0;

    for (int how = 0; how < DAMAGES; how++) {
        char *label = hostile_path("%s is %s", what, damage_names[how]), *aside = put_aside(path);
        damage(path, (enum damage)how);
        crashed += tried("none", label) < 0;
        unlink(path);
        rmdir(path);
        rename(aside, path);
        if ((tried("none", label) & 3) != 3) {
            diag("%s: the store is not what it was afterwards", label);
            spoilt++;
        }
        free(aside);
        free(label);
    }
    is_int(crashed, 0, "no damage to it crashes or hangs a program");
    is_int(spoilt, 0, "and what was put right is right");
    ok(untouched(), "%s: nothing outside is touched", what);
    free(path);
}

/* ---- directories that others can write to, or have put there first -------------------------------------------------- */

static void planted_directories(void)
{
    char *evil = hostile_path("%s/evil", hostile_tmp()), *link = hostile_path("%s/link", hostile_tmp());
    box_error *err = NULL;

    for (int which = 0; which < 2; which++) {
        const char *name = which ? "run directory" : "store";
        mkdir(evil, 0755);
        if (chown(evil, 4321, 4321) < 0)
            exit(99);
        box_store *store = store_at(which ? store_path : evil, which ? evil : run_path, &err);
        ok(!store && box_error_code(err) == BOX_EPERMISSION, "a %s of another user's is refused", name);
        box_store_free(store);
        box_error_free(err);
        err = NULL;
        if (chown(evil, 0, 0) < 0 || chmod(evil, 0777) < 0)
            exit(99);
        store = store_at(which ? store_path : evil, which ? evil : run_path, &err);
        ok(!store && box_error_code(err) == BOX_EPERMISSION, "a %s that others can write to is refused", name);
        box_store_free(store);
        box_error_free(err);
        err = NULL;
        if (chown(evil, 4321, 4321) < 0 || chmod(evil, 0755) < 0 || (unlink(link), symlink(evil, link)) < 0)
            exit(99);
        store = store_at(which ? store_path : link, which ? link : run_path, &err);
        ok(!store, "a %s that is a link to another user's directory is refused", name);
        box_store_free(store);
        box_error_free(err);
        err = NULL;
        char *below = hostile_path("%s/containers", evil);
        ok(access(below, F_OK) != 0, "and nothing is made in it");
        free(below);
        rmdir(evil);
    }
    free(evil);
    free(link);
}

/* Directories of the store that are links: made by whoever was in it before, as the same user. */
static void planted_below(void)
{
    static const char *const names[] = {"containers", "layers", "blobs", "tmp", "volumes"};
    int good = 0;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char *store = hostile_path("%s/planted%zu", hostile_tmp(), i), *at = hostile_path("%s/%s", store, names[i]);
        char *outside = hostile_path("%s/outside", hostile_tmp());
        box_error *err = NULL;
        mkdir(store, 0700);
        if (symlink(outside, at) < 0)
            exit(99);
        box_store *s = store_at(store, run_path, &err);
        good += !s;
        if (s)
            diag("a store whose %s is a link is opened", names[i]);
        box_store_free(s);
        box_error_free(err);
        free(store);
        free(at);
        free(outside);
    }
    is_int(good, 5, "a store whose directories are links is refused");
    ok(untouched(), "and nothing is written there");
}

int main(void)
{
    if (geteuid() != 0)
        skip_all("needs root");
    root = hostile_root("state");
    store_path = hostile_path("%s/store", hostile_tmp());
    run_path = hostile_path("%s/run", hostile_tmp());
    char *outside = hostile_path("%s/outside", hostile_tmp());
    mkdir(outside, 0755);
    secret = hostile_path("%s/secret", outside);
    hostile_write(secret, "of the host\n");
    ok(tried("none", "a new store") == 3, "a new store can be used");
    each_damage("meta.json", "containers/%s/meta.json", false, false);
    each_damage("config.json", "containers/%s/config.json", false, false);
    each_damage("the record of the end", "containers/%s/exit", false, true);
    each_damage("the run file", "containers/%s.json", true, true);
    each_damage("the host's lock", "containers/%s.host", true, true);
    each_damage("the name", "containers/.names/%s", false, false);
    each_damage_of_store("the layout", "layout");
    each_damage_of_store("the index of images", "images.json");
    planted_directories();
    planted_below();
    free(outside);
    free(secret);
    free(store_path);
    free(run_path);
    free(root);
    return done_testing();
}
