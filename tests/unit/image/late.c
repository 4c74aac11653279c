/* Images that are pulled late: there at once, on disk after a sync; and what becomes of them when the machine goes down
 * before it. The machine goes down by another boot id: what is written under one is not believed under the next. */
#include "late.h"

#include <pthread.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "image/store_collect.h"

TestSuite(late, .init = late_init, .fini = store_fini);

/* ---- While the machine is up ---- */

Test(late, an_image_is_there_at_once_and_lasts_after_a_sync)
{
    put_remote(300000, "gzip");
    pulls_late("reg.test/app:1");
    cr_assert(!there("root/images.json"));
    cr_assert_eq(box_store_sync(store, &err), 0, "%s", box_error_message(err));
    is_settled();
    cr_assert_eq(blobs_there(), 4u);
    store->boot[0] ^= 1;
    cr_assert(image_is_there("reg.test/app:1"));
    is_sound();
}

Test(late, another_process_sees_it_and_can_settle_it)
{
    box_store *other = NULL;

    put_remote(300000, "gzip");
    pulls_late("reg.test/app:1");
    cr_assert_eq(box_store_open(root, runroot, 0, &other, &err), 0);
    box_store *own = store;
    store = other;
    cr_assert(image_is_there("reg.test/app:1"));
    cr_assert(there("root/images.late"));
    cr_assert_eq(box_store_sync(other, &err), 0);
    store = own;
    is_settled();
    box_store_free(other);
}

Test(late, nothing_to_sync_is_nothing_to_do)
{
    cr_assert_eq(box_store_sync(store, &err), 0);
    cr_assert(!there("root/images.json"));
    cr_assert_eq(box_store_sync(NULL, &err), BOX_EINVAL);
}

Test(late, a_collection_takes_nothing_of_it)
{
    put_remote(300000, "gzip");
    pulls_late("reg.test/app:1");
    cr_assert_eq(box_store_collect(store, NULL, &err), 0, "%s", box_error_message(err));
    cr_assert_eq(layers_there(), 2u);
    cr_assert_eq(box_store_sync(store, &err), 0);
    cr_assert_eq(blobs_there(), 4u);
    is_settled();
}

Test(late, whatever_changes_names_settles_it_first)
{
    box_image_prune_options all = BOX_IMAGE_PRUNE_INIT;

    put_remote(300000, "gzip");
    pulls_late("reg.test/app:1");
    cr_assert_eq(box_image_tag(store, "reg.test/app:1", "reg.test/app:2", &err), 0, "%s", box_error_message(err));
    is_settled();
    cr_assert(image_is_there("reg.test/app:1") && image_is_there("reg.test/app:2"));

    pulls_late("reg.test/app:3");
    cr_assert_eq(box_image_remove(store, "reg.test/app:1", 0, NULL, NULL, &err), 0, "%s", box_error_message(err));
    is_settled();
    cr_assert(!image_is_there("reg.test/app:1") && image_is_there("reg.test/app:2") && image_is_there("reg.test/app:3"));

    pulls_late("reg.test/app:4");
    put_image("a", "other:1", "");
    loads("a");
    is_settled();
    cr_assert(image_is_there("reg.test/app:4") && image_is_there("other:1"));

    pulls_late("reg.test/app:5");
    all.all = true;
    cr_assert_eq(box_image_prune(store, &all, NULL, NULL, NULL, &err), 0, "%s", box_error_message(err));
    is_settled();
    cr_assert_eq(layers_there(), 0u);
    cr_assert_eq(blobs_there(), 0u);
}

