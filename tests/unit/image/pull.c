/* Pulling from a registry that is a directory: what comes, what is gone on with, what is refused, and that nothing
 * of a failure can be seen. */
#include "image/source_arriving.h"
#include "image/store_collect.h"

#include "pulled.h"

#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/wait.h>

TestSuite(pull, .init = pull_init, .fini = store_fini);

static void pulls(void)
{
    cr_assert_eq(pull_as("reg.test/app:1", &err), 0, "%s", box_error_message(err));
    cr_assert(image_is_there("reg.test/app:1"));
    cr_assert_eq(entries_in(path_of("root/tmp")), 0u);
    cr_assert_eq(entries_in(path_of("root/blobs/partial")), 0u);
    cr_assert_eq(box_store_verify(store, NULL, NULL, &err), 0, "%s", box_error_message(err));
}

/* Fails so, and nothing but partial blobs is left. */
static void fails(int code, const char *says)
{
    unsigned layers = layers_there(), blobs = blobs_there();
    _cleanup_(box_error) box_error *e = NULL;
    int r = pull_as("reg.test/app:1", &e);

    cr_assert_eq(r, code, "%s: %s", box_error_code_name(r), box_error_message(e));
    cr_assert_not_null(strstr(box_error_message(e), says), "%s", box_error_message(e));
    cr_assert(!image_is_there("reg.test/app:1"));
    cr_assert_eq(layers_there(), layers, "a layer is left");
    cr_assert_eq(blobs_there(), blobs, "a blob is left");
    cr_assert_eq(entries_in(path_of("root/tmp")), 0u, "a workplace is left");
}

/* ---- What comes ---- */

Test(pull, an_image_comes_with_its_layers_and_their_blobs)
{
    struct box_digest digest;

    put_remote(400000, "gzip");
    pulls();
    cr_assert_eq(layers_there(), 2u);
    cr_assert_eq(blobs_there(), 4u);
    cr_assert_eq(fake_fetches(log_path, NULL), 3u, "two layers and a config");
    char text[BOX_DIGEST_TEXT + 8];
    for (unsigned i = 0; i < 2; i++) {
        snprintf(text, sizeof(text), "sha256:%.64s", blob_hex[i]);
        cr_assert_eq(box_digest_parse(text, &digest, NULL), 0);
        cr_assert_eq(box_store_find_blob(store, &digest, NULL, NULL), 1);
    }
}

Test(pull, a_second_pull_fetches_no_layer)
{
    put_remote(400000, "gzip");
    pulls();
    cr_assert_eq(unlink(log_path), 0);
    pulls();
    cr_assert_eq(fake_fetches(log_path, NULL), 0u);
}

Test(pull, layers_may_be_zstd_or_plain)
{
    struct box_digest digest;
    char text[BOX_DIGEST_TEXT + 8];
    uint64_t size = 0;

    if (system("zstd --version >/dev/null 2>&1") == 0) {
        put_remote(300000, "zstd -q");
        pulls();
        cr_assert_eq(box_image_remove(store, "reg.test/app:1", 0, NULL, NULL, &err), 0);
        box_remove_tree(scratch_fd, "reg", NULL);
    }
    put_remote(300000, "cat");
    pulls();
    snprintf(text, sizeof(text), "sha256:%.64s", blob_hex[0]);
    cr_assert_eq(box_digest_parse(text, &digest, NULL), 0);
    cr_assert_eq(box_store_find_blob(store, &digest, &size, NULL), 1);
    cr_assert_geq(size, 300000u);
}

Test(pull, an_index_leads_to_the_platform_asked_for)
{
    char index[2000], digest[BOX_DIGEST_TEXT];
    struct layout l = put_remote(1000, "gzip");

    snprintf(index, sizeof(index),
             "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[{"
             "\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"%s\",\"size\":%zu,"
             "\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}}]}",
             l.last_manifest, (size_t)0);
    /* The size is looked at as well. */
    snprintf(fake.tagged, sizeof(fake.tagged), "%s", layout_blob(&l, index, strlen(index)));
    options.platform = "linux/amd64";
    fails(BOX_EDIGEST, "not the 0");
    struct stat st;
    cr_assert_eq(stat(path_of("reg"), &st), 0);
    char path[300];
    snprintf(path, sizeof(path), "%s/blobs/sha256/%.64s", path_of("reg"), l.last_manifest + 7);
    cr_assert_eq(stat(path, &st), 0);
    snprintf(index, sizeof(index),
             "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[{"
             "\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"%s\",\"size\":%zu,"
             "\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}}]}",
             l.last_manifest, (size_t)st.st_size);
    snprintf(digest, sizeof(digest), "%s", layout_blob(&l, index, strlen(index)));
    snprintf(fake.tagged, sizeof(fake.tagged), "%s", digest);
    pulls();
    options.platform = "linux/s390x";
    _cleanup_(box_error) box_error *e = NULL;
    cr_assert_eq(pull_as("reg.test/app:2", &e), BOX_EUNSUPPORTED);
    cr_assert_not_null(strstr(box_error_message(e), "linux/s390x"), "%s", box_error_message(e));
}

