/* Images that were pulled late and cannot be recovered, or not yet: for lack of room, or since the process may not know
 * which boot this is. */
#include "late.h"

#include <signal.h>
#include <sys/resource.h>

TestSuite(late_left, .init = late_init, .fini = store_fini);

/* As a full disk has it: no file of a layer fits, while lists and documents do. */
static void limit_files(rlim_t bytes)
{
    const struct rlimit limit = {bytes, RLIM_INFINITY};

    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

Test(late_left, a_full_disk_is_no_loss_and_is_not_run_into_at_every_opening)
{
    struct timespec past[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};

    put_remote(300000, "gzip");
    before_the_boot();
    pulls_late("reg.test/app:1");
    limit_files(100000);
    boots();
    cr_assert(!image_is_there("reg.test/app:1"));
    cr_assert(there("root/images.late"));
    cr_assert_eq(box_store_sync(store, &err), BOX_ESYSTEM);
    cr_assert_not_null(strstr(box_error_message(err), "when the machine went down"), "%s", box_error_message(err));
    limit_files(RLIM_INFINITY);
    boots();
    cr_assert(!image_is_there("reg.test/app:1"), "another try has its time");
    cr_assert_eq(utimensat(scratch_fd, "root/images.late.lock", past, 0), 0);
    boots();
    cr_assert(image_is_there("reg.test/app:1"));
    is_settled();
    cr_assert(!there("root/images.late.lock"));
}

Test(late_left, a_sync_does_not_wait_for_the_time_of_the_next_try)
{
    put_remote(300000, "gzip");
    before_the_boot();
    pulls_late("reg.test/app:1");
    limit_files(100000);
    boots();
    limit_files(RLIM_INFINITY);
    cr_assert_eq(box_store_sync(store, &err), 0, "%s", box_error_message(err));
    cr_assert(image_is_there("reg.test/app:1"));
    is_settled();
}

/* Whoever works on with a store whose late images were not recovered decides about names: they keep what he made of them. */
Test(late_left, a_name_that_was_decided_meanwhile_is_not_moved)
{
    struct layout l;
    box_image *image = NULL;

    put_image("a", "other:1", "");
    loads("a");
    l = put_remote(300000, "gzip");
    before_the_boot();
    pulls_late("reg.test/gone:1");
    pulls_late("reg.test/kept:1");
    cr_assert_eq(box_store_sync(store, &err), 0);
    pulls_late("reg.test/moved:1");
    pulls_late("reg.test/stays:1");
    snprintf(store->boot, sizeof(store->boot), "00000000-aaaa-bbbb-cccc-000000000001");
    cr_assert(image_is_there("reg.test/gone:1") && !image_is_there("reg.test/moved:1"));
    cr_assert_eq(box_image_tag(store, "other:1", "reg.test/moved:1", &err), 0, "%s", box_error_message(err));
    cr_assert_eq(box_image_remove(store, "reg.test/gone:1", 0, NULL, NULL, &err), 0);
    boots();
    cr_assert(!image_is_there("reg.test/gone:1"));
    cr_assert(image_is_there("reg.test/stays:1") && image_is_there("reg.test/kept:1"));
    cr_assert_eq(box_image_open(store, "reg.test/moved:1", &image, &err), 0);
    cr_assert_str_neq(box_image_digest(image), l.last_manifest);
    box_image_free(image);
    is_settled();
}

Test(late_left, a_collection_leaves_what_a_recovery_works_at)
{
    struct box_store_work work;
    struct box_digest digest;
    char text[BOX_DIGEST_TEXT + 8];

    put_remote(300000, "gzip");
    before_the_boot();
    pulls_late("reg.test/app:1");
    snprintf(store->boot, sizeof(store->boot), "00000000-aaaa-bbbb-cccc-000000000001");
    snprintf(text, sizeof(text), "sha256:%s", blob_hex[0]);
    cr_assert_eq(box_digest_parse(text, &digest, NULL), 0);
    cr_assert_eq(box_store_work_begin(store, &work, &err), 0);
    cr_assert_eq(box_store_work_need(&work, "blob", &digest, &err), 0);
    cr_assert_eq(box_store_collect(store, NULL, &err), 0, "%s", box_error_message(err));
    cr_assert_eq(entries_in(path_of("root/blobs/partial")), 1u);
    box_store_work_end(&work);
}

/* In a sandbox where /proc/sys is not there: whether the images are of this boot cannot be told. */
Test(late_left, who_does_not_know_the_boot_neither_changes_names_nor_collects)
{
    box_store *blind = NULL;

    put_image("a", "other:1", "");
    loads("a");
    put_remote(300000, "gzip");
    pulls_late("reg.test/app:1");
    cr_assert_eq(box_store_open(root, runroot, 0, &blind, &err), 0);
    blind->boot[0] = '\0';
    cr_assert_eq(box_image_tag(blind, "other:1", "other:2", &err), BOX_ESYSTEM);
    cr_assert_not_null(strstr(box_error_message(err), "boot_id"), "%s", box_error_message(err));
    cr_assert_eq(box_store_collect(blind, NULL, NULL), BOX_ESYSTEM);
    cr_assert_eq(box_image_prune(blind, NULL, NULL, NULL, NULL, NULL), BOX_ESYSTEM);
    cr_assert_eq(box_store_sync(blind, NULL), BOX_ESYSTEM);
    cr_assert(image_is_there("reg.test/app:1"));
    cr_assert_eq(box_store_sync(store, &err), 0);
    cr_assert_eq(box_image_tag(blind, "other:1", "other:2", NULL), 0);
    cr_assert_eq(box_store_collect(blind, NULL, NULL), 0);
    cr_assert(image_is_there("reg.test/app:1") && image_is_there("other:2"));
    is_settled();
    box_store_free(blind);
}

Test(late_left, who_does_not_know_the_boot_waits_for_the_disk)
{
    put_image("a", "other:1", "");
    put_remote(300000, "gzip");
    store->boot[0] = '\0';
    cr_assert_eq(pull_as("reg.test/app:1", &err), 0, "%s", box_error_message(err));
    loads("a");
    is_settled();
    cr_assert_eq(layers_there(), 4u);
    boots();
    cr_assert(image_is_there("reg.test/app:1") && image_is_there("other:1"));
    is_settled();
}

/* Nor does it take the blobs of those who do know it for ones of an earlier boot. */
Test(late_left, who_does_not_know_the_boot_leaves_blobs_that_are_needed)
{
    struct box_store_work work;
    struct box_digest digest;
    char text[BOX_DIGEST_TEXT + 80];

    snprintf(text, sizeof(text), "root/blobs/partial/%064d+%s", 7, store->boot);
    put_bytes(text, "x", 1);
    snprintf(text, sizeof(text), "sha256:%064d", 7);
    cr_assert_eq(box_digest_parse(text, &digest, NULL), 0);
    cr_assert_eq(box_store_work_begin(store, &work, &err), 0);
    cr_assert_eq(box_store_work_need(&work, "blob", &digest, &err), 0);
    store->boot[0] = '\0';
    cr_assert_eq(box_store_collect(store, NULL, &err), 0, "%s", box_error_message(err));
    cr_assert_eq(entries_in(path_of("root/blobs/partial")), 1u);
    box_store_work_end(&work);
}

Test(late_left, a_sync_of_a_store_that_cannot_be_written_says_so)
{
    put_remote(300000, "gzip");
    pulls_late("reg.test/app:1");
    store->readonly = true;
    cr_assert(image_is_there("reg.test/app:1"));
    cr_assert_eq(box_store_sync(store, &err), BOX_EPERMISSION);
    store->readonly = false;
    cr_assert_eq(box_store_sync(store, &err), 0);
    store->readonly = true;
    cr_assert_eq(box_store_sync(store, &err), 0);
}

Test(late_left, what_killed_processes_leave_in_the_root_goes_with_a_collection)
{
    put_bytes("root/.libbox-new-0123456789abcdef", "x", 1);
    put_bytes("root/images.late.lock", "", 0);
    cr_assert_eq(box_store_collect(store, NULL, &err), 0, "%s", box_error_message(err));
    cr_assert(!there("root/.libbox-new-0123456789abcdef") && !there("root/images.late.lock"));
}