static void pins(unsigned flags)
{
    char digest[BOX_DIGEST_TEXT + 8];

    cr_assert_eq(mkdirat(scratch_fd, "root/containers/c", 0700), 0);
    int dirfd = openat(scratch_fd, "root/containers/c", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    box_image *image = NULL;
    cr_assert_eq(box_image_open(store, "reg.test/app:1", &image, &err), 0);
    snprintf(digest, sizeof(digest), "%s", box_image_digest(image));
    box_image_free(image);
    cr_assert_eq(box_store_pin(store, dirfd, digest, flags, &err), 0, "%s", box_error_message(err));
    close(dirfd);
}

Test(late, a_container_that_lasts_has_an_image_that_does)
{
    put_remote(300000, "gzip");
    pulls_late("reg.test/app:1");
    pins(0);
    is_settled();
}

Test(late, a_container_that_is_thrown_away_waits_for_no_disk)
{
    put_remote(300000, "gzip");
    pulls_late("reg.test/app:1");
    pins(BOX_FILE_NO_SYNC);
    cr_assert(there("root/images.late"));
}

Test(late, a_store_that_keeps_no_blobs_has_nothing_to_recover_from)
{
    put_remote(300000, "gzip");
    cr_assert_eq(box_store_set(store, "blobs", "drop", &err), 0);
    cr_assert_eq(pull_as("reg.test/app:1", &err), 0, "%s", box_error_message(err));
    is_settled();
}

/* A document that is there is on disk; one of the same name that is not must not take its place. */
Test(late, a_document_that_lasts_is_not_replaced)
{
    struct layout l = put_remote(300000, "gzip");
    struct stat before, after;
    char path[300];

    options.late = false;
    cr_assert_eq(pull_as("reg.test/app:1", &err), 0, "%s", box_error_message(err));
    snprintf(path, sizeof(path), "root/blobs/sha256/%s", l.last_manifest + 7);
    cr_assert_eq(fstatat(scratch_fd, path, &before, 0), 0);
    options.late = true;
    pulls_late("reg.test/app:2");
    cr_assert_eq(fstatat(scratch_fd, path, &after, 0), 0);
    cr_assert_eq(before.st_ino, after.st_ino);
    /* But one that is damaged is. */
    empty_file(path);
    cr_assert_eq(pull_as("reg.test/app:3", &err), 0, "%s", box_error_message(err));
    cr_assert_eq(fstatat(scratch_fd, path, &after, 0), 0);
    cr_assert_neq(before.st_ino, after.st_ino);
    cr_assert_eq(box_store_sync(store, &err), 0);
    is_settled();
}

/* ---- After it went down ---- */

Test(late, an_image_that_was_written_is_taken_over)
{
    put_remote(300000, "gzip");
    before_the_boot();
    pulls_late("reg.test/app:1");
    cr_assert_eq(unlink(log_path), 0);
    boots();
    cr_assert(image_is_there("reg.test/app:1"));
    is_settled();
    cr_assert_eq(fake_fetches(log_path, NULL), 0u);
    cr_assert_eq(blobs_there(), 4u);
    store->boot[0] ^= 1;
    cr_assert(image_is_there("reg.test/app:1"), "it lasts");
}

Test(late, files_of_layers_that_were_lost_come_from_the_blobs)
{
    char path[500];

    put_remote(300000, "gzip");
    before_the_boot();
    pulls_late("reg.test/app:1");
    DIR *d = opendir(path_of("root/layers"));
    cr_assert_not_null(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        snprintf(path, sizeof(path), "root/layers/%s/diff/lower", e->d_name);
        if (there(path))
            empty_file(path);
        snprintf(path, sizeof(path), "root/layers/%s/diff/upper", e->d_name);
        if (there(path))
            cr_assert_eq(unlinkat(scratch_fd, path, 0), 0);
    }
    closedir(d);
    boots();
    cr_assert(image_is_there("reg.test/app:1"));
    is_settled();
    struct stat st;
    d = opendir(path_of("root/layers"));
    unsigned found = 0;
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        snprintf(path, sizeof(path), "root/layers/%s/diff/lower", e->d_name);
        found += fstatat(scratch_fd, path, &st, 0) == 0 && st.st_size == 300000;
        snprintf(path, sizeof(path), "root/layers/%s/diff/upper", e->d_name);
        found += fstatat(scratch_fd, path, &st, 0) == 0 && st.st_size == 150000;
    }
    closedir(d);
    cr_assert_eq(found, 2u);
}