Test(pull, one_image_for_another_platform_than_asked_is_refused)
{
    put_remote(1000, "gzip");
    options.platform = "linux/arm64";
    fails(BOX_EUNSUPPORTED, "linux/arm64");
}

Test(pull, by_digest_the_image_keeps_the_digest_as_its_name)
{
    struct layout l = put_remote(1000, "gzip");
    char name[BOX_DIGEST_TEXT + 32];

    snprintf(name, sizeof(name), "reg.test/app:7@%s", l.last_manifest);
    cr_assert_eq(pull_as(name, &err), 0, "%s", box_error_message(err));
    cr_assert(image_is_there(name));
    snprintf(name, sizeof(name), "reg.test/app@%s", l.last_manifest);
    cr_assert(image_is_there(name));
    cr_assert(!image_is_there("reg.test/app:7"));
    cr_assert_eq(box_image_remove(store, name, 0, NULL, NULL, &err), 0, "%s", box_error_message(err));
    cr_assert_eq(layers_there(), 0u);
}

Test(pull, blobs_are_fetched_side_by_side_and_no_more_than_allowed)
{
    struct layout l;

    n_blobs = 0;
    layout_begin(&l, "reg");
    for (unsigned i = 0; i < 6; i++)
        add_layer(&l, (const char *[]){"a", "b", "c", "d", "e", "f"}[i], 60000, "cat");
    layout_image(&l, NULL, "");
    layout_end(&l);
    fake_remote_init(&fake, path_of("reg"), l.last_manifest);
    fake.delay_us = 10000;
    fake.base.parallel = 3;
    options.threads = 1;
    pulls();
    cr_assert_eq(fake.most, 3u);
    cr_assert_eq(layers_there(), 6u);
}

Test(pull, a_store_that_drops_blobs_keeps_none)
{
    cr_assert_eq(box_store_set(store, "blobs", "drop", &err), 0);
    put_remote(100000, "gzip");
    cr_assert_eq(pull_as("reg.test/app:1", &err), 0, "%s", box_error_message(err));
    cr_assert(image_is_there("reg.test/app:1"));
    cr_assert_eq(blobs_there(), 2u);
    cr_assert_eq(entries_in(path_of("root/blobs/partial")), 0u);
}

/* ---- Going on ---- */

Test(pull, a_broken_one_is_gone_on_with_where_it_broke)
{
    char line[200] = "";

    put_remote(400000, "gzip");
    fake.only = blob_hex[0];
    fake.fail_after = 200000;
    fails(BOX_ESYSTEM, "connection broke");
    cr_assert_eq(unlink(log_path), 0);
    fake.fail_after = UINT64_MAX;
    pulls();
    FILE *file = fopen(log_path, "r");
    unsigned long long from = 0;
    while (fgets(line, sizeof(line), file))
        if (strncmp(line, blob_hex[0], 64) == 0)
            from = strtoull(line + 64, NULL, 10);
    fclose(file);
    cr_assert_geq(from, 200000u, "it was fetched from its start again");
}

static void put_in_partial(const char *hex, const void *data, size_t length)
{
    char path[200];

    snprintf(path, sizeof(path), "root/blobs/partial/%s", hex);
    put_bytes(path, data, length);
}

Test(pull, what_is_left_whole_is_not_fetched_again)
{
    char *blob = NULL, path[300];
    size_t length = 0;

    put_remote(400000, "gzip");
    snprintf(path, sizeof(path), "reg/blobs/sha256/%s", blob_hex[0]);
    cr_assert_eq(box_file_read(scratch_fd, path, 1u << 20, &blob, &length, NULL), 0);
    put_in_partial(blob_hex[0], blob, length);
    pulls();
    cr_assert_eq(fake_fetches(log_path, blob_hex[0]), 0u);
    free(blob);
}

