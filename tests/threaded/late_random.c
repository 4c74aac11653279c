/* Processes that do everything at once to one small store, at random: pull late and not late, load, tag, remove, prune,
 * collect, verify, repair, pin, sync; killed at any instant; and a machine that goes down in between and loses what was
 * not synced. Nothing that was told to be done is missing, no image is there by half, and a collection leaves nothing.
 *
 * Each process has names of its own, and writes down in memory that all share what it is about to do and what is done.
 * The machine goes down by another boot id, in a mount namespace where a file stands for the kernel's.
 *
 * BOX_SECONDS=30 goes on for longer, BOX_SEED=N repeats the choices (though not the moments). */
#define FILES      6
#define BIG        (48u << 10)
#define IMAGE_NAME "reg.test/fixed:1"

#include "killing.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "fake_remote.h"
#include "image/store.h"

#define WORKERS 5
#define NAMES   3
#define IMAGES  4
#define NONE    (-1)
#define OTHER   (-2) /* no image of ours */

static char manifests[IMAGES][BOX_DIGEST_TEXT], configs[IMAGES][BOX_DIGEST_TEXT], boot_path[300];

/* ---- What is known of each name ---- */

struct name {
    int now, coming;   /* image or NONE: as told last, and what is being made of it */
    unsigned may_be;   /* a bit for each that it was since the last that lasted for sure: others sync as well */
    int waiting;       /* what a recovery may still make of it, or OTHER */
    unsigned late_at;         /* ticks when it became `now` late; 0: it lasts */
    bool busy;
};

static struct shared {
    struct name names[WORKERS][NAMES];
    unsigned ticks, settled; /* everything late until this tick was synced */
    unsigned done, lost_fixed, unsound, failed;
    bool calm;      /* little that settles is done, so that much is late when the machine goes down */
    bool recovered; /* no list of an earlier boot is there */
} *shared;

static unsigned bit(int image_or_none)
{
    return 1u << (image_or_none + 1);
}

static unsigned tick(void)
{
    return __atomic_add_fetch(&shared->ticks, 1, __ATOMIC_SEQ_CST);
}

