/* Images: what libbox takes beside the work that cannot be left out, spread over all processors, and beside other tools.
 *
 *     bench-image --make DIR                    writes the image as an OCI layout
 *     bench-image --image DIR --dir DIR [--registry HOST:PORT/NAME:TAG] [--target HOST:PORT] [--box FILE]
 *                 [--only ROWS] [--runs N] [--json FILE]
 *     bench-image --image DIR --pull DIR        one pull from a directory, for a profiler to look at
 *
 * ROWS, any of: pull load save push commit remove. The registries are started by tests/bench/run; the first has the image, the
 * second has nothing. In each row libbox comes twice: called by a program, and as the program `box`. */
#include "bench-image.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libbox/box.h>

#include "../lib/fake_remote.h"

/* In a mount namespace whose /var/lib is empty, where podman and skopeo would remember which repositories of a registry have
 * a blob, to have it mounted from there the next time. */
#define APART "unshare -m sh -c 'mount -t tmpfs none /var/lib && exec \"$0\" \"$@\"' "
#define PODMAN                                                                                                \
    APART "podman --root $ROOM/root --runroot $ROOM/runroot --tmpdir $ROOM/tmp --storage-driver overlay " \
          "--storage-opt overlay.skip_mount_home=true "
#define SKOPEO APART "skopeo copy -q "
#define BOX "$BOX --root $ROOM/root --runroot $ROOM/runroot "
#define SLOW 2 /* peers that take seconds run in every second turn */

struct image_settings image_settings = {.runs = 5, .only = ""};

/* ---- libbox, in process ---- */

struct libbox {
    box_store *store;
    box_registry *registry;
};

static int allow_http(box_registry *registry, const char *name, box_error **err)
{
    char host[100];

    if (!name)
        return 0;
    snprintf(host, sizeof(host), "%.*s", (int)strcspn(name, "/"), name);
    return box_registry_allow_http(registry, host, err);
}

static int open_libbox(struct libbox *l, const char *room, box_error **err)
{
    char root[420], run[420];
    int r;

    snprintf(root, sizeof(root), "%.400s/root", room);
    snprintf(run, sizeof(run), "%.400s/runroot", room);
    *l = (struct libbox){.registry = box_registry_new(err)};
    r = l->registry ? allow_http(l->registry, image_settings.registry, err) : BOX_ENOMEM;
    if (r == 0)
        r = allow_http(l->registry, image_settings.target, err);
    return r < 0 ? r : box_store_open(root, run, 0, &l->store, err);
}

static int finish(struct libbox *l, int r, box_error *err)
{
    if (r < 0)
        fprintf(stderr, "%s\n", box_error_message(err));
    box_error_free(err);
    box_registry_free(l->registry);
    box_store_free(l->store);
    return r < 0;
}

static const char *image_name(void)
{
    return image_settings.registry ? image_settings.registry : "bench.test/image:1";
}

static int pull_as(const char *room, bool late)
{
    box_transfer_options options = BOX_TRANSFER_OPTIONS_INIT;
    struct libbox l;
    struct fake_remote fake;
    box_error *err = NULL;
    int r = open_libbox(&l, room, &err);

    options.late = late;
    if (r == 0 && image_settings.registry) {
        r = box_image_pull(l.store, l.registry, image_settings.registry, &options, NULL, &err);
    } else if (r == 0) {
        fake_remote_init(&fake, image_settings.image, image_settings.manifest);
        fake.piece = 128u << 10;
        r = box_image_pull_from(l.store, &fake.base, image_name(), "1", &options, NULL, &err);
    }
    return finish(&l, r, err);
}

static int pull(const char *room, const char *run)
{
    (void)run;
    return pull_as(room, false);
}

static int pull_late(const char *room, const char *run)
{
    (void)run;
    return pull_as(room, true);
}

static int load(const char *room, const char *run)
{
    char path[400];
    struct libbox l;
    box_error *err = NULL;
    int r = open_libbox(&l, room, &err);

    (void)run;
    snprintf(path, sizeof(path), "%.300s/archive.tar", image_settings.dir);
    if (r == 0)
        r = box_image_load(l.store, path, NULL, NULL, &err);
    return finish(&l, r, err);
}

