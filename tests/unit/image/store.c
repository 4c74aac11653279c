/* The store: opening it, sharing it, and what is left after a kill. */
#include "images.h"

#include <signal.h>
#include <sys/wait.h>

#include "base/strings.h"
#include "image/store_index.h"

TestSuite(store, .init = store_init, .fini = store_fini);

static void fails_to_open(const char *path, const char *run, unsigned flags, int code, const char *says)
{
    box_store *other = NULL;
    _cleanup_(box_error) box_error *e = NULL;

    cr_assert_eq(box_store_open(path, run, flags, &other, &e), code, "%s", box_error_message(e));
    cr_assert_not_null(strstr(box_error_message(e), says), "%s", box_error_message(e));
    cr_assert_null(other);
}

Test(store, it_is_made_where_there_is_none_for_its_owner_alone)
{
    struct stat st;

    cr_assert_eq(stat(root, &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0700u);
    cr_assert_eq(stat(runroot, &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0700u);
    cr_assert_str_eq(box_store_root(store), root);
    cr_assert_str_eq(box_store_runroot(store), runroot);
}

Test(store, an_existing_one_can_be_asked_for)
{
    fails_to_open(path_of("none"), runroot, BOX_STORE_EXISTING, BOX_ENOTFOUND, "none");
    cr_assert(!is_there("none"));
    put_dir("empty");
    cr_assert_eq(fchmodat(scratch_fd, "empty", 0700, 0), 0);
    fails_to_open(path_of("empty"), runroot, BOX_STORE_EXISTING, BOX_ENOTFOUND, "no store");
    box_store *again = NULL;
    cr_assert_eq(box_store_open(root, runroot, BOX_STORE_EXISTING, &again, &err), 0);
    box_store_free(again);
}

Test(store, a_relative_path_becomes_absolute)
{
    box_store *other = NULL;

    cr_assert_eq(chdir(scratch), 0);
    cr_assert_eq(box_store_open("rel//", "relrun", 0, &other, &err), 0, "%s", box_error_message(err));
    cr_assert_str_eq(box_store_root(other), path_of("rel"));
    box_store_free(other);
}

Test(store, a_directory_that_others_may_write_to_is_refused)
{
    put_dir("open");
    cr_assert_eq(fchmodat(scratch_fd, "open", 0777, 0), 0);
    fails_to_open(path_of("open"), runroot, 0, BOX_EPERMISSION, "written to by others");
    fails_to_open(root, path_of("open"), 0, BOX_EPERMISSION, "written to by others");
}

Test(store, a_directory_of_another_user_is_refused)
{
    if (geteuid() != 0)
        cr_skip_test("needs root");
    put_dir("theirs");
    cr_assert_eq(fchownat(scratch_fd, "theirs", 4242, 0, 0), 0);
    fails_to_open(path_of("theirs"), runroot, 0, BOX_EPERMISSION, "belongs to user 4242");
}

Test(store, a_newer_layout_is_refused)
{
    put_file("root/layout", "{\"libboxStore\":2}");
    fails_to_open(root, runroot, 0, BOX_EUNSUPPORTED, "layout 2");
    put_file("root/layout", "garbage");
    fails_to_open(root, runroot, 0, BOX_EPARSE, "layout");
}

Test(store, an_ordinary_user_has_one_below_home_or_where_xdg_says)
{
    if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
        cr_skip_test("cannot become an ordinary user");
    char home[] = "/tmp/libbox-test-home-XXXXXX";
    box_store *other = NULL;

    cr_assert_not_null(mkdtemp(home));
    setenv("HOME", home, 1);
    setenv("XDG_RUNTIME_DIR", home, 1);
    unsetenv("XDG_DATA_HOME");
    cr_assert_eq(box_store_open(NULL, NULL, 0, &other, &err), 0, "%s", box_error_message(err));
    _free_ char *expected = box_strf("%s/.local/share/libbox", home);
    _free_ char *expected_run = box_strf("%s/libbox", home);
    cr_assert_str_eq(box_store_root(other), expected);
    cr_assert_str_eq(box_store_runroot(other), expected_run);
    box_store_free(other);
    _close_ int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_eq(box_remove_tree(tmp, home + strlen("/tmp/"), &err), 0, "%s", box_error_message(err));
}

/* ---- Workplaces ---- */

Test(store, a_workplace_of_the_living_stays_and_one_of_the_dead_is_swept)
{
    struct box_store_work mine = BOX_STORE_WORK_NONE;
    box_store *other = NULL;
    pid_t child;
    int status;

    cr_assert_eq(box_store_work_begin(store, &mine, &err), 0, "%s", box_error_message(err));
    child = fork();
    if (child == 0) {
        struct box_store_work theirs = BOX_STORE_WORK_NONE;
        if (box_store_work_begin(store, &theirs, NULL) < 0 || mkdirat(theirs.fd, "half", 0700) < 0)
            _exit(1);
        raise(SIGKILL);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status));
    cr_assert_eq(entries_in(path_of("root/tmp")), 2u);
    cr_assert_eq(box_store_open(root, runroot, 0, &other, &err), 0);
    cr_assert_eq(entries_in(path_of("root/tmp")), 1u);
    cr_assert_eq(faccessat(store->tmpfd, mine.name, F_OK, 0), 0);
    box_store_work_end(&mine);
    cr_assert_eq(entries_in(path_of("root/tmp")), 0u);
    box_store_free(other);
}

Test(store, a_workplace_that_was_half_cleared_is_cleared_by_the_next)
{
    put_dir("root/tmp/00");
    put_dir("root/tmp/01");
    put_dir("root/tmp/01/data");
    put_dir("root/tmp/02");
    put_file("root/tmp/02/lease", "layer x\n");
    size_t count = 0;
    cr_assert_eq(box_store_sweep(store, &count, &err), 0, "%s", box_error_message(err));
    cr_assert_eq(count, 3u);
    cr_assert_eq(entries_in(path_of("root/tmp")), 0u);
}

/* A layer made by hand, with the record and the mark as asked for. */
static struct box_digest put_layer(const char *boot, bool durable)
{
    struct box_digest diff_id;
    char hex[BOX_DIGEST_TEXT], path[256], text[256];

    cr_assert_eq(box_digest_data(BOX_SHA256, boot, strlen(boot), &diff_id, NULL), 0);
    box_digest_hex(&diff_id, hex);
    snprintf(path, sizeof(path), "root/layers/%s", hex);
    put_dir(path);
    snprintf(path, sizeof(path), "root/layers/%s/diff", hex);
    put_dir(path);
    snprintf(text, sizeof(text), "{\"bytes\":1,\"entries\":0,\"opaque\":false,\"boot\":\"%s\"}", boot);
    snprintf(path, sizeof(path), "root/layers/%s/layer.json", hex);
    put_file(path, text);
    snprintf(path, sizeof(path), "root/layers/%s/durable", hex);
    if (durable)
        put_file(path, "");
    return diff_id;
}

static int find(const struct box_digest *diff_id, struct box_layer_record *found)
{
    return box_store_find_layer(store, &(struct box_layer_id){.diff_id = *diff_id}, NULL, found, &err);
}

Test(store, a_layer_that_an_earlier_boot_did_not_sync_is_as_good_as_not_there)
{
    struct box_layer_record record;
    struct box_digest old = put_layer("an-earlier-boot", false);
    struct box_digest synced = put_layer("an-even-earlier-boot", true);
    struct box_digest now = put_layer(store->boot, false);

    cr_assert_eq(find(&old, &record), 0);
    cr_assert_eq(find(&synced, &record), 1);
    cr_assert_eq(find(&now, &record), 1);
    char name[1][BOX_LAYER_NAME];
    box_layer_name(&(struct box_layer_id){.diff_id = now}, false, name[0]);
    cr_assert_eq(box_store_make_durable(store, name, 1, &err), 0, "%s", box_error_message(err));
    store->boot[0] ^= 1;
    cr_assert_eq(find(&now, &record), 1);
}

Test(store, a_layer_that_was_not_synced_is_unpacked_anew)
{
    struct tarball lower = small_tar("lower", "1");
    char path[300];

    put_image("a", "app:1", "");
    loads("a");
    /* As if the machine had gone down in the middle of it: the mark and the file's content are lost. */
    const char *hex = digest_of(lower.data, lower.length) + 7;
    snprintf(path, sizeof(path), "root/layers/%s/durable", hex);
    cr_assert_eq(unlinkat(scratch_fd, path, 0), 0);
    snprintf(path, sizeof(path), "root/layers/%s/diff/lower", hex);
    put_file(path, "");
    store->boot[0] ^= 1;
    loads("a");
    cr_assert_str_eq(content_of(path), "1");
    cr_assert_eq(box_store_verify(store, NULL, NULL, &err), 0, "%s", box_error_message(err));
    tarball_free(&lower);
}

/* ---- Collecting ---- */

Test(store, collecting_takes_what_nothing_refers_to)
{
    box_store_freed freed;

    put_image("a", "app:1", "");
    loads("a");
    put_layer("nobody's", true);
    put_file("root/blobs/sha256/0123456789012345678901234567890123456789012345678901234567890123", "12345");
    put_dir("root/tmp/dead");
    put_file("root/layers/0123456789012345678901234567890123456789012345678901234567890123.lock", "");
    cr_assert_eq(box_store_collect(store, &freed, &err), 0, "%s", box_error_message(err));
    cr_assert_eq(freed.layers, 1u);
    cr_assert_eq(freed.blobs, 1u);
    cr_assert_eq(freed.leftovers, 1u);
    cr_assert_eq(freed.bytes, 6u);
    cr_assert_eq(layers_there(), 2u);
    cr_assert(image_is_there("app:1"));
}

Test(store, collecting_leaves_what_a_load_in_progress_needs)
{
    struct box_store_work work = BOX_STORE_WORK_NONE;
    struct box_digest diff_id = put_layer("wanted", true), blob;
    box_store_freed freed;

    put_file("root/blobs/sha256/5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5", "12345");
    cr_assert_eq(box_digest_data(BOX_SHA256, "12345", 5, &blob, NULL), 0);
    cr_assert_eq(box_store_work_begin(store, &work, &err), 0);
    cr_assert_eq(box_store_work_need(&work, "layer", &diff_id, &err), 0);
    cr_assert_eq(box_store_work_need(&work, "blob", &blob, &err), 0);
    cr_assert_eq(box_store_collect(store, &freed, &err), 0, "%s", box_error_message(err));
    cr_assert_eq(freed.layers + freed.blobs, 0u);
    box_store_work_end(&work);
    cr_assert_eq(box_store_collect(store, &freed, &err), 0);
    cr_assert_eq(freed.layers, 1u);
    cr_assert_eq(freed.blobs, 1u);
}

Test(store, collecting_gives_up_rather_than_guess_when_a_manifest_is_damaged)
{
    box_image *image = NULL;
    char path[200];

    put_image("a", "app:1", "");
    loads("a");
    cr_assert_eq(box_image_open(store, "app:1", &image, &err), 0);
    snprintf(path, sizeof(path), "root/blobs/sha256/%s", box_image_digest(image) + 7);
    put_file(path, "{}");
    box_image_free(image);
    cr_assert_eq(box_store_collect(store, NULL, &err), BOX_ECORRUPT);
    cr_assert_eq(layers_there(), 2u);
    cr_assert_eq(box_image_remove(store, "app:1", 0, NULL, NULL, NULL), 0, "it can still be removed");
    cr_assert_eq(layers_there(), 0u);
}

/* ---- Verifying ---- */

static void note_damage(const char *what, const char *why, void *data)
{
    char *list = data;

    (void)why;
    snprintf(list + strlen(list), 2000 - strlen(list), "%s ", what);
}

Test(store, verifying_finds_damage)
{
    struct tarball lower = small_tar("lower", "1");
    char found[2000] = "", path[300];
    box_image *image = NULL;

    put_image("a", "app:1", "");
    loads("a");
    cr_assert_eq(box_store_verify(store, note_damage, found, &err), 0);
    cr_assert_str_eq(found, "");
    const char *hex = digest_of(lower.data, lower.length) + 7;
    snprintf(path, sizeof(path), "root/layers/%s/diff/lower", hex);
    cr_assert_eq(unlinkat(scratch_fd, path, 0), 0);
    cr_assert_eq(box_image_open(store, "app:1", &image, &err), 0);
    snprintf(path, sizeof(path), "root/blobs/sha256/%s", box_image_id(image) + 7);
    put_file(path, "{}");
    cr_assert_eq(box_store_verify(store, note_damage, found, &err), BOX_ECORRUPT);
    cr_assert_not_null(strstr(found, hex), "%s", found);
    cr_assert_not_null(strstr(found, box_image_id(image) + 7), "%s", found);
    cr_assert_not_null(strstr(found, "app:1"), "%s", found);
    box_image_free(image);
    tarball_free(&lower);
}

Test(store, a_damaged_index_is_told_and_nothing_is_taken_away)
{
    put_image("a", "app:1", "");
    loads("a");
    put_file("root/images.json", "{\"schemaVersion\":2,");
    box_image *image = NULL;
    cr_assert_eq(box_image_open(store, "app:1", &image, &err), BOX_ECORRUPT);
    cr_assert_eq(box_store_collect(store, NULL, NULL), BOX_ECORRUPT);
    cr_assert_eq(layers_there(), 2u);
}

/* ---- The index ---- */

static struct box_index_entry entry_of(const char *what)
{
    struct box_index_entry e = {.media_type = (char *)"m", .size = 1};

    cr_assert_eq(box_digest_data(BOX_SHA256, what, strlen(what), &e.id, NULL), 0);
    e.manifest = e.id;
    return e;
}

Test(store, a_name_that_moves_leaves_the_old_image_without_one)
{
    _index_ struct box_index index = {0};
    struct box_index_entry a = entry_of("a"), b = entry_of("b");

    cr_assert_eq(box_index_add(&index, &a, "n:1", NULL), 0);
    cr_assert_eq(box_index_add(&index, &b, "n:1", NULL), 0);
    cr_assert_eq(index.n, 2u);
    cr_assert(box_digest_equal(&box_index_find(&index, "n:1")->id, &b.id));
    cr_assert_null(box_index_find_id(&index, &a.id)->name);
    cr_assert_eq(box_index_add(&index, &a, "m:1", NULL), 0);
    cr_assert_eq(index.n, 2u, "the entry without a name has gone");
    cr_assert_eq(box_index_add(&index, &a, NULL, NULL), 0);
    cr_assert_eq(index.n, 2u);
}

Test(store, the_index_survives_being_written_and_read)
{
    _index_ struct box_index index = {0}, again = {0};
    struct box_index_entry a = entry_of("a"), b = entry_of("b");

    cr_assert_eq(box_index_add(&index, &a, "docker.io/library/a:1", NULL), 0);
    cr_assert_eq(box_index_add(&index, &b, NULL, NULL), 0);
    cr_assert_eq(box_index_write(store, &index, &err), 0, "%s", box_error_message(err));
    cr_assert_eq(box_index_read(store, &again, &err), 0, "%s", box_error_message(err));
    cr_assert_eq(again.n, 2u);
    cr_assert_str_eq(again.entries[0].name, "docker.io/library/a:1");
    cr_assert_null(again.entries[1].name);
    cr_assert(box_digest_equal(&again.entries[1].id, &b.id));
}

/* ---- A store that cannot be written to ---- */

Test(store, a_full_disk_is_an_error_and_leaves_nothing)
{
    char command[256];
    box_store *small = NULL;
    struct tarball tar = {0};
    struct layout l;

    put_dir("small");
    snprintf(command, sizeof(command), "mount -t tmpfs -o size=1m,mode=0700 none %s/small 2>/dev/null",
             scratch);
    if (geteuid() != 0 || system(command) != 0)
        cr_skip_test("cannot mount a file system");
    tarball_put(&tar, &(struct tarball_member){.name = "big", .size = 4u << 20});
    tarball_end(&tar);
    layout_begin(&l, "a");
    layout_layer(&l, &tar);
    layout_image(&l, "app:1", "");
    layout_end(&l);
    cr_assert_eq(box_store_open(path_of("small"), runroot, 0, &small, &err), 0, "%s", box_error_message(err));
    int r = box_image_load(small, path_of("a"), NULL, NULL, &err);
    unsigned left = entries_in(path_of("small/layers")) + entries_in(path_of("small/tmp"));
    box_store_free(small);
    snprintf(command, sizeof(command), "umount %s/small", scratch);
    cr_assert_eq(system(command), 0);
    cr_assert_eq(r, BOX_ENOSPACE, "%s", box_error_message(err));
    cr_assert_str_eq(box_error_subject(err), "big");
    cr_assert_eq(left, 0u);
    tarball_free(&tar);
}

Test(store, one_on_a_read_only_file_system_can_be_read_and_not_changed)
{
    char command[512];
    box_store *fixed = NULL;
    box_image *image = NULL;

    put_image("a", "app:1", "");
    loads("a");
    put_dir("ro");
    snprintf(command, sizeof(command), "mount --bind %s %s/ro && mount -o remount,bind,ro %s/ro", root,
             scratch, scratch);
    if (geteuid() != 0 || system(command) != 0)
        cr_skip_test("cannot mount a file system");
    int opened = box_store_open(path_of("ro"), runroot, 0, &fixed, &err);
    int found = opened == 0 ? box_image_open(fixed, "app:1", &image, &err) : -1;
    int loaded = opened == 0 ? box_image_load(fixed, path_of("a"), NULL, NULL, NULL) : 0;
    int removed = opened == 0 ? box_image_remove(fixed, "app:1", 0, NULL, NULL, NULL) : 0;
    box_store_free(fixed);
    snprintf(command, sizeof(command), "umount %s/ro", scratch);
    cr_assert_eq(system(command), 0);
    cr_assert_eq(opened, 0, "%s", box_error_message(err));
    cr_assert_eq(found, 0, "%s", box_error_message(err));
    cr_assert_eq(loaded, BOX_EPERMISSION);
    cr_assert_eq(removed, BOX_EPERMISSION);
    box_image_free(image);
}