Test(pull, damage_in_what_is_left_is_found_and_the_blob_fetched_anew)
{
    static char junk[100000];
    char *blob = NULL, path[300];
    size_t length = 0;

    put_remote(400000, "gzip");
    /* Zeros from the start, as a power cut leaves them; */
    put_in_partial(blob_hex[0], junk, sizeof(junk));
    pulls();
    cr_assert_eq(fake_fetches(log_path, blob_hex[0]), 2u);
    cr_assert_eq(box_image_remove(store, "reg.test/app:1", 0, NULL, NULL, &err), 0);
    /* a good beginning with one bit that is not; */
    snprintf(path, sizeof(path), "reg/blobs/sha256/%s", blob_hex[0]);
    cr_assert_eq(box_file_read(scratch_fd, path, 1u << 20, &blob, &length, NULL), 0);
    blob[150000] ^= 1;
    put_in_partial(blob_hex[0], blob, 200000);
    pulls();
    cr_assert_eq(box_image_remove(store, "reg.test/app:1", 0, NULL, NULL, &err), 0);
    /* all of it and more. */
    blob[150000] ^= 1;
    put_in_partial(blob_hex[0], blob, length);
    snprintf(path, sizeof(path), "root/blobs/partial/%s", blob_hex[0]);
    int fd = openat(scratch_fd, path, O_WRONLY | O_APPEND | O_CLOEXEC);
    cr_assert_eq(write(fd, "x", 1), 1);
    close(fd);
    pulls();
    free(blob);
}

Test(pull, a_damaged_blob_of_the_store_is_fetched_anew)
{
    char path[300];

    put_remote(400000, "gzip");
    pulls();
    /* The layer is lost, and its blob damaged. */
    snprintf(path, sizeof(path), "root/blobs/sha256/%s", blob_hex[0]);
    int fd = openat(scratch_fd, path, O_WRONLY | O_CLOEXEC);
    cr_assert_eq(pwrite(fd, "xyz", 3, 200000), 3);
    close(fd);
    char command[300];
    snprintf(command, sizeof(command), "rm -r %s/root/layers/*", scratch);
    cr_assert_eq(system(command), 0);
    cr_assert_eq(unlink(log_path), 0);
    pulls();
    cr_assert_eq(fake_fetches(log_path, blob_hex[0]), 1u);
    cr_assert_eq(fake_fetches(log_path, blob_hex[1]), 0u, "the other is good");
    cr_assert_eq(layers_there(), 2u);
}

/* ---- What is refused ---- */

Test(pull, wrong_bytes_are_refused_and_not_gone_on_with)
{
    put_remote(400000, "gzip");
    fake.only = blob_hex[0];
    fake.wrong_at = 300000;
    fails(BOX_EPARSE, "layer sha256:");
    cr_assert_eq(fake_fetches(log_path, blob_hex[0]), 1u, "what was fetched whole is not fetched again");
    fake.wrong_at = UINT64_MAX;
    pulls();
    cr_assert_eq(fake_fetches(log_path, blob_hex[0]), 2u);
}

Test(pull, wrong_bytes_of_a_plain_layer_are_refused_by_their_digest)
{
    put_remote(400000, "cat");
    fake.only = blob_hex[1];
    fake.wrong_at = 100000;
    fails(BOX_EDIGEST, "diff id");
}

Test(pull, bytes_behind_the_stream_count_as_well)
{
    put_remote(100000, "sh -c 'gzip; echo trailing'");
    fake.only = blob_hex[0];
    pulls();
    cr_assert_eq(box_image_remove(store, "reg.test/app:1", 0, NULL, NULL, &err), 0);
    struct stat st;
    char path[300];
    snprintf(path, sizeof(path), "%s/blobs/sha256/%s", path_of("reg"), blob_hex[0]);
    cr_assert_eq(stat(path, &st), 0);
    fake.wrong_at = (uint64_t)st.st_size - 2;
    fails(BOX_EDIGEST, "blob:");
}

Test(pull, a_short_blob_is_refused)
{
    put_remote(400000, "gzip");
    fake.only = blob_hex[0];
    fake.wrong_length = true;
    fails(BOX_EPARSE, "cut short: 1 bytes");
}