/* Loses a part of an image; the image is gone then, all else is as it was, and it can be pulled again. */
static void is_lost(const char *path, bool remove)
{
    char own[400];

    put_image("a", "other:1", "");
    loads("a");
    before_the_boot();
    pulls_late("reg.test/app:1");
    snprintf(own, sizeof(own), "%s", strchr(path, '*') ? entry_of("root/blobs/partial", blob_hex[1]) : path);
    if (remove)
        cr_assert_eq(unlinkat(scratch_fd, own, 0), 0, "%s", own);
    else
        empty_file(own);
    boots();
    cr_assert(!image_is_there("reg.test/app:1"));
    cr_assert(image_is_there("other:1"));
    cr_assert(!there("root/images.late"));
    if (strcmp(path, "root/images.late") == 0) /* nothing tells of what it took, which is as if a pull had been killed */
        cr_assert_eq(box_store_collect(store, NULL, &err), 0, "%s", box_error_message(err));
    is_sound();
    cr_assert_eq(layers_there(), 2u, "those of the other image");
    pulls_late("reg.test/app:1");
    cr_assert_eq(box_store_sync(store, &err), 0);
    is_settled();
}

Test(late, an_image_without_a_blob_is_gone)
{
    put_remote(300000, "gzip");
    is_lost("*", true);
}

Test(late, an_image_with_a_damaged_blob_is_gone)
{
    put_remote(300000, "gzip");
    is_lost("*", false);
}

Test(late, an_image_whose_manifest_was_not_written_is_gone)
{
    struct layout l = put_remote(300000, "gzip");
    char path[300];

    snprintf(path, sizeof(path), "root/blobs/sha256/%s", l.last_manifest + 7);
    is_lost(path, false);
}

/* Fetched it was, too, and lies with the blobs. */
Test(late, a_config_that_was_not_written_among_the_documents_is_taken_from_the_blobs)
{
    struct layout l = put_remote(300000, "gzip");
    char path[300];

    before_the_boot();
    pulls_late("reg.test/app:1");
    snprintf(path, sizeof(path), "root/blobs/sha256/%s", l.last_config + 7);
    empty_file(path);
    boots();
    cr_assert(image_is_there("reg.test/app:1"));
    is_settled();
}

/* It was pulled within limits that its host had raised. */
Test(late, an_image_that_needs_higher_limits_is_recovered)
{
    put_deep_remote(300);
    before_the_boot();
    cr_assert_eq(pull_as("reg.test/app:1", NULL), BOX_ELIMIT);
    box_image_limits limits = {.path_depth = 400};
    options.limits = &limits;
    pulls_late("reg.test/app:1");
    boots();
    cr_assert(image_is_there("reg.test/app:1"));
    is_settled();
}

static void copy_file(const char *from, const char *to)
{
    char *data = NULL;
    size_t length = 0;

    cr_assert_eq(box_file_read(scratch_fd, from, 64u << 20, &data, &length, NULL), 0, "%s", from);
    put_bytes(to, data, length);
    free(data);
}

/* Two copies of a blob, of which one is not right. */
static void has_two_copies(bool lasting_is_right)
{
    char kept[200], late[300];

    put_remote(300000, "gzip");
    options.late = false;
    cr_assert_eq(pull_as("reg.test/app:1", &err), 0, "%s", box_error_message(err));
    options.late = true;
    before_the_boot();
    pulls_late("reg.test/app:2");
    snprintf(kept, sizeof(kept), "root/blobs/sha256/%s", blob_hex[0]);
    snprintf(late, sizeof(late), "root/blobs/partial/%s+%s", blob_hex[0], store->boot);
    copy_file(kept, late);
    empty_file(lasting_is_right ? late : kept);
    boots();
    cr_assert_eq(blobs_there(), 4u);
    cr_assert(image_is_there("reg.test/app:1") && image_is_there("reg.test/app:2"));
    is_settled();
}

