/* Processes that load an image and are killed at any instant, alone and beside others that go on: afterwards
 * the store opens, is swept and sound, and the next load succeeds. */
#define ROUNDS     25 /* kills that hit */
#define MAX_TRIES  100
#define FILES      80
#define BIG        (512u << 10)
#define IMAGE_NAME "app:1"

#include "killing.h"

static int load(void)
{
    box_store *store = open_store();
    box_error *err = NULL;
    int r = store ? box_image_load(store, image, NULL, NULL, &err) : -1;

    if (r < 0)
        diag("load: %s", box_error_message(err));
    box_error_free(err);
    box_store_free(store);
    return r;
}

static pid_t start_load(void)
{
    pid_t child = fork();

    if (child == 0)
        _exit(load() < 0);
    return child;
}

int main(void)
{
    unsigned seed = (unsigned)time(NULL) ^ (unsigned)getpid();
    int sound = 0, killed = 0, half = 0, recovered = 0, survivors = 0, there = 0, tries;

    set_paths();
    diag("seed %u", seed);
    make_image();
    double start = now();
    ok(load() == 0, "the image loads");
    double whole = now() - start;
    ok(remove_image() == 0 && entries_in("layers") == 0, "and is removed with its layers");

    /* How long a load takes changes with what else the machine does, so it goes on until enough were hit. */
    for (tries = 0; tries < MAX_TRIES && killed < ROUNDS; tries++) {
        start = now();
        bool hit = kill_after(start_load(), whole * rand_r(&seed) / RAND_MAX);
        if (!hit && now() - start < whole)
            whole = now() - start;
        killed += hit;
        half += entries_in("tmp") > 0;
        sound += is_sound(&there);
        recovered += load() == 0 && is_sound(&there) && there;
        remove_image();
    }
    diag("of %d loads %d were killed before the end, %d of them left a workplace behind", tries, killed, half);
    ok(half > 0, "loads were killed in the middle");
    is_int(sound, tries,
           "after each kill the store is swept and sound, and the image is there whole or not at all");
    is_int(recovered, tries, "after each the next load succeeds");

    for (int i = 0; i < ROUNDS / 5; i++) {
        int status = 1;
        remove_image();
        pid_t lives = start_load(), dies = start_load();
        kill_after(dies, whole * 1.5 * rand_r(&seed) / RAND_MAX);
        box_store_free(open_store()); /* sweeps what the dead one left, and leaves the living one's alone */
        waitpid(lives, &status, 0);
        survivors += WIFEXITED(status) && WEXITSTATUS(status) == 0 && is_sound(&there) && there;
    }
    is_int(survivors, ROUNDS / 5, "a load goes on when another one of the same image is killed beside it");
    remove_image();
    is_int(entries_in("layers") + entries_in("blobs/sha256") + entries_in("blobs/partial") + entries_in("tmp"), 0,
           "nothing is left at the end");
    return done_testing();
}