static void settled(unsigned until)
{
    unsigned before = __atomic_load_n(&shared->settled, __ATOMIC_SEQ_CST);

    while (before < until &&
           !__atomic_compare_exchange_n(&shared->settled, &before, until, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        ;
}

static void name_text(char text[64], int worker, int number)
{
    snprintf(text, 64, "reg.test/w%d:%d", worker, number);
}

/* ---- The images ---- */

static void layout_of(int number, char path[300])
{
    snprintf(path, 300, "%s%d", image, number);
}

/* All blobs are in all of them. */
static void share_blobs(const char *layout)
{
    char path[400], to[700], from[700];

    snprintf(path, sizeof(path), "%s/blobs", layout);
    mkdir(path, 0755);
    snprintf(path, sizeof(path), "%s/blobs/sha256", layout);
    mkdir(path, 0755);
    snprintf(from, sizeof(from), "%s/blobs/sha256", image);
    DIR *dir = opendir(from);
    for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
        snprintf(from, sizeof(from), "%s/blobs/sha256/%s", image, e->d_name);
        snprintf(to, sizeof(to), "%s/%s", path, e->d_name);
        if (e->d_name[0] != '.' && link(from, to) < 0)
            exit(1);
    }
    if (dir)
        closedir(dir);
}

/* Image i has layer 0 and layer i / 2 + 1: two have the same config, and differ in their manifests alone. */
static void make_images(void)
{
    static char layer[IMAGES / 2 + 1][600], diff[IMAGES / 2 + 1][200], text[6000];
    char path[512], layout[300];

    snprintf(path, sizeof(path), "%s/blobs", image);
    if (mkdir(image, 0755) < 0 || mkdir(path, 0755) < 0)
        exit(1);
    snprintf(path, sizeof(path), "%s/blobs/sha256", image);
    mkdir(path, 0755);
    snprintf(path, sizeof(path), "%s/oci-layout", image);
    write_file(path, "{\"imageLayoutVersion\":\"1.0.0\"}", 30);
    for (int i = 0; i <= IMAGES / 2; i++)
        put_layer(i, layer[i], diff[i], sizeof(diff[i]) + 400);
    for (int i = 0; i < IMAGES; i++) {
        const char *upper = layer[i / 2 + 1], *id = diff[i / 2 + 1];
        upper += *upper == ',';
        id += *id == ',';
        int n = snprintf(text, sizeof(text),
                         "{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[%s,%s]}}",
                         diff[0], id);
        put_blob(text, (size_t)n, configs[i]);
        n = snprintf(text, sizeof(text),
                     "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\","
                     "\"digest\":\"%s\",\"size\":%d},\"layers\":[%s,%s],\"annotations\":{\"n\":\"%d\"}}",
                     configs[i], n, layer[0], upper, i);
        put_blob(text, (size_t)n, manifests[i]);
        layout_of(i, layout);
        if (mkdir(layout, 0755) < 0)
            exit(1);
        n = snprintf(text, sizeof(text),
                     "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
                     "\"digest\":\"%s\",\"size\":%d}]}",
                     manifests[i], n);
        snprintf(path, sizeof(path), "%s/index.json", layout);
        write_file(path, text, (size_t)n);
        snprintf(path, sizeof(path), "%s/oci-layout", layout);
        write_file(path, "{\"imageLayoutVersion\":\"1.0.0\"}", 30);
    }
    for (int i = 0; i < IMAGES; i++) {
        layout_of(i, layout);
        share_blobs(layout);
    }
}

/* ---- One process ---- */

static int pull(box_store *store, const char *name, int number, bool late, box_error **err)
{
    box_transfer_options options = BOX_TRANSFER_OPTIONS_INIT;
    struct fake_remote fake;

    fake_remote_init(&fake, image, manifests[number]);
    options.late = late;
    options.threads = 1;
    return box_image_pull_from(store, &fake.base, name, "1", &options, NULL, err);
}

static int pin(box_store *store, const char *name, int worker, bool lasts, unsigned *seed)
{
    char path[400];
    box_image *found = NULL;
    int r = box_image_open(store, name, &found, NULL);

    if (r < 0)
        return r;
    snprintf(path, sizeof(path), "%s/containers/w%d-%d", root, worker, rand_r(seed) % 3);
    mkdir(path, lasts ? 0700 : 01700);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    r = fd < 0 ? -1 : box_store_pin(store, fd, box_image_digest(found), lasts ? 0 : BOX_FILE_NO_SYNC, NULL);
    if (fd >= 0)
        close(fd);
    box_image_free(found);
    return r;
}

static void unpin(int worker, int number)
{
    char path[400], file[420];

    snprintf(path, sizeof(path), "%s/containers/w%d-%d", root, worker, number);
    snprintf(file, sizeof(file), "%s/image", path);
    unlink(file);
    rmdir(path);
}

static void complain(const char *what, box_error *err)
{
    __atomic_add_fetch(&shared->failed, 1, __ATOMIC_SEQ_CST);
    diag("%s: %s", what, box_error_message(err));
}

/* What changes a name: told before and after. */
static void change(box_store *store, int worker, unsigned kind, unsigned *seed)
{
    int number = rand_r(seed) % NAMES, to = rand_r(seed) % IMAGES, other = rand_r(seed) % NAMES, r = 0;
    struct name *name = &shared->names[worker][number];
    box_error *err = NULL;
    char text[64], from[64];

    name_text(text, worker, number);
    name_text(from, worker, other);
    if (kind == 3)
        to = shared->names[worker][other].now;
    if ((kind == 3 && (to == NONE || other == number)) || (kind == 4 && name->now == NONE))
        return;
    name->coming = kind == 4 ? NONE : to;
    __atomic_store_n(&name->busy, true, __ATOMIC_SEQ_CST);
    unsigned begun = __atomic_load_n(&shared->ticks, __ATOMIC_SEQ_CST);
    if (kind == 0 || kind == 1)
        r = pull(store, text, to, kind == 0, &err);
    else if (kind == 2)
        r = pull(store, text, to, false, &err);
    else if (kind == 3)
        r = box_image_tag(store, from, text, &err);
    else
        r = box_image_remove(store, text, BOX_IMAGE_REMOVE_FORCE, NULL, NULL, &err);
    if (r < 0) {
        complain(text, err);
    } else {
        name->late_at = kind == 0 ? tick() : 0;
        name->now = name->coming;
        name->waiting = OTHER;
        if (kind != 0) {
            name->may_be = 0;
            settled(begun);
        }
        name->may_be |= bit(name->now);
    }
    __atomic_store_n(&name->busy, false, __ATOMIC_SEQ_CST);
    box_error_free(err);
}

static void report(const char *what, const char *why, void *data)
{
    (void)data;
    diag("verify: %s: %s", what, why);
}

static void act(box_store *store, int worker, unsigned *seed)
{
    unsigned kind = (unsigned)rand_r(seed) % 17, begun = __atomic_load_n(&shared->ticks, __ATOMIC_SEQ_CST);
    const char *what = "";
    box_image *fixed = NULL;
    box_error *err = NULL;
    char text[64], layout[300];
    int r = 0;

    name_text(text, worker, rand_r(seed) % NAMES);
    layout_of(rand_r(seed) % IMAGES, layout);
    if (shared->calm && ((kind >= 3 && kind <= 7) || kind == 11 || kind == 14))
        kind = 0;
    if (kind < 3)
        change(store, worker, 0, seed);
    else if (kind < 7)
        change(store, worker, kind - 2, seed);
    else if (kind == 7)
        what = "prune", r = box_image_prune(store, NULL, NULL, NULL, NULL, &err);
    else if (kind == 8)
        what = "collect", r = box_store_collect(store, NULL, &err);
    else if (kind == 9 && shared->recovered && (r = box_store_verify(store, report, NULL, &err)) < 0)
        __atomic_add_fetch(&shared->unsound, 1, __ATOMIC_SEQ_CST), what = "verify";
    else if (kind == 10 && shared->recovered)
        what = "repair", r = box_store_repair(store, report, NULL, &err);
    else if (kind == 11 && (what = "sync", r = box_store_sync(store, &err)) == 0)
        settled(begun);
    else if (kind == 12)
        pin(store, text, worker, !shared->calm && rand_r(seed) % 2, seed);
    else if (kind == 13)
        unpin(worker, rand_r(seed) % 3);
    else if (kind == 14)
        what = "load", r = box_image_load(store, layout, NULL, NULL, &err);
    else if (kind > 14 && box_image_open(store, IMAGE_NAME, &fixed, NULL) < 0)
        __atomic_add_fetch(&shared->lost_fixed, 1, __ATOMIC_SEQ_CST);
    if (r < 0)
        complain(what, err);
    box_error_free(err);
    box_image_free(fixed);
    __atomic_add_fetch(&shared->done, 1, __ATOMIC_SEQ_CST);
}

static pid_t start_worker(int worker, unsigned seed)
{
    pid_t child = fork();

    if (child)
        return child;
    for (int i = 0; i < NAMES; i++) { /* the one before was killed: what it was at may be done or not */
        struct name *name = &shared->names[worker][i];
        box_image *found = NULL;
        char text[64];
        if (!name->busy)
            continue;
        name_text(text, worker, i);
        box_store *store = open_store();
        int now = NONE, r = store ? box_image_open(store, text, &found, NULL) : -1;
        for (int j = 0; r == 0 && j < IMAGES; j++)
            if (strcmp(box_image_digest(found), manifests[j]) == 0)
                now = j;
        if (now != name->now && now != name->coming && now != name->waiting)
            complain("neither before nor after", NULL);
        if (now != name->now) /* whether it lasts is not known: it may have been late */
            name->late_at = tick();
        name->now = now;
        name->may_be |= bit(now);
        name->busy = false;
        box_image_free(found);
        box_store_free(store);
    }
    for (;;) {
        box_store *store = open_store();
        if (!store)
            _exit(1);
        for (int i = rand_r(&seed) % 6; i >= 0; i--)
            act(store, worker, &seed);
        box_store_free(store);
    }
}

/* ---- The machine goes down ---- */

static unsigned boots;

static void new_boot(void)
{
    char text[64];
    int n = snprintf(text, sizeof(text), "%08x-aaaa-bbbb-cccc-dddddddddddd\n", ++boots);

    write_file(boot_path, text, (size_t)n);
}

/* An ordinary user stays who he is. */
static bool own_namespaces(void)
{
    char text[64];
    unsigned uid = getuid();

    if (unshare(CLONE_NEWNS) == 0)
        return true;
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        return false;
    int n = snprintf(text, sizeof(text), "%u %u 1\n", uid, uid), fd = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
    bool mapped = fd >= 0 && write(fd, text, (size_t)n) == n;
    if (fd >= 0)
        close(fd);
    return mapped;
}

static bool own_boot_id(void)
{
    return own_namespaces() &&
           mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount(boot_path, "/proc/sys/kernel/random/boot_id", NULL, MS_BIND, NULL) == 0;
}

static bool mentions(const char *file, const char *hex)
{
    char path[400];
    char *text = NULL;
    bool found;

    snprintf(path, sizeof(path), "%s/%s", root, file);
    found = box_file_read(AT_FDCWD, path, 1u << 20, &text, NULL, NULL) == 0 && strstr(text, hex);
    free(text);
    return found;
}

/* A container that lasts holds it. */
static bool is_pinned(const char *digest)
{
    char path[400], file[60];
    struct stat st;

    for (int w = 0; w < WORKERS; w++)
        for (int i = 0; i < NAMES; i++) {
            snprintf(file, sizeof(file), "containers/w%d-%d/image", w, i);
            snprintf(path, sizeof(path), "%s/containers/w%d-%d", root, w, i);
            if (stat(path, &st) == 0 && !(st.st_mode & S_ISVTX) && mentions(file, digest))
                return true;
        }
    return false;
}

static bool does_last(const char *manifest)
{
    return mentions("images.json", manifest) || is_pinned(manifest);
}

static void lose(const char *path, unsigned *seed)
{
    if (rand_r(seed) % 2)
        truncate(path, rand_r(seed) % 3 ? 0 : 100);
    else
        unlink(path);
}

/* A document is lost only where no image that lasts needs it, and nothing was synced since it came: of the one that is
 * always there all are safe, and of the others those that images.json tells of. */
static void lose_documents(unsigned *seed)
{
    char path[500];

    if (mentions("images.late", "{"))
        for (int i = 1; i < IMAGES; i++) {
            bool lasts = false;
            for (int j = 0; j < IMAGES; j++)
                lasts |= strcmp(configs[i], configs[j]) == 0 && does_last(manifests[j]);
            snprintf(path, sizeof(path), "%s/blobs/sha256/%s", root, configs[i] + 7);
            if (!lasts && rand_r(seed) % 4 == 0)
                lose(path, seed);
            snprintf(path, sizeof(path), "%s/blobs/sha256/%s", root, manifests[i] + 7);
            if (!does_last(manifests[i]) && rand_r(seed) % 4 == 0)
                lose(path, seed);
        }
}

static void lose_unsynced(unsigned *seed)
{
    char path[600], below[900];
    struct dirent *e;

    lose_documents(seed);
    snprintf(path, sizeof(path), "%s/images.late", root);
    if (rand_r(seed) % 4 == 0)
        lose(path, seed);
    snprintf(path, sizeof(path), "%s/blobs/partial", root);
    DIR *dir = opendir(path);
    while (dir && (e = readdir(dir))) {
        snprintf(below, sizeof(below), "%s/%s", path, e->d_name);
        if (strchr(e->d_name, '+') && rand_r(seed) % 4 == 0)
            lose(below, seed);
    }
    closedir(dir);
    snprintf(path, sizeof(path), "%s/layers", root);
    dir = opendir(path);
    while (dir && (e = readdir(dir))) {
        snprintf(below, sizeof(below), "%s/%s/durable", path, e->d_name);
        if (e->d_name[0] == '.' || access(below, F_OK) == 0)
            continue;
        for (int i = 0; i < LAYERS; i++) {
            snprintf(below, sizeof(below), "%s/%s/diff/big%d", path, e->d_name, i);
            if (rand_r(seed) % 2 && access(below, F_OK) == 0)
                lose(below, seed);
        }
        snprintf(below, sizeof(below), "%s/%s/layer.json", path, e->d_name);
        if (rand_r(seed) % 4 == 0)
            lose(below, seed);
    }
    closedir(dir);
}

/* ---- Afterwards ---- */

static int image_of(box_store *store, const char *text)
{
    box_image *found = NULL;
    int r = box_image_open(store, text, &found, NULL), now = r == BOX_ENOTFOUND ? NONE : OTHER;

    for (int j = 0; r == 0 && j < IMAGES; j++)
        if (strcmp(box_image_digest(found), manifests[j]) == 0)
            now = j;
    box_image_free(found);
    return now;
}

static int names_right(box_store *store, bool down)
{
    int wrong = 0;

    for (int w = 0; w < WORKERS; w++)
        for (int i = 0; i < NAMES; i++) {
            struct name *name = &shared->names[w][i];
            bool lasts = !name->late_at || name->late_at <= shared->settled;
            char text[64];
            name_text(text, w, i);
            int is = image_of(store, text);
            bool good = is == name->now || (name->busy && is == name->coming) || (down && !lasts && is != OTHER && (name->may_be & bit(is)));
            good |= is != OTHER && is == name->waiting;
            if (!good)
                diag("%s is %d, not %d (may be %x, coming %d%s%s%s)", text, is, name->now, name->may_be, name->coming,
                     name->busy ? ", busy" : "", lasts ? ", lasts" : "", down ? ", down" : "");
            wrong += !good;
            name->waiting = down && is != name->now ? name->now : OTHER;
            name->now = is == OTHER ? NONE : is;
            name->late_at = down ? 0 : tick();
            name->may_be = (down ? 0 : name->may_be) | bit(name->now);
            name->busy = false;
        }
    return wrong;
}

static int strangers(void)
{
    static const char *const known[] = {"layout", "lock",       "images.json", "images.late", "blobs",  "settings.json",
                                        "layers", "containers", "volumes",     "empty",       "tmp",    ".", ".."};
    int n = 0;
    DIR *dir = opendir(root);

    for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
        bool found = false;
        for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
            found |= strcmp(e->d_name, known[i]) == 0;
        if (!found)
            diag("left: %s", e->d_name);
        n += !found;
    }
    closedir(dir);
    return n;
}