static int push(const char *room, const char *run)
{
    char to[200];
    struct libbox l;
    box_error *err = NULL;
    int r = open_libbox(&l, room, &err);

    snprintf(to, sizeof(to), "%.100s/libbox-%.30s:1", image_settings.target, run);
    if (r == 0)
        r = box_image_push(l.store, l.registry, image_name(), to, NULL, NULL, &err);
    return finish(&l, r, err);
}

static int save_as(const char *room, enum box_archive_format format)
{
    const char *const names[] = {image_name(), NULL};
    box_archive_options options = BOX_ARCHIVE_OPTIONS_INIT;
    struct libbox l;
    box_error *err = NULL;
    int r = open_libbox(&l, room, &err);

    options.format = format;
    if (r == 0)
        r = box_image_save(l.store, names, getenv("OUT"), &options, &err);
    return finish(&l, r, err);
}

static int save_docker(const char *room, const char *run)
{
    (void)run;
    return save_as(room, BOX_ARCHIVE_DOCKER);
}

static int save_oci(const char *room, const char *run)
{
    (void)run;
    return save_as(room, BOX_ARCHIVE_OCI);
}

static int commit(const char *room, const char *run)
{
    char container[60], name[60];
    box_container *c = NULL;
    box_commit_options options = BOX_COMMIT_OPTIONS_INIT;
    struct libbox l;
    box_error *err = NULL;
    int r = open_libbox(&l, room, &err);

    snprintf(container, sizeof(container), "c-%.40s", run);
    snprintf(name, sizeof(name), "new:%.40s", run);
    options.name = name;
    if (r == 0)
        r = box_container_open(l.store, container, &c, &err);
    if (r == 0)
        r = box_container_commit(l.store, c, &options, NULL, &err);
    box_container_free(c);
    return finish(&l, r, err);
}

static int remove_image(const char *room, const char *run)
{
    struct libbox l;
    box_error *err = NULL;
    int r = open_libbox(&l, room, &err);

    (void)run;
    if (r == 0)
        r = box_image_remove(l.store, image_name(), 0, NULL, NULL, &err);
    return finish(&l, r, err);
}

/* ---- Rooms, and what fills them ---- */

static struct image_rooms in_libbox = {.name = "libbox"}, in_box = {.name = "box"}, in_podman = {.name = "podman"},
                          in_floor = {.name = "floor"}, in_others = {.name = "other"};
static struct image_task pull_libbox = {&in_libbox, .makes = true, .work = pull},
                         pull_box = {&in_box, .makes = true, .command = BOX "pull -q --tls-verify=false $REGISTRY"},
                         pull_podman = {&in_podman, .makes = true,
                                        .command = PODMAN "pull -q --tls-verify=false $REGISTRY"},
                         pull_kept = {&in_floor, .makes = true, .work = floor_pull_kept};

static bool wants(const char *row)
{
    const char *only = image_settings.only, *at = *only ? strstr(only, row) : NULL;
    size_t n = strlen(row);

    for (; at; at = strstr(at + n, row))
        if ((at == only || at[-1] == ',') && (!at[n] || at[n] == ','))
            return true;
    return !*only;
}

/* Runs of a subject, with the one that warms up. */
static unsigned count(unsigned every)
{
    return 1 + (image_settings.runs + every - 1) / every;
}

static struct subject *add(struct group *g, const char *name, struct image_task *task)
{
    return bench_add(g, name, image_run, task);
}

static void add_slow(struct group *g, const char *name, struct image_task *task)
{
    add(g, name, task)->every = SLOW;
}

static void run(struct group *g, unsigned own)
{
    g->own = own;
    g->warm_up = 1;
    bench_run(g, image_settings.runs, &image_settings.out);
}

/* Fills the rooms that a row needs. Whose cannot be filled is skipped, and why is said. */
static bool fill(const char *row, struct image_rooms *rooms, unsigned n)
{
    struct subject s;

    rooms->used = 0;
    if (image_fill(rooms, n, &s) == 0)
        return true;
    bench_skip(row, rooms->name, s.why);
    return false;
}

/* ---- Rows ---- */

