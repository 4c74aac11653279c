/* Pulling: what libbox takes for it beside the sum of the work that cannot be left out, spread over all processors,
 * and beside other tools.
 *
 *     bench-pull --make DIR                     writes the image as an OCI layout, 123 MB of gzip
 *     bench-pull --image DIR --dir DIR [--runs N] [--json FILE] [--registry HOST:PORT/NAME:TAG]
 *
 * The image is the same wherever it is made, but for the gzip at hand: two layers, 307 MB, 8,840 files. The floor
 * digests the blobs, inflates them, digests what comes out and makes the files, each of these as early and on as
 * many processors as can be, and all in memory. libbox pulls from a registry that is a directory, or, with
 * --registry, peers pull from a real one; tests/bench/run starts it. */
#include "bench.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <isa-l/igzip_lib.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libbox/box.h>

#include "../lib/fake_remote.h"
#include "../lib/tarball.h"
#include "base/digest.h"
#include "base/file.h"

#define LAYERS 2
#define WORDS  700

static struct settings {
    const char *image, *dir, *registry, *only;
    char manifest[BOX_DIGEST_TEXT], blobs[LAYERS][400];
    unsigned runs;
    long peak; /* kB that a pull of libbox's took */
    double pull_cpu, load_cpu, floor_cpu; /* seconds of processor that the best run took */
    struct output out;
} settings = {.runs = 9};