Test(late, a_blob_that_lasts_and_is_right_stays)
{
    has_two_copies(true);
}

Test(late, a_blob_that_is_damaged_is_replaced_by_one_that_is_right)
{
    has_two_copies(false);
}

/* The pin of a container that was thrown away with the machine does not stop collections for an image that is lost; in the
 * same boot, where it may run, it does. */
static void pin_of_a_damaged_image(bool down)
{
    struct layout l = put_remote(300000, "gzip");
    char path[300];

    if (down)
        before_the_boot();
    pulls_late("reg.test/app:1");
    pins(BOX_FILE_NO_SYNC);
    cr_assert_eq(fchmodat(scratch_fd, "root/containers/c", 01700, 0), 0);
    snprintf(path, sizeof(path), "root/blobs/sha256/%s", l.last_manifest + 7);
    empty_file(path);
    boots();
    cr_assert_eq(image_is_there("reg.test/app:1"), false);
    cr_assert_eq(box_store_collect(store, NULL, &err), down ? 0 : BOX_ECORRUPT, "%s", err ? box_error_message(err) : "");
    cr_assert_eq(layers_there(), down ? 0u : 2u);
}

Test(late, a_container_that_went_with_the_machine_does_not_stop_collections)
{
    pin_of_a_damaged_image(true);
}

Test(late, a_container_that_may_run_stops_them)
{
    pin_of_a_damaged_image(false);
}

Test(late, images_whose_list_was_not_written_are_gone)
{
    put_remote(300000, "gzip");
    is_lost("root/images.late", false);
}

Test(late, a_list_that_is_none_is_removed)
{
    static const char *const lists[] = {"", "[]", "{\"manifests\":[]}", "{\"annotations\":{\"org.libbox.boot\":7},\"manifests\":[]}",
                                        "{\"annotations\":{\"org.libbox.boot\":\"../../x\"},\"manifests\":[]}", "\x01\x02"};

    put_image("a", "other:1", "");
    loads("a");
    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
        put_bytes("root/images.late", lists[i], strlen(lists[i]));
        cr_assert(image_is_there("other:1"));
        boots();
        cr_assert(!there("root/images.late"), "%s", lists[i]);
        cr_assert(image_is_there("other:1"));
    }
}

/* A name that was to stand for a newer image: the older one keeps it when the newer one is lost. */
static void name_moves(bool lost)
{
    struct layout l;
    box_image *image = NULL;
    box_image_list *list = NULL;
    char old[BOX_DIGEST_TEXT + 8];

    put_image("a", "reg.test/app:1", "");
    loads("a");
    cr_assert_eq(box_image_open(store, "reg.test/app:1", &image, &err), 0, "%s", box_error_message(err));
    snprintf(old, sizeof(old), "%s", box_image_digest(image));
    box_image_free(image);
    l = put_remote(300000, "gzip");
    before_the_boot();
    pulls_late("reg.test/app:1");
    if (lost)
        empty_file(entry_of("root/blobs/partial", blob_hex[0]));
    boots();
    cr_assert_eq(box_image_open(store, "reg.test/app:1", &image, &err), 0, "%s", box_error_message(err));
    cr_assert_str_eq(box_image_digest(image), lost ? old : l.last_manifest);
    box_image_free(image);
    cr_assert_eq(box_image_list_new(store, &list, &err), 0);
    cr_assert_eq(box_image_list_count(list), lost ? 1u : 2u, "the one that had the name stays without");
    box_image_list_free(list);
}

Test(late, a_name_goes_to_the_newer_image)
{
    name_moves(false);
}

Test(late, a_name_stays_with_the_older_image_when_the_newer_is_lost)
{
    name_moves(true);
}

static void *open_store(void *data)
{
    box_store *own = NULL;
    box_image *image = NULL;

    (void)data;
    if (box_store_open(root, runroot, 0, &own, NULL) == 0 && box_image_open(own, "reg.test/app:1", &image, NULL) == 0) {
        box_image_free(image);
        box_store_free(own);
        return (void *)1;
    }
    box_store_free(own);
    return NULL;
}