static void report_pull(const char *what, double libbox, double peer, const char *unit)
{
    if (libbox > 0 && peer > 0)
        bench_report(&image_settings.out, what, "podman pull",
                     &(struct result){libbox, peer, libbox / peer, libbox / peer, unit, 1});
}

static void measure_pull(void)
{
    static struct image_task bare = {&in_others, .makes = true, .work = floor_pull},
                             late = {&in_others, .makes = true, .work = pull_late},
                             synced = {&in_others, .makes = true, .work = floor_pull_synced}, tar = {&in_others, .makes = true},
                             umoci = {&in_others, .makes = true,
                                      .command = SKOPEO "--src-tls-verify=false docker://$REGISTRY oci:$ROOM/oci:x\n"
                                                 "umoci unpack --image $ROOM/oci:x $ROOM/bundle"};
    static char command[1000];
    char first[400], second[400];
    struct group g = {.name = "pull and unpack, 2 layers, 307 MB"};

    snprintf(command, sizeof(command), "cd $ROOM; for b in %s %s; do tar -xzf $b; done",
             image_blob(image_settings.layers[0], first), image_blob(image_settings.layers[1], second));
    tar.command = command;
    bool real = image_settings.registry, box = real && image_settings.box;
    add(&g, "libbox", &pull_libbox);
    add(&g, "late", &late);
    if (box)
        add(&g, "box pull", &pull_box);
    add(&g, "floor", &bare);
    add(&g, "floor, blobs kept", &pull_kept);
    add(&g, "floor, blobs kept, synced", &synced);
    if (real)
        add_slow(&g, "podman pull", &pull_podman);
    if (real)
        add_slow(&g, "skopeo and umoci", &umoci);
    add_slow(&g, "tar -xzf, in turn, no digests", &tar);
    run(&g, 2 + box);
    report_pull("pull: least processor time", pull_libbox.cpu, pull_podman.cpu, "s");
    report_pull("pull: most memory", (double)pull_libbox.peak / 1000, (double)pull_podman.peak / 1000, "MB");
    printf("pull: most memory of libbox %.1f MB, of box %.1f MB; least processor time of the floor %.2f s, blobs kept %.2f s\n",
           (double)pull_libbox.peak / 1000, (double)pull_box.peak / 1000, bare.cpu, pull_kept.cpu);
}

static void measure_load(void)
{
    static struct image_rooms rooms[] = {{"load-libbox", NULL, 0, 0}, {"load-box", NULL, 0, 0}, {"load-podman", NULL, 0, 0}, {"load-floor", NULL, 0, 0}};
    static struct image_task
        libbox = {&rooms[0], .makes = true, .work = load},
        box = {&rooms[1], .makes = true, .command = BOX "load -q -i $DIR/archive.tar"},
        podman = {&rooms[2], .makes = true, .command = PODMAN "load -q -i $DIR/archive.tar"},
        bare = {&rooms[3], .makes = true, .work = floor_load},
        archive = {&in_others, .makes = true, .command = SKOPEO "oci:$IMAGE:bench oci-archive:$DIR/archive.tar"};
    struct group g = {.name = "load of an OCI archive"};
    struct subject s = {.data = &archive};

    if (image_run(&s) < 0) {
        bench_skip(g.name, "skopeo", s.why);
        return;
    }
    add(&g, "libbox", &libbox);
    if (image_settings.box)
        add(&g, "box load", &box);
    add(&g, "floor", &bare);
    add_slow(&g, "podman load", &podman);
    run(&g, 1 + !!image_settings.box);
    printf("load: most memory of libbox %.1f MB\n", (double)libbox.peak / 1000);
}