Test(pull, a_wrong_manifest_config_or_diff_id_is_refused)
{
    struct layout l = put_remote(1000, "gzip");
    char path[300], *text = NULL;
    size_t length;

    snprintf(path, sizeof(path), "reg/blobs/sha256/%s", l.last_config + 7);
    cr_assert_eq(box_file_read(scratch_fd, path, 1u << 20, &text, &length, NULL), 0);
    text[length - 3] ^= 1;
    put_bytes(path, text, length);
    fails(BOX_EDIGEST, "config");
    put_bytes(path, text, length - 1);
    fails(BOX_ESYSTEM, "connection ended");
    text[length - 3] ^= 1;
    put_bytes(path, text, length);
    free(text);

    snprintf(fake.tagged, sizeof(fake.tagged), "%s", l.last_config);
    fails(BOX_EPARSE, "manifest");

    char name[200];
    _cleanup_(box_error) box_error *e = NULL;
    snprintf(path, sizeof(path), "reg/blobs/sha256/%s", l.last_manifest + 7);
    put_file(path, "{}");
    snprintf(name, sizeof(name), "reg.test/app@%s", l.last_manifest);
    cr_assert_eq(pull_as(name, &e), BOX_EDIGEST, "%s", box_error_message(e));
}

Test(pull, a_config_that_tells_other_diff_ids_is_refused)
{
    struct layout l;
    struct tarball lie = small_tar("f", "other");

    n_blobs = 0;
    layout_begin(&l, "reg");
    add_layer(&l, "lower", 1000, "gzip");
    snprintf(l.diff_ids, sizeof(l.diff_ids), "\"%s\"", digest_of(lie.data, lie.length));
    layout_image(&l, NULL, "");
    layout_end(&l);
    fake_remote_init(&fake, path_of("reg"), l.last_manifest);
    fails(BOX_EDIGEST, "diff id");
    box_remove_tree(scratch_fd, "reg", NULL);
    layout_begin(&l, "reg");
    add_layer(&l, "lower", 1000, "gzip");
    append(l.diff_ids, sizeof(l.diff_ids), "\"sha256:0123456789012345678901234567890123456789012345678901234567890123\"");
    layout_image(&l, NULL, "");
    layout_end(&l);
    fake_remote_init(&fake, path_of("reg"), l.last_manifest);
    fails(BOX_EPARSE, "2 diff ids");
    tarball_free(&lie);
}

Test(pull, what_an_image_may_unpack_to_is_limited)
{
    box_image_limits limits = {.layer_bytes = 300000};

    put_remote(400000, "gzip");
    options.limits = &limits;
    fails(BOX_ELIMIT, "layer sha256:");
    cr_assert_eq(fake_fetches(log_path, blob_hex[0]), 1u);
    limits = (box_image_limits){.free_bytes = 1, .ratio = 1};
    fails(BOX_ELIMIT, "layer sha256:");
    limits = (box_image_limits){.layers = 1};
    fails(BOX_ELIMIT, "layers");
}

/* ---- Ending it ---- */

static int cancel_at(const box_image_progress *progress, void *data)
{
    return progress->stage == *(const enum box_image_stage *)data && (progress->done > 150000 || progress->total == 0);
}

Test(pull, progress_tells_of_download_and_layers_and_may_cancel)
{
    static enum box_image_stage stage = BOX_IMAGE_STAGE_DOWNLOAD;

    put_remote(3000000, "gzip");
    options.progress = cancel_at;
    options.progress_data = &stage;
    fails(BOX_ECANCELLED, "cancelled");
    stage = BOX_IMAGE_STAGE_LAYER;
    fails(BOX_ECANCELLED, "cancelled");
    stage = BOX_IMAGE_STAGE_SYNC;
    fails(BOX_ECANCELLED, "cancelled");
    options.progress = NULL;
    unlink(log_path);
    pulls();
    cr_assert_eq(fake_fetches(log_path, NULL), 0u, "all is there from before");
}

static int64_t now_ms(void)
{
    return box_clock_ns() / BOX_MS;
}

Test(pull, a_descriptor_cancels_it)
{
    int fd = eventfd(0, EFD_CLOEXEC);

    put_remote(3000000, "gzip");
    fake.delay_us = 5000;
    options.cancel_fd = fd;
    pid_t pid = fork();
    if (pid == 0) {
        usleep(100000);
        _exit(eventfd_write(fd, 1));
    }
    int64_t begun = now_ms();
    fails(BOX_ECANCELLED, "cancelled");
    cr_assert_lt(now_ms() - begun, 20000, "it would take longer than that without");
    waitpid(pid, NULL, 0);
    close(fd);
}

