/* Processes that pull an image and are killed at any instant, alone and beside others that go on: afterwards the
 * store opens, is swept and sound, and the next pull succeeds, and fetches only what is missing. */
#define ROUNDS     50 /* kills that hit */
#define MAX_TRIES  200
#define FILES      40
#define BIG        (512u << 10)
#define IMAGE_NAME "reg.test/app:1"

#include "killing.h"

#include "fake_remote.h"

static char log_path[300];

static int pull(unsigned delay_us)
{
    struct fake_remote fake;
    box_store *store = open_store();
    box_error *err = NULL;

    fake_remote_init(&fake, image, manifest_digest);
    fake.log = log_path;
    fake.delay_us = delay_us;
    int r = store ? box_image_pull_from(store, &fake.base, IMAGE_NAME, "1", NULL, NULL, &err) : -1;
    if (r < 0)
        diag("pull: %s", box_error_message(err));
    box_error_free(err);
    box_store_free(store);
    return r;
}

static pid_t start_pull(unsigned delay_us)
{
    pid_t child = fork();

    if (child == 0)
        _exit(pull(delay_us) < 0);
    return child;
}

/* How many calls of the log began in the middle of a blob. */
static unsigned resumed(void)
{
    char line[200];
    unsigned n = 0;
    FILE *file = fopen(log_path, "re");

    while (file && fgets(line, sizeof(line), file))
        n += strchr(line, ' ') && strtoull(strchr(line, ' '), NULL, 10) > 0;
    if (file)
        fclose(file);
    return n;
}

static void collect(void)
{
    box_store *store = open_store();

    box_store_collect(store, NULL, NULL);
    box_store_free(store);
}

int main(void)
{
    unsigned seed = (unsigned)time(NULL) ^ (unsigned)getpid();
    int sound = 0, killed = 0, half = 0, recovered = 0, survivors = 0, there = 0, tries;

    set_paths();
    snprintf(log_path, sizeof(log_path), "%s.log", image);
    diag("seed %u", seed);
    make_image();
    double start = now();
    ok(pull(500) == 0, "the image is pulled");
    double whole = now() - start;
    ok(remove_image() == 0 && entries_in("layers") == 0, "and is removed with its layers");

    for (tries = 0; tries < MAX_TRIES && killed < ROUNDS; tries++) {
        start = now();
        bool hit = kill_after(start_pull(500), whole * rand_r(&seed) / RAND_MAX);
        if (!hit && now() - start < whole)
            whole = now() - start;
        killed += hit;
        half += entries_in("blobs/partial") > 0;
        sound += is_sound(&there);
        bool pulled = pull(0) == 0;
        collect(); /* takes a lock away that the dead one held, of a blob that is there */
        recovered += pulled && is_sound(&there) && there && entries_in("blobs/partial") == 0;
        remove_image();
        collect();
    }
    diag("of %d pulls %d were killed before the end, %d of them with a blob on its way; %u were gone on with", tries,
         killed, half, resumed());
    ok(half > 0 && resumed() > 0, "pulls were killed in the middle, and gone on with from there");
    is_int(sound, tries, "after each kill the store is swept and sound, and the image is there whole or not at all");
    is_int(recovered, tries, "after each the next pull succeeds");

    for (int i = 0; i < ROUNDS / 5; i++) {
        int status = 1;
        remove_image();
        pid_t lives = start_pull(500), dies = start_pull(500);
        kill_after(dies, whole * rand_r(&seed) / RAND_MAX);
        box_store_free(open_store());
        waitpid(lives, &status, 0);
        survivors += WIFEXITED(status) && WEXITSTATUS(status) == 0 && is_sound(&there) && there;
    }
    is_int(survivors, ROUNDS / 5, "a pull goes on when another one of the same image is killed beside it");

    /* Until one gets through: each kill leaves the next one less to do. Four times as slow, it never would otherwise. */
    remove_image();
    collect();
    for (tries = 0; tries < MAX_TRIES; tries++)
        if (!kill_after(start_pull(2000), whole) && is_sound(&there) && there)
            break;
    ok(tries < MAX_TRIES, "killed again and again a pull still comes to its end (%d times)", tries);
    remove_image();
    collect();
    is_int(entries_in("layers") + entries_in("blobs/sha256") + entries_in("blobs/partial") + entries_in("tmp"), 0,
           "nothing is left at the end");
    return done_testing();
}