Test(late, who_opens_the_store_meanwhile_waits_for_the_recovery)
{
    pthread_t threads[4];
    void *found;

    put_remote(3000000, "gzip -1");
    before_the_boot();
    pulls_late("reg.test/app:1");
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, open_store, NULL), 0);
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], &found);
        cr_assert_not_null(found);
    }
    boots();
    is_settled();
    cr_assert(!there("root/images.late.lock"));
}

Test(late, nothing_is_committed_late_over_what_waits_to_be_recovered)
{
    put_remote(300000, "gzip");
    before_the_boot();
    pulls_late("reg.test/app:1");
    snprintf(store->boot, sizeof(store->boot), "00000000-aaaa-bbbb-cccc-000000000001");
    cr_assert_eq(pull_as("reg.test/app:2", &err), 0, "%s", box_error_message(err));
    cr_assert(there("root/images.json") && there("root/images.late"));
    boots();
    cr_assert(image_is_there("reg.test/app:1") && image_is_there("reg.test/app:2"));
    is_settled();
}

/* ---- Killed ---- */

static int sync_it(void)
{
    return box_store_sync(store, NULL);
}

static int open_it(void)
{
    box_store *own = NULL;

    return box_store_open(root, runroot, 0, &own, NULL);
}

/* Runs it in a process that is killed at its system call number `nth`: whether it was, and did not end before. */
static bool is_killed(int run(void), unsigned nth)
{
    pid_t child = fork();
    int status;

    cr_assert_geq(child, 0);
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        _exit(run() == 0 ? 0 : 1);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSTOPPED(status));
    for (unsigned stops = 0; stops < 2 * nth; stops++) { /* at each call's beginning and end */
        cr_assert_eq(ptrace(PTRACE_SYSCALL, child, NULL, NULL), 0);
        cr_assert_eq(waitpid(child, &status, 0), child);
        if (!WIFSTOPPED(status)) {
            cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
            return false;
        }
    }
    kill(child, SIGKILL);
    cr_assert_eq(waitpid(child, &status, 0), child);
    return true;
}

Test(late, a_sync_that_is_killed_at_any_call_leaves_the_image, .timeout = 120)
{
    bool killed = true;
    unsigned calls = 0;

    put_remote(3000, "gzip -1");
    for (unsigned nth = 1; killed; nth++) {
        /* Once the machine stays up afterwards, once it goes down. */
        for (unsigned down = 0; down < 2; down++) {
            cr_assert_eq(box_remove_tree(scratch_fd, "root", NULL), 0);
            boots();
            if (down)
                before_the_boot();
            pulls_late("reg.test/app:1");
            killed = is_killed(sync_it, nth);
            if (down)
                boots();
            cr_assert(image_is_there("reg.test/app:1"), "killed at call %u", nth);
            cr_assert_eq(box_store_sync(store, &err), 0, "killed at call %u: %s", nth, box_error_message(err));
            is_settled();
            cr_assert_eq(layers_there(), 2u);
            cr_assert_eq(blobs_there(), 4u);
        }
        calls = nth;
    }
    cr_assert_gt(calls, 20u, "it was killed at %u calls only", calls);
}

/* The recovery, too: the next who opens the store goes on with it. */
Test(late, a_recovery_that_is_killed_is_done_by_the_next, .timeout = 120)
{
    bool killed = true;

    put_remote(3000, "gzip -1");
    for (unsigned nth = 8; killed; nth += 7) {
        cr_assert_eq(box_remove_tree(scratch_fd, "root", NULL), 0);
        boots();
        before_the_boot();
        pulls_late("reg.test/app:1");
        killed = is_killed(open_it, nth);
        boots();
        cr_assert(image_is_there("reg.test/app:1"), "killed at call %u", nth);
        is_settled();
    }
}