__attribute__((noreturn)) static void die(const char *what)
{
    fprintf(stderr, "bench-pull: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- The image ---- */

static const struct {
    unsigned files, links;
    size_t bytes;
} shape[LAYERS] = {{6900, 500, 115000000}, {1940, 100, 192000000}};

static uint64_t random_state = 42;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* Some of it does not compress, most is made of a few hundred words: gzip leaves two fifths. */
static void fill(char *data, size_t length)
{
    static char words[WORDS][12];

    if (!words[0][0])
        for (size_t i = 0; i < WORDS; i++)
            for (size_t j = 0, n = 3 + next_random() % 8; j < n; j++)
                words[i][j] = (char)('a' + next_random() % 26);
    for (size_t at = 0; at < length;) {
        uint64_t r = next_random();
        size_t n;
        if (r % 100 < 8) {
            n = length - at < 8 ? length - at : 8;
            memcpy(data + at, &r, n);
        } else {
            const char *word = words[(r >> 8) % WORDS * ((r >> 20) % WORDS) / WORDS];
            n = strlen(word);
            n = n < length - at ? n : length - at;
            memcpy(data + at, word, n);
            if (at + n < length)
                data[at + n++] = ' ';
        }
        at += n;
    }
}

static void put_layer_files(struct tarball *tar, unsigned layer)
{
    static char data[32u << 20];
    char name[100], target[100];
    size_t left = shape[layer].bytes;

    for (unsigned i = 0; i < shape[layer].files; i++) {
        if (i % 10 == 0) {
            snprintf(name, sizeof(name), "usr/lib/part%u.%u/dir%u/", layer, i / 500, i / 10);
            tarball_put(tar, &(struct tarball_member){.name = name, .type = '5', .mtime = 1700000000});
        }
        /* Most are small and a few hold most of the bytes. */
        size_t rest = shape[layer].files - i, mean = left / rest;
        double u = (double)(next_random() % 1000000 + 1) / 1e6;
        size_t size = rest == 1 ? left : (size_t)((double)mean * 0.25 / (u + 0.02) * 1.2);
        size = size > sizeof(data) ? sizeof(data) : size > left ? left : size;
        left -= size;
        fill(data, size);
        snprintf(name, sizeof(name), "usr/lib/part%u.%u/dir%u/file%u", layer, i / 500, i / 10, i);
        tarball_put(tar, &(struct tarball_member){
                             .name = name, .mode = i % 7 ? 0644 : 0755, .data = data, .size = size, .mtime = 1700000000 + i});
        if (i < shape[layer].links) {
            snprintf(target, sizeof(target), "file%u", i);
            snprintf(name, sizeof(name), "usr/lib/part%u.%u/dir%u/link%u", layer, i / 500, i / 10, i);
            tarball_put(tar, &(struct tarball_member){.name = name, .type = '2', .link = target, .mtime = 1700000000});
        }
    }
    tarball_end(tar);
}

static void put(const char *path, const void *data, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    if (fd < 0 || box_write_all(fd, data, length) < 0 || close(fd) < 0)
        die(path);
}

static void digest_text(const void *data, size_t length, char text[BOX_DIGEST_TEXT])
{
    struct box_digest digest;

    if (box_digest_data(BOX_SHA256, data, length, &digest, NULL) < 0)
        die("digest");
    box_digest_format(&digest, text);
}

static void put_blob(const char *dir, const void *data, size_t length, char text[BOX_DIGEST_TEXT])
{
    char path[1200];

    digest_text(data, length, text);
    snprintf(path, sizeof(path), "%s/blobs/sha256/%s", dir, text + 7);
    put(path, data, length);
}

static size_t put_layer(const char *dir, unsigned layer, char blob[BOX_DIGEST_TEXT], char diff_id[BOX_DIGEST_TEXT])
{
    struct tarball tar = {0};
    char command[1300], path[1200], *packed = NULL;
    size_t length = 0;

    put_layer_files(&tar, layer);
    digest_text(tar.data, tar.length, diff_id);
    snprintf(path, sizeof(path), "%.300s/packed", dir);
    snprintf(command, sizeof(command), "gzip -n -6 >%s", path);
    FILE *pipe = popen(command, "w");
    if (!pipe || fwrite(tar.data, 1, tar.length, pipe) != tar.length || pclose(pipe) != 0)
        die(command);
    tarball_free(&tar);
    if (box_file_read(AT_FDCWD, path, 1u << 30, &packed, &length, NULL) < 0)
        die(path);
    put_blob(dir, packed, length, blob);
    free(packed);
    unlink(path);
    return length;
}

static int make_image(const char *dir)
{
    char path[1200], layers[600] = "", diff_ids[300] = "", text[2000], digest[BOX_DIGEST_TEXT], diff[BOX_DIGEST_TEXT];
    const char *below[] = {"", "/blobs", "/blobs/sha256"};

    for (size_t i = 0; i < BOX_ARRAY(below); i++) {
        snprintf(path, sizeof(path), "%.300s%s", dir, below[i]);
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
            die(path);
    }
    for (unsigned i = 0; i < LAYERS; i++) {
        size_t size = put_layer(dir, i, digest, diff);
        snprintf(layers + strlen(layers), sizeof(layers) - strlen(layers),
                 "%s{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\",\"digest\":\"%s\",\"size\":%zu}",
                 i ? "," : "", digest, size);
        snprintf(diff_ids + strlen(diff_ids), sizeof(diff_ids) - strlen(diff_ids), "%s\"%s\"", i ? "," : "", diff);
    }
    int n = snprintf(text, sizeof(text),
                     "{\"os\":\"linux\",\"architecture\":\"amd64\",\"config\":{},"
                     "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[%s]}}",
                     diff_ids);
    put_blob(dir, text, (size_t)n, digest);
    n = snprintf(text, sizeof(text),
                 "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":{"
                 "\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\",\"size\":%d},"
                 "\"layers\":[%s]}",
                 digest, n, layers);
    put_blob(dir, text, (size_t)n, digest);
    n = snprintf(text, sizeof(text),
                 "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
                 "\"digest\":\"%s\",\"size\":%d,\"annotations\":{\"org.opencontainers.image.ref.name\":\"bench\"}}]}",
                 digest, n);
    snprintf(path, sizeof(path), "%.300s/index.json", dir);
    put(path, text, (size_t)n);
    snprintf(path, sizeof(path), "%s/oci-layout", dir);
    put(path, "{\"imageLayoutVersion\":\"1.0.0\"}", 30);
    return 0;
}

/* What a manifest by the name in index.json leads to: enough of a parser for what make_image() wrote. */
static void find_digests(void)
{
    char path[400], *text = NULL, *at;

    snprintf(path, sizeof(path), "%s/index.json", settings.image);
    if (box_file_read(AT_FDCWD, path, 1u << 20, &text, NULL, NULL) < 0 || !(at = strstr(text, "sha256:")))
        die(path);
    snprintf(settings.manifest, sizeof(settings.manifest), "%.71s", at);
    free(text);
    snprintf(path, sizeof(path), "%.300s/blobs/sha256/%.64s", settings.image, settings.manifest + 7);
    if (box_file_read(AT_FDCWD, path, 1u << 20, &text, NULL, NULL) < 0 || !(at = strstr(text, "\"layers\"")))
        die(path);
    for (unsigned i = 0; i < LAYERS && (at = strstr(at, "sha256:")); i++, at++)
        snprintf(settings.blobs[i], sizeof(settings.blobs[i]), "%.300s/blobs/sha256/%.64s", settings.image, at + 7);
    free(text);
}

/* ---- Runs, each in a process of its own, with a directory of its own ---- */

static void clear_dir(void)
{
    int fd = open(settings.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    box_remove_tree(fd, "run", NULL);
    mkdirat(fd, "run", 0700);
    syncfs(fd);
    close(fd);
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static int64_t run_child(struct subject *s, int (*work)(const char *dir), long *peak, double *cpu)
{
    char dir[400];
    struct rusage usage;
    int status = 0;

    clear_dir();
    snprintf(dir, sizeof(dir), "%s/run", settings.dir);
    int64_t begun = bench_now();
    pid_t pid = fork();
    if (pid == 0)
        _exit(work(dir));
    if (pid < 0 || wait4(pid, &status, 0, &usage) < 0 || status != 0)
        return bench_fail(s, "it ended with status %x", (unsigned)status);
    int64_t took = bench_now() - begun;
    double used = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    if (!*cpu || used < *cpu)
        *cpu = used;
    if (peak && usage.ru_maxrss > *peak)
        *peak = usage.ru_maxrss;
    return took;
}

static int pull(const char *dir)
{
    struct fake_remote fake;
    char root[420], run[420];
    box_store *store = NULL;
    box_error *err = NULL;

    snprintf(root, sizeof(root), "%s/root", dir);
    snprintf(run, sizeof(run), "%s/runroot", dir);
    fake_remote_init(&fake, settings.image, settings.manifest);
    fake.piece = 128u << 10;
    int r = box_store_open(root, run, 0, &store, &err);
    if (r == 0)
        r = box_image_pull_from(store, &fake.base, "bench.test/image:1", "1", NULL, NULL, &err);
    if (r < 0)
        fprintf(stderr, "%s\n", box_error_message(err));
    return r < 0;
}

static int load(const char *dir)
{
    char root[420], run[420];
    box_store *store = NULL;
    box_error *err = NULL;

    snprintf(root, sizeof(root), "%s/root", dir);
    snprintf(run, sizeof(run), "%s/runroot", dir);
    int r = box_store_open(root, run, 0, &store, &err);
    if (r == 0)
        r = box_image_load(store, settings.image, NULL, NULL, &err);
    if (r < 0)
        fprintf(stderr, "%s\n", box_error_message(err));
    return r < 0;
}

static int64_t run_pull(struct subject *s)
{
    return run_child(s, pull, &settings.peak, &settings.pull_cpu);
}

static int64_t run_load(struct subject *s)
{
    return run_child(s, load, &settings.peak, &settings.load_cpu);
}

/* ---- The floor ---- */

struct floor_layer {
    char *blob, *tar;
    size_t blob_size, tar_size;
    bool inflated;
};
static struct floor_layer layers[LAYERS];
static int floor_dir = -1;
static pthread_mutex_t floor_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t floor_cond = PTHREAD_COND_INITIALIZER;
static void (*isal_init)(struct inflate_state *);
static int (*isal)(struct inflate_state *);

static void inflate_layer(struct floor_layer *l)
{
    struct inflate_state *state = malloc(sizeof(*state));

    isal_init(state);
    state->crc_flag = ISAL_GZIP;
    state->next_in = (uint8_t *)l->blob;
    state->avail_in = (uint32_t)l->blob_size;
    state->next_out = (uint8_t *)l->tar;
    state->avail_out = (uint32_t)l->tar_size;
    if (isal(state) != ISAL_DECOMP_OK)
        _exit(3);
    l->tar_size -= state->avail_out;
    pthread_mutex_lock(&floor_mutex);
    l->inflated = true;
    pthread_cond_broadcast(&floor_cond);
    pthread_mutex_unlock(&floor_mutex);
}

static void digest_floor(const char *data, size_t size)
{
    char text[BOX_DIGEST_TEXT];

    digest_text(data, size, text);
}

static void make_files(struct floor_layer *l)
{
    for (size_t at = 0; at + 512 <= l->tar_size && l->tar[at];) {
        const char *h = l->tar + at;
        size_t size = strtoull(h + 124, NULL, 8);
        char name[101];
        snprintf(name, sizeof(name), "%.100s", h);
        if (h[156] == '5') {
            for (char *p = name; (p = strchr(p, '/')); *p++ = '/') {
                *p = '\0';
                mkdirat(floor_dir, name, 0755);
            }
        } else if (h[156] == '2') {
            if (symlinkat(h + 157, floor_dir, name) < 0)
                _exit(4);
        } else {
            int fd = openat(floor_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
            if (fd < 0 || box_write_all(fd, h + 512, size) < 0)
                _exit(5);
            close(fd);
        }
        at += 512 + (size + 511) / 512 * 512;
    }
}

/* In this order: what others wait for comes first. */
static unsigned floor_next;

static void floor_item(unsigned item)
{
    struct floor_layer *l = &layers[LAYERS - 1 - item % LAYERS]; /* the large one first */

    if (item < LAYERS) {
        inflate_layer(l);
        return;
    }
    if (item < 3 * LAYERS) {
        pthread_mutex_lock(&floor_mutex);
        while (!l->inflated)
            pthread_cond_wait(&floor_cond, &floor_mutex);
        pthread_mutex_unlock(&floor_mutex);
        if (item < 2 * LAYERS)
            make_files(l);
        else
            digest_floor(l->tar, l->tar_size);
        return;
    }
    digest_floor(l->blob, l->blob_size);
}

static void *floor_thread(void *data)
{
    for (unsigned item; (item = __atomic_fetch_add(&floor_next, 1, __ATOMIC_RELAXED)) < 4 * LAYERS;)
        floor_item(item);
    return data;
}

static int floor_work(const char *dir)
{
    pthread_t threads[64];
    cpu_set_t set;
    struct stat st;

    floor_dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (unsigned i = 0; i < LAYERS; i++) {
        int fd = open(settings.blobs[i], O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
            return 1;
        layers[i].blob_size = (size_t)st.st_size;
        layers[i].blob = mmap(NULL, layers[i].blob_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
        layers[i].tar_size = (size_t)st.st_size * 8;
        layers[i].tar = mmap(NULL, layers[i].tar_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    }
    sched_getaffinity(0, sizeof(set), &set);
    unsigned n = (unsigned)CPU_COUNT(&set) < 64 ? (unsigned)CPU_COUNT(&set) : 64;
    for (unsigned i = 0; i < n; i++)
        pthread_create(&threads[i], NULL, floor_thread, NULL);
    for (unsigned i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    return 0;
}

static int64_t run_floor(struct subject *s)
{
    if (!isal) {
        void *library = dlopen("libisal.so.2", RTLD_NOW);
        void *init = library ? dlsym(library, "isal_inflate_init") : NULL;
        void *inflate = library ? dlsym(library, "isal_inflate") : NULL;
        memcpy(&isal_init, &init, sizeof(init));
        memcpy(&isal, &inflate, sizeof(inflate));
    }
    return isal ? run_child(s, floor_work, NULL, &settings.floor_cpu) : bench_fail(s, "ISA-L is not installed");
}

/* ---- Peers ---- */

static int64_t run_shell(struct subject *s)
{
    char command[1000];

    clear_dir();
    snprintf(command, sizeof(command), "cd %s/run && exec >%s/log 2>&1 </dev/null && %s", settings.dir, settings.dir,
             (const char *)s->data);
    int64_t begun = bench_now();
    int status = system(command);
    int64_t took = bench_now() - begun;
    return status == 0 ? took : bench_fail(s, "it ended with status %x", (unsigned)status);
}

static void add_peers(struct group *g)
{
    static char podman[600], umoci[800], tar[1000];

    snprintf(tar, sizeof(tar), "for b in %s %s; do tar -xzf $b; done", settings.blobs[0], settings.blobs[1]);
    bench_add(g, "tar -xzf, in turn", run_shell, tar)->every = 3;
    if (!settings.registry)
        return;
    snprintf(podman, sizeof(podman),
             "podman --root $PWD/root --runroot $PWD/runroot --storage-driver overlay pull --tls-verify=false %s",
             settings.registry);
    bench_add(g, "podman pull", run_shell, podman)->every = 3;
    snprintf(umoci, sizeof(umoci),
             "skopeo copy --src-tls-verify=false docker://%s oci:$PWD/oci:x && umoci unpack --image $PWD/oci:x $PWD/bundle",
             settings.registry);
    bench_add(g, "skopeo and umoci", run_shell, umoci)->every = 3;
}

static void measure(void)
{
    struct group g = {.name = "pull and unpack, 2 layers, 307 MB"}, h = {.name = "load of the same from a directory"};

    bench_add(&g, "libbox", run_pull, NULL);
    bench_add(&g, "floor", run_floor, NULL);
    if (!strstr(settings.only, "floor"))
        add_peers(&g);
    bench_run(&g, settings.runs, &settings.out);
    bench_add(&h, "libbox", run_load, NULL);
    bench_add(&h, "floor", run_floor, NULL);
    if (!strstr(settings.only, "floor"))
        bench_run(&h, settings.runs, &settings.out);
    printf("least processor time, seconds: pull %.2f, load %.2f, floor %.2f\n", settings.pull_cpu, settings.load_cpu,
           settings.floor_cpu);
    printf("most memory of a pull or load: %.1f MB\n", (double)settings.peak / 1000);
}

int main(int argc, char **argv)
{
    static const struct option table[] = {{"make", 1, NULL, 'm'}, {"image", 1, NULL, 'i'},    {"dir", 1, NULL, 'd'},
                                          {"runs", 1, NULL, 'r'}, {"json", 1, NULL, 'j'},     {"registry", 1, NULL, 'R'},
                                          {"only", 1, NULL, 'o'}, {"pull", 1, NULL, 'p'}, {NULL, 0, NULL, 0}};
    const char *once = NULL;

    settings.only = "";
    for (int c; (c = getopt_long(argc, argv, "", table, NULL)) != -1;) {
        switch (c) {
        case 'm':
            return make_image(optarg);
        case 'i':
            settings.image = optarg;
            break;
        case 'd':
            settings.dir = optarg;
            break;
        case 'r':
            settings.runs = (unsigned)atoi(optarg);
            break;
        case 'j':
            settings.out.json_path = optarg;
            break;
        case 'R':
            settings.registry = optarg;
            break;
        case 'o':
            settings.only = optarg;
            break;
        case 'p':
            once = optarg;
            break;
        default:
            return 2;
        }
    }
    if (!settings.image || (!settings.dir && !once))
        return fprintf(stderr, "usage: bench-pull --make DIR | --image DIR --dir DIR [--runs N] [--json FILE]\n"), 2;
    find_digests();
    if (once) /* one pull, for a profiler to look at */
        return pull(once);
    measure();
    return bench_finish(&settings.out) < 0;
}