Test(pull, a_deadline_ends_it)
{
    put_remote(3000000, "gzip");
    fake.delay_us = 5000;
    options.timeout_ms = 100;
    fails(BOX_ETIMEOUT, "time");
}

Test(pull, a_failing_layer_ends_the_others)
{
    put_remote(3000000, "gzip");
    fake.only = blob_hex[1];
    fake.fail_after = 0;
    fake.delay_us = 1000;
    fails(BOX_ESYSTEM, "connection broke");
}

static void *sleep_for_ever(void *data)
{
    for (;;)
        pause();
    return data;
}

/* A limit on the address space fails what is mapped for a stack, 8 MiB, before anything else. Stacks of threads that
 * have ended are used again, so there must be none. */
static void forbid_threads(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    pthread_t thread;

    if (!file || fscanf(file, "%lu", &pages) != 1)
        _exit(2);
    fclose(file);
    const struct rlimit limit = {pages * 4096 + (7u << 20), RLIM_INFINITY};
    if (setrlimit(RLIMIT_AS, &limit) < 0)
        _exit(3);
    while (pthread_create(&thread, NULL, sleep_for_ever, NULL) == 0)
        ;
}

Test(pull, without_a_thread_to_be_had_it_is_fetched_first_and_unpacked_then)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    cr_skip_test("a limit on the address space is not for sanitizers");
#endif
    put_remote(400000, "gzip");
    pulls(); /* the libraries are open after this */
    cr_assert_eq(box_image_remove(store, "reg.test/app:1", 0, NULL, NULL, &err), 0);
    pid_t pid = fork();
    if (pid == 0) {
        box_error *e = NULL;
        forbid_threads();
        int r = pull_as("reg.test/app:1", &e);
        if (r < 0)
            fprintf(stderr, "%s\n", box_error_message(e));
        _exit(r == 0 ? 0 : 1);
    }
    int status;
    waitpid(pid, &status, 0);
    cr_assert_eq(status, 0, "status %x", (unsigned)status);
}

/* ---- Several at once ---- */

Test(pull, eight_processes_fetch_each_blob_once)
{
    put_remote(2000000, "gzip");
    fake.delay_us = 500;
    pid_t pids[8];
    int ready[2];
    char c;

    cr_assert_eq(pipe(ready), 0);
    for (unsigned i = 0; i < 8; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            close(ready[1]);
            if (read(ready[0], &c, 1) < 0)
                _exit(2);
            box_error *e = NULL;
            char name[40];
            snprintf(name, sizeof(name), "reg.test/app:%u", i + 1);
            int r = pull_as(name, &e);
            if (r < 0)
                fprintf(stderr, "%s\n", box_error_message(e));
            _exit(r < 0);
        }
    }
    close(ready[0]);
    close(ready[1]);
    for (unsigned i = 0; i < 8; i++) {
        int status = 0;
        waitpid(pids[i], &status, 0);
        cr_assert_eq(status, 0);
    }
    cr_assert_eq(fake_fetches(log_path, blob_hex[0]), 1u);
    cr_assert_eq(fake_fetches(log_path, blob_hex[1]), 1u);
    cr_assert_eq(layers_there(), 2u);
    cr_assert_eq(entries_in(path_of("root/blobs/partial")), 0u);
    for (unsigned i = 0; i < 8; i++) {
        char name[40];
        snprintf(name, sizeof(name), "reg.test/app:%u", i + 1);
        cr_assert(image_is_there(name));
    }
}

/* A thread that unpacks has half a MiB of stack, and the archive says how deep it goes. */
static void pulls_deep(const char *layers)
{
    put_deep_remote(250);
    cr_assert_eq(box_store_set(store, "layers", layers, &err), 0);
    cr_assert_eq(pull_as("reg.test/app:1", &err), 0, "%s", box_error_message(err));
    cr_assert_eq(box_store_verify(store, NULL, NULL, &err), 0, "%s", box_error_message(err));
    cr_assert_eq(box_image_remove(store, "reg.test/app:1", 0, NULL, NULL, &err), 0, "%s", box_error_message(err));
    cr_assert_eq(layers_there(), 0u);
}

Test(pull, a_deep_path_that_is_not_listed_takes_no_stack)
{
    pulls_deep("tree");
}

Test(pull, a_deep_path_that_is_not_listed_takes_no_stack_in_an_image)
{
    pulls_deep("erofs");
}