/* The first to open the store finds no room for anything, and gives up; others then leave it for a while. */
static void fail_to_recover(void)
{
    pid_t child = fork();

    if (child == 0) {
        const struct rlimit limit = {64, 64};
        signal(SIGXFSZ, SIG_IGN);
        _exit(setrlimit(RLIMIT_FSIZE, &limit) < 0 || !open_store());
    }
    waitpid(child, NULL, 0);
}

static bool is_recovered(void)
{
    char boot[16];

    snprintf(boot, sizeof(boot), "%08x-", boots);
    return !mentions("images.late", "{") || mentions("images.late", boot);
}

struct sums {
    int wrong, unsound, failed, left, downs, put_off;
};

static void look(bool down, struct sums *sums)
{
    box_store *store = open_store();
    box_store_usage usage;
    box_error *err = NULL;

    sums->downs += down;
    if (!store) {
        sums->failed++;
        return;
    }
    if (shared->recovered && box_store_verify(store, report, NULL, &err) < 0)
        sums->unsound++;
    box_error_free(err);
    err = NULL;
    sums->wrong += names_right(store, down);
    if (!shared->recovered) { /* the processes go on before what an earlier boot left is taken over */
        box_store_free(store);
        return;
    }
    if (box_store_collect(store, NULL, &err) < 0 || box_image_usage(store, &usage, &err) < 0 ||
        box_store_sync(store, &err) < 0) {
        diag("%s", box_error_message(err));
        sums->failed++;
    }
    box_error_free(err);
    if (box_store_verify(store, report, NULL, NULL) < 0 || image_of(store, IMAGE_NAME) != 0)
        sums->unsound++;
    unsigned left = entries_in("tmp") + entries_in("blobs/partial");
    if (left)
        diag("%u files are left", left);
    sums->left += strangers() + (int)left;
    box_store_free(store);
}