static void measure_save(bool oci)
{
    static struct image_task
        docker_libbox = {&in_libbox, .work = save_docker}, oci_libbox = {&in_libbox, .work = save_oci},
        docker_box = {&in_box, .command = BOX "save -o $OUT --format docker-archive $REGISTRY"},
        oci_box = {&in_box, .command = BOX "save -o $OUT --format oci-archive $REGISTRY"},
        docker_podman = {&in_podman, .command = PODMAN "save -q --format docker-archive -o $OUT $REGISTRY"},
        oci_podman = {&in_podman, .command = PODMAN "save -q --format oci-archive -o $OUT $REGISTRY"},
        skopeo = {&in_libbox, .command = SKOPEO "oci:$IMAGE:bench oci-archive:$OUT"},
        bare = {&in_libbox, .work = floor_save}, synced = {&in_libbox, .work = floor_save_synced};
    struct group g = {.name = oci ? "save, oci-archive" : "save, docker-archive"};
    const bool box = image_settings.box && image_settings.registry;

    if (!fill(g.name, &in_libbox, 1))
        return;
    add(&g, "libbox", oci ? &oci_libbox : &docker_libbox);
    if (box && fill(g.name, &in_box, 1))
        add(&g, "box save", oci ? &oci_box : &docker_box);
    const unsigned own = (unsigned)g.n;
    add(&g, "floor", &bare);
    add(&g, "floor, synced", &synced);
    if (image_settings.registry && fill(g.name, &in_podman, 1))
        add_slow(&g, "podman save", oci ? &oci_podman : &docker_podman);
    if (oci)
        add_slow(&g, "skopeo copy, from a layout", &skopeo);
    run(&g, own);
}

/* Each from a room that has not pushed yet: who knows that the registry has a blob elsewhere has it mounted there. */
static void measure_push(void)
{
    static struct image_task
        libbox = {&in_libbox, .work = push, .pushes = "libbox"},
        box = {&in_box, .before = BOX "tag $REGISTRY $TARGET/box-$RUN:1",
               .command = BOX "push -q --tls-verify=false $TARGET/box-$RUN:1", .pushes = "box"},
        podman = {&in_podman, .command = PODMAN "push -q --tls-verify=false $REGISTRY docker://$TARGET/podman-$RUN:1",
                  .pushes = "podman"},
        skopeo = {&in_others, .pushes = "skopeo",
                  .command = SKOPEO "--dest-tls-verify=false oci:$IMAGE:bench docker://$TARGET/skopeo-$RUN:1"},
        bare = {&in_others, .work = floor_push, .pushes = "floor"};
    struct group g = {.name = "push, nothing there"};
    const unsigned runs = image_settings.runs;

    if (!image_settings.target || !image_settings.registry) {
        bench_skip(g.name, "all", "docker-registry is needed");
        return;
    }
    if (!fill(g.name, &in_libbox, runs + 1))
        return;
    add(&g, "libbox", &libbox);
    if (image_settings.box && fill(g.name, &in_box, runs + 1))
        add(&g, "box push", &box);
    const unsigned own = (unsigned)g.n;
    add(&g, "floor", &bare);
    if (fill(g.name, &in_podman, count(SLOW)))
        add_slow(&g, "podman push", &podman);
    add(&g, "skopeo copy, from a layout", &skopeo);
    run(&g, own);
}

/* A container into which 2,000 files were copied. In rooms of their own: nobody removes an image that has containers. */
static void measure_commit(void)
{
    static struct image_rooms own = {.name = "commit-libbox"}, of_podman = {.name = "commit-podman"};
    static struct image_task
        pull_own = {&own, .makes = true, .work = pull},
        pull_podman_too = {&of_podman, .makes = true, .command = PODMAN "pull -q --tls-verify=false $REGISTRY"},
        changes = {&in_others, .makes = true,
                   .command = "mkdir $DIR/changes\n"
                              "tar -C $DIR/changes -xzf $LAYER --wildcards 'usr/lib/part0.[0-3]/*'"},
        libbox = {&own, .work = commit,
                  .before = BOX "create --name c-$RUN $REGISTRY /x\n" BOX "cp $DIR/changes c-$RUN:/changes"},
        box = {&own, .command = BOX "commit c-$RUN new:$RUN",
               .before = BOX "create --name c-$RUN $REGISTRY /x\n" BOX "cp $DIR/changes c-$RUN:/changes"},
        podman = {&of_podman, .command = PODMAN "commit -q c-$RUN new:$RUN",
                  .before = PODMAN "create --name c-$RUN $REGISTRY /x\n" PODMAN "cp $DIR/changes c-$RUN:/changes"};
    struct group g = {.name = "commit, 2,000 files, 44 MB"};
    struct subject s = {.data = &changes};

    own.maker = &pull_own;
    of_podman.maker = &pull_podman_too;
    if (!image_settings.box || !image_settings.registry) {
        bench_skip(g.name, "podman", "box and docker-registry are needed");
        return;
    }
    if (image_run(&s) < 0) {
        bench_skip(g.name, "podman", s.why);
        return;
    }
    if (!fill(g.name, &own, 1) || !fill(g.name, &of_podman, 1))
        return;
    add(&g, "libbox", &libbox);
    add(&g, "box commit", &box);
    add_slow(&g, "podman commit", &podman);
    run(&g, 2);
}

