/* A host that runs out of memory: every allocation of a call is made to fail in turn. Each time the call must
 * fail with an error, or succeed without what it could not have, and leave nothing behind. */
#include "census.h"

#include <signal.h>

#define TRIES 4000

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

static int build_spec(box_error **err)
{
    char *args[] = {"/payload", NULL}, *env[] = {"PATH=/bin", "A=1", NULL};
    box_spec *spec = NULL;

    int r = small_spec(&scene, "spec", "0", &spec, err);
    if (r >= 0)
        r = box_spec_set_args(spec, args, err);
    if (r >= 0)
        r = box_spec_set_env_vector(spec, env, err);
    if (r >= 0)
        r = box_spec_add_bind(spec, "/tmp", "/tmp", "ro", err);
    if (r >= 0)
        r = box_spec_set_hostname(spec, "name", err);
    if (r >= 0)
        r = box_spec_set_seccomp_default(spec, err);
    if (r >= 0)
        r = box_spec_check(spec, err);
    box_spec_free(spec);
    return r;
}

static int document(box_error **err)
{
    box_spec *spec = box_spec_new(), *again = NULL;
    char *text = NULL;

    int r = spec ? box_spec_format(spec, &text, err) : BOX_ENOMEM;
    if (r >= 0)
        r = box_spec_parse(text, strlen(text), &again, err);
    box_spec_free(again);
    box_spec_free(spec);
    free(text);
    return r;
}

static int launch(box_error **err)
{
    box_spec *spec = NULL;
    box_process *process = NULL;
    box_stdio *io = box_stdio_new();

    int r = io ? small_spec(&scene, fresh("launch"), "0", &spec, err) : BOX_ENOMEM;
    if (r >= 0)
        r = box_stdio_set_pipe(io, 1, err);
    if (r >= 0)
        r = box_launch(spec, io, &process, err);
    if (r >= 0)
        r = box_process_wait(process, -1, err);
    box_process_free(process);
    box_stdio_free(io);
    box_spec_free(spec);
    return r;
}

/* What is there of a container after a failure is cleared by a removal that has memory again. */
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
    long left = fail_at;
    fail_at = 0;
    if (r < 0 && c)
        box_container_remove(c, BOX_CONTAINER_FORCE, NULL);
    box_container_free(c);
    box_container_sweep(store, NULL, NULL);
    fail_at = left;
    box_spec_free(spec);
    return r;
}

static void in_turn(const char *name, int (*call)(box_error **))
{
    int failures = 0, codes = 0, leaks = 0, other = 0;
    long k = 1;
    box_error *err = NULL;

    for (int i = 0; i < 2; i++) /* what is allocated once in a process is allocated now */
        if (call(&err) < 0)
            complain(name, -1, &err);
    for (bool reached = true; reached && k < TRIES; k++) {
        struct census before = take_census(&scene);
        char when[96];
        allocations = 0;
        fail_at = k;
        int r = call(&err);
        fail_at = 0;
        reached = allocations >= k;
        failures += r < 0;
        codes += r == BOX_ENOMEM;
        if (r < 0 && r != BOX_ENOMEM && other++ < 5)
            diag("%s, allocation %ld: %d: %s", name, k, r, err ? box_error_message(err) : "no error object");
        box_error_free(err);
        err = NULL;
        struct census after = take_census(&scene);
        snprintf(when, sizeof(when), "%s, allocation %ld", name, k);
        if (!same_census(&before, &after, when) && ++leaks == 8)
            break;
    }
    diag("%s: %ld allocations, %d failures, %d of them BOX_ENOMEM", name, k - 2, failures, codes);
    ok(failures > 0 && codes == failures, "%s: every failure is told as want of memory", name);
    ok(leaks == 0, "%s: nothing is left behind, whichever allocation fails", name);
}

/* A process in a container that stays. */
static box_container *standing;

static int exec_into(box_error **err)
{
    char *args[] = {"/payload", "0", NULL};
    box_spec *spec = NULL;
    box_process *process = NULL;

    int r = box_container_exec_spec(standing, &spec, err);
    if (r >= 0)
        r = box_spec_set_args(spec, args, err);
    if (r >= 0)
        r = box_container_exec(standing, spec, NULL, &process, err);
    if (r >= 0)
        r = box_process_wait(process, -1, err);
    box_process_free(process);
    box_spec_free(spec);
    long left = fail_at; /* what the object knows of its container is the same after each try */
    fail_at = 0;
    if (box_container_refresh(standing, NULL) < 0)
        diag("the container cannot be looked at");
    fail_at = left;
    return r;
}

static void execs(void)
{
    box_spec *spec = NULL;
    box_error *err = NULL;

    if (small_spec(&scene, "standing", "wait", &spec, &err) < 0 ||
        box_container_create(store, "standing", NULL, spec, 0, &standing, &err) < 0 || box_container_start(standing, NULL, &err) < 0) {
        complain("a container to be joined", -1, &err);
        ok(0, "there is a container to be joined");
        return;
    }
    in_turn("an exec", exec_into);
    box_container_remove(standing, BOX_CONTAINER_FORCE, NULL);
    box_container_free(standing);
    box_spec_free(spec);
}

/* memory [WORD]: only what has WORD in its name. */
int main(int argc, char **argv)
{
    box_error *err = NULL;

    if (!HAVE_ALLOCATIONS)
        skip_all("this build has an allocator of its own");
    make_scene(&scene);
    if (box_store_open(scene.store, scene.run, 0, &store, &err) < 0)
        skip_all("no store: %s", box_error_message(err));
    if (argc < 2 || strstr("a spec", argv[1]))
        in_turn("a spec", build_spec);
    if (argc < 2 || strstr("a document", argv[1]))
        in_turn("a document", document);
    if (argc < 2 || strstr("a launch", argv[1]))
        in_turn("a launch", launch);
    if (argc < 2 || strstr("a container's life", argv[1]))
        in_turn("a container's life", whole_life);
    if (argc < 2 || strstr("an exec", argv[1]))
        execs();
    box_store_free(store);
    end_scene(&scene);
    return done_testing();
}
