/* A host at its limit of open files: a start and a container's life under every limit from none to spare to
 * plenty. Each shortage is an error, and nothing is left behind. */
#include "census.h"

#include <sys/resource.h>

enum { LIMITS = 60 };

static struct scene scene;
static box_store *store;

/* Another one each time, so that what one try leaves does not stand in the way of the next. */
static char name_now[32];

static const char *fresh(const char *prefix)
{
    static unsigned n;

    snprintf(name_now, sizeof(name_now), "%s%u", prefix, n++);
    return name_now;
}

static int launch(box_error **err)
{
    box_spec *spec = NULL;
    box_process *process = NULL;

    int r = small_spec(&scene, fresh("launch"), "0", &spec, err);
    if (r >= 0)
        r = box_launch(spec, NULL, &process, err);
    if (r >= 0)
        r = box_process_wait(process, -1, err);
    if (r >= 0 && box_process_ending(process)->kind != BOX_ENDING_EXIT)
        r = BOX_ESYSTEM;
    box_process_free(process);
    box_spec_free(spec);
    return r;
}

static void allow(rlim_t files)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = files;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static rlim_t plenty;

static int whole_life(box_error **err)
{
    box_spec *spec = NULL;
    box_container *c = NULL;

    int r = small_spec(&scene, fresh("life"), "0", &spec, err);
    if (r >= 0)
        r = box_container_create(store, name_now, NULL, spec, 0, &c, err);
    if (r >= 0)
        r = box_container_start(c, NULL, err);
    if (r >= 0)
        r = box_container_wait(c, -1, err);
    if (r >= 0)
        r = box_container_remove(c, 0, err);
    allow(plenty);
    if (r < 0 && c)
        box_container_remove(c, BOX_CONTAINER_FORCE, NULL);
    box_container_free(c);
    box_container_sweep(store, NULL, NULL);
    box_spec_free(spec);
    return r;
}

static void under_limits(const char *name, int (*call)(box_error **))
{
    int failures = 0, successes = 0, leaks = 0, silent = 0, after_success = 0;
    box_error *err = NULL;
    long open_now;

    if (call(&err) < 0)
        complain(name, -1, &err);
    open_now = count_entries("/proc/self/fd") - 3; /* ".", ".." and the directory's own */
    for (long spare = 0; spare < LIMITS; spare++) {
        struct census before = take_census(&scene);
        char when[96];
        allow((rlim_t)(open_now + spare));
        int r = call(&err);
        allow(plenty);
        if (r < 0 && !err)
            silent++;
        if (r < 0 && (successes || spare == LIMITS - 1) && after_success++ < 3)
            diag("%s fails with %ld descriptors to spare: %s", name, spare, box_error_message(err));
        failures += r < 0;
        successes += r >= 0;
        box_error_free(err);
        err = NULL;
        struct census after = take_census(&scene);
        snprintf(when, sizeof(when), "%s, %ld descriptors to spare", name, spare);
        leaks += !same_census(&before, &after, when);
    }
    ok(failures > 0 && silent == 0, "%s: every shortage is an error that says something (%d shortages)", name,
       failures);
    ok(successes > 0 && after_success == 0, "%s: with enough descriptors it succeeds (%d times)", name,
       successes);
    ok(leaks == 0, "%s: nothing is left behind, whatever the limit", name);
}

int main(void)
{
    struct rlimit limit;
    box_error *err = NULL;

    make_scene(&scene);
    getrlimit(RLIMIT_NOFILE, &limit);
    plenty = limit.rlim_cur;
    if (box_store_open(scene.store, scene.run, 0, &store, &err) < 0)
        skip_all("no store: %s", box_error_message(err));
    under_limits("a launch", launch);
    under_limits("a container's life", whole_life);
    box_store_free(store);
    end_scene(&scene);
    return done_testing();
}