/* Last of all: what is made after it would be slow. */
static void measure_remove(void)
{
    static struct image_task libbox = {&in_libbox, .work = remove_image}, bare = {&in_floor, .work = floor_remove},
                             box = {&in_box, .command = BOX "rmi -f $CONFIG"},
                             podman = {&in_podman, .command = PODMAN "rmi $REGISTRY"};
    struct group g = {.name = "remove"};
    const unsigned runs = image_settings.runs;

    if (!fill(g.name, &in_libbox, runs + 1))
        return;
    add(&g, "libbox", &libbox);
    if (image_settings.registry && image_settings.box && fill(g.name, &in_box, runs + 1))
        add(&g, "box rmi", &box);
    const unsigned own = (unsigned)g.n;
    if (fill(g.name, &in_floor, runs + 1))
        add(&g, "floor", &bare);
    if (image_settings.registry && fill(g.name, &in_podman, runs + 1))
        add(&g, "podman rmi", &podman);
    run(&g, own);
}

/* How many rooms there will be at most. */
static unsigned all_rooms(void)
{
    const unsigned runs = image_settings.runs + 1;
    unsigned n = 4 * runs; /* libbox, box, podman and the floor, whatever the rows */

    if (wants("pull"))
        n += 3 * runs + 2 * count(SLOW);
    if (wants("load"))
        n += 3 * runs + count(SLOW);
    if (wants("commit"))
        n += 4;
    if (wants("push"))
        n += 2; /* the registry's */
    return n;
}

static void measure(void)
{
    in_libbox.maker = &pull_libbox;
    in_box.maker = &pull_box;
    in_podman.maker = &pull_podman;
    in_floor.maker = &pull_kept;
    image_check_disk(all_rooms());
    if (wants("pull"))
        measure_pull();
    if (wants("load"))
        measure_load();
    if (wants("save")) {
        measure_save(false);
        measure_save(true);
    }
    if (wants("push"))
        measure_push();
    if (wants("commit"))
        measure_commit();
    if (wants("remove"))
        measure_remove();
}

int main(int argc, char **argv)
{
    static const struct option table[] = {{"make", 1, NULL, 'm'}, {"image", 1, NULL, 'i'},  {"dir", 1, NULL, 'd'},
                                          {"runs", 1, NULL, 'r'}, {"json", 1, NULL, 'j'},   {"registry", 1, NULL, 'R'},
                                          {"only", 1, NULL, 'o'}, {"target", 1, NULL, 't'}, {"pull", 1, NULL, 'p'},
                                          {"box", 1, NULL, 'b'},  {NULL, 0, NULL, 0}};
    const char *once = NULL;
    struct image_settings *s = &image_settings;

    for (int c; (c = getopt_long(argc, argv, "", table, NULL)) != -1;) {
        switch (c) {
        case 'm':
            return image_make(optarg);
        case 'r':
            s->runs = (unsigned)atoi(optarg);
            break;
        case 'p':
            once = optarg;
            break;
        case '?':
            return 2;
        default:
            *(c == 'i'   ? &s->image
              : c == 'd' ? &s->dir
              : c == 'j' ? &s->out.json_path
              : c == 'R' ? &s->registry
              : c == 't' ? &s->target
              : c == 'b' ? &s->box
                         : &s->only) = optarg;
        }
    }
    if (!s->image || (!s->dir && !once) || !s->runs)
        return fprintf(stderr, "usage: bench-image --make DIR | --image DIR --dir DIR [OPTIONS]\n"), 2;
    image_find();
    if (once)
        return pull(once, "");
    measure();
    return bench_finish(&s->out) < 0;
}