static int lines_left(void)
{
    box_store *store = open_store();
    char text[64];
    int n;

    for (int w = 0; w < WORKERS; w++)
        for (int i = 0; i < NAMES; i++) {
            unpin(w, i);
            name_text(text, w, i);
            box_image_remove(store, text, BOX_IMAGE_REMOVE_FORCE, NULL, NULL, NULL);
        }
    box_image_remove(store, IMAGE_NAME, BOX_IMAGE_REMOVE_FORCE, NULL, NULL, NULL);
    box_image_prune_options all = BOX_IMAGE_PRUNE_INIT;
    all.all = true;
    box_image_prune(store, &all, NULL, NULL, NULL, NULL);
    n = (int)(entries_in("layers") + entries_in("blobs/sha256") + entries_in("blobs/partial") + entries_in("tmp"));
    box_store_free(store);
    return n;
}

int main(void)
{
    const char *given = getenv("BOX_SEED"), *limit = getenv("BOX_SECONDS");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL) ^ (unsigned)getpid();
    double until = now() + (limit ? atof(limit) : 5);
    struct sums sums = {0};
    unsigned killed = 0;

    set_paths();
    snprintf(boot_path, sizeof(boot_path), "%s.boot", root);
    new_boot();
    if (!own_boot_id())
        skip_all("no mount namespace for a boot id of its own");
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int w = 0; w < WORKERS; w++)
        for (int i = 0; i < NAMES; i++)
            shared->names[w][i] = (struct name){.now = NONE, .waiting = OTHER, .may_be = bit(NONE)};
    diag("seed %u", seed);
    make_images();
    box_store *store = open_store();
    ok(store && pull(store, IMAGE_NAME, 0, false, NULL) == 0, "an image is there from the beginning");
    box_store_free(store);

    while (now() < until) {
        pid_t workers[WORKERS];
        shared->calm = rand_r(&seed) % 2;
        for (int w = 0; w < WORKERS; w++)
            workers[w] = start_worker(w, (unsigned)rand_r(&seed));
        for (int i = 0; i < 8; i++) {
            int w = rand_r(&seed) % WORKERS;
            killed += (unsigned)kill_after(workers[w], 0.1 * rand_r(&seed) / RAND_MAX);
            workers[w] = start_worker(w, (unsigned)rand_r(&seed));
        }
        for (int w = 0; w < WORKERS; w++)
            killed += (unsigned)kill_after(workers[w], 0);
        bool down = rand_r(&seed) % 2;
        if (down) {
            lose_unsynced(&seed);
            new_boot();
        }
        if (down && rand_r(&seed) % 2)
            fail_to_recover();
        else if (down)
            box_store_free(open_store());
        shared->recovered = is_recovered();
        sums.put_off += !shared->recovered;
        look(down, &sums);
    }
    diag("%u things were done, %u processes killed, %d times the machine went down, of which %d times it was not recovered at once",
         shared->done, killed, sums.downs, sums.put_off);
    is_int(sums.wrong, 0, "nothing that was done is missing");
    is_int((int)shared->lost_fixed, 0, "what lasts is there all the time");
    is_int((int)shared->unsound + sums.unsound, 0, "the store is sound at each look");
    is_int((int)shared->failed + sums.failed, 0, "nothing fails for another's work");
    is_int(sums.left, 0, "nothing is left after a collection");
    is_int(lines_left(), 0, "and nothing at all when all images are gone");
    return done_testing();
}
