/* A store whose layers are kept as EROFS images: what is made, what is found damaged, what goes. */
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/strings.h"
#include "image/layer_erofs.h"
#include "kernel/mount_image.h"

#include "images.h"

static void erofs_init(void)
{
    store_init();
    if (geteuid() != 0 || !box_erofs_probe(store->tmpfd))
        cr_skip_test("no EROFS image can be mounted here");
    cr_assert_eq(box_store_set(store, "layers", "erofs", &err), 0, "%s", box_error_message(err));
}

TestSuite(store_erofs, .init = erofs_init, .fini = store_fini);

static box_image *open_image(const char *name)
{
    box_image *image = NULL;

    cr_assert_eq(box_image_open(store, name, &image, &err), 0, "%s", box_error_message(err));
    return image;
}

static void note_damage(const char *what, const char *why, void *data)
{
    char *list = data;

    snprintf(list + strlen(list), 2000 - strlen(list), "%s: %s\n", what, why);
}

Test(store_erofs, settings_are_kept_and_held_against_what_there_is)
{
    _free_ char *value = NULL, *again = NULL;

    cr_assert_eq(box_store_get(store, "layers", &value, &err), 0);
    cr_assert_str_eq(value, "erofs");
    cr_assert_eq(box_store_set(store, "layers", "ext4", &err), BOX_EINVAL);
    cr_assert_not_null(strstr(box_error_message(err), "auto, tree, erofs"), "%s", box_error_message(err));
    cr_assert_eq(box_store_set(store, "layers", NULL, NULL), 0);
    cr_assert_eq(box_store_get(store, "layers", &again, NULL), 0);
    cr_assert_str_eq(again, "auto");
    cr_assert_eq(box_store_set(store, "colour", "blue", NULL), BOX_EINVAL);
}

Test(store_erofs, a_layer_is_one_file_and_its_path_is_told)
{
    char **dirs = NULL;
    struct stat st;

    put_image("a", "app:1", "");
    loads("a");
    box_image *image = open_image("app:1");
    cr_assert_eq(box_image_layer_dirs(image, &dirs, &err), 0);
    cr_assert_eq(box_strv_length(dirs), 2u);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(stat(dirs[i], &st), 0);
        cr_assert(S_ISREG(st.st_mode), "%s", dirs[i]);
        _close_ int tree = box_mount_image_or_directory(AT_FDCWD, dirs[i], &err);
        cr_assert_geq(tree, 0, "%s", box_error_message(err));
        cr_assert_eq(faccessat(tree, i ? "lower" : "upper", F_OK, 0), 0);
    }
    cr_assert_eq(box_store_verify(store, NULL, NULL, &err), 0, "%s", box_error_message(err));
    box_strings_free(dirs);
    box_image_free(image);
    cr_assert_eq(box_image_remove(store, "app:1", 0, NULL, NULL, &err), 0);
    cr_assert_eq(layers_there(), 0u);
}

Test(store_erofs, both_forms_live_side_by_side)
{
    char **dirs = NULL;
    struct stat top, bottom;

    put_image("a", "app:1", ""); /* both have the layer "lower" */
    put_image("b", "app:2", "");
    loads("a");
    cr_assert_eq(box_store_set(store, "layers", "tree", NULL), 0);
    loads("b");
    box_image *image = open_image("app:2");
    cr_assert_eq(box_image_layer_dirs(image, &dirs, &err), 0);
    cr_assert(stat(dirs[0], &top) == 0 && stat(dirs[1], &bottom) == 0);
    cr_assert(S_ISDIR(top.st_mode) && S_ISREG(bottom.st_mode));
    cr_assert_eq(layers_there(), 3u);
    cr_assert_eq(box_store_verify(store, NULL, NULL, &err), 0, "%s", box_error_message(err));
    box_strings_free(dirs);
    box_image_free(image);
}

Test(store_erofs, a_changed_bit_of_an_image_is_damage)
{
    struct tarball lower = small_tar("lower", "1");
    char path[200], found[2000] = "", byte;

    put_image("a", "app:1", "");
    loads("a");
    snprintf(path, sizeof(path), "root/layers/%s/layer.erofs", digest_of(lower.data, lower.length) + 7);
    _close_ int fd = openat(scratch_fd, path, O_RDWR | O_CLOEXEC);
    cr_assert_geq(fd, 0, "%s", path);
    struct stat st;
    cr_assert_eq(fstat(fd, &st), 0);
    for (off_t at = 1024; at < st.st_size; at += 1031) {
        cr_assert(pread(fd, &byte, 1, at) == 1);
        byte ^= 16;
        cr_assert(pwrite(fd, &byte, 1, at) == 1);
        found[0] = '\0';
        cr_assert_eq(box_store_verify(store, note_damage, found, NULL), BOX_ECORRUPT, "at %ld", (long)at);
        cr_assert_not_null(strstr(found, "layers/"), "%s", found);
        byte ^= 16;
        cr_assert(pwrite(fd, &byte, 1, at) == 1);
    }
    cr_assert_eq(box_store_verify(store, NULL, NULL, &err), 0, "%s", box_error_message(err));
    cr_assert_eq(ftruncate(fd, st.st_size - 4096), 0);
    cr_assert_eq(box_store_verify(store, NULL, NULL, NULL), BOX_ECORRUPT);
    tarball_free(&lower);
}

/* ---- Layers that inherit ---- */

static void put_stack(const char *dir, const char *name)
{
    struct tarball lower = {0}, upper = {0};
    struct layout l;
    char pax[200];
    size_t n = tarball_record(pax, sizeof(pax), "SCHILY.xattr.user.kept", "yes", 3);

    tarball_put(&lower, &(struct tarball_member){
                            .name = "srv/", .type = '5', .mode = 01777, .uid = 33, .gid = 44, .mtime = 1234, .pax = pax, .pax_length = n});
    tarball_put(&lower, &(struct tarball_member){.name = "srv/deep/", .type = '5', .mode = 0710, .mtime = 99});
    tarball_end(&lower);
    tarball_put(&upper, &(struct tarball_member){.name = "srv/deep/file", .data = "x", .size = 1});
    tarball_put(&upper, &(struct tarball_member){.name = "own/", .type = '5', .mode = 0700, .mtime = 5});
    tarball_put(&upper, &(struct tarball_member){.name = "new/file", .data = "x", .size = 1});
    tarball_end(&upper);
    layout_begin(&l, dir);
    layout_layer(&l, &lower);
    layout_layer(&l, &upper);
    layout_image(&l, name, "");
    layout_end(&l);
    tarball_free(&lower);
    tarball_free(&upper);
}

static void inherits(void)
{
    box_image *image = open_image("app:1");
    char **dirs = NULL;
    struct stat st;

    cr_assert_eq(box_image_layer_dirs(image, &dirs, &err), 0);
    _close_ int tree = box_mount_image_or_directory(AT_FDCWD, dirs[0], &err);
    cr_assert_geq(tree, 0, "%s", box_error_message(err));
    cr_assert_eq(fstatat(tree, "srv", &st, 0), 0);
    cr_assert_eq(st.st_mode, S_IFDIR | 01777);
    cr_assert(st.st_uid == 33 && st.st_gid == 44 && st.st_mtim.tv_sec == 1234);
    _close_ int srv = openat(tree, "srv", O_RDONLY | O_CLOEXEC);
    char value[8] = "";
    cr_assert_eq(fgetxattr(srv, "user.kept", value, sizeof(value)), 3);
    cr_assert_eq(fstatat(tree, "srv/deep", &st, 0), 0);
    cr_assert(st.st_mode == (S_IFDIR | 0710) && st.st_mtim.tv_sec == 99);
    cr_assert_eq(fstatat(tree, "srv/deep/file", &st, 0), 0);
    cr_assert_eq(fstatat(tree, "own", &st, 0), 0);
    cr_assert_eq(st.st_mode, S_IFDIR | 0700);
    cr_assert_eq(fstatat(tree, "new", &st, 0), 0);
    cr_assert_eq(st.st_mode, S_IFDIR | 0755);
    cr_assert_eq(box_store_verify(store, NULL, NULL, &err), 0, "%s", box_error_message(err));
    box_strings_free(dirs);
    box_image_free(image);
}

Test(store_erofs, directories_that_are_not_listed_inherit_from_an_image)
{
    put_stack("a", "app:1");
    loads("a");
    inherits();
}

Test(store_erofs, directories_of_an_image_inherit_from_a_tree)
{
    struct layout l;
    struct tarball lower = {0};
    char pax[200];
    size_t n = tarball_record(pax, sizeof(pax), "SCHILY.xattr.user.kept", "yes", 3);

    /* The same lowest layer, loaded as a tree before. */
    tarball_put(&lower, &(struct tarball_member){
                            .name = "srv/", .type = '5', .mode = 01777, .uid = 33, .gid = 44, .mtime = 1234, .pax = pax, .pax_length = n});
    tarball_put(&lower, &(struct tarball_member){.name = "srv/deep/", .type = '5', .mode = 0710, .mtime = 99});
    tarball_end(&lower);
    layout_begin(&l, "lower");
    layout_layer(&l, &lower);
    layout_image(&l, "lower:1", "");
    layout_end(&l);
    tarball_free(&lower);
    cr_assert_eq(box_store_set(store, "layers", "tree", NULL), 0);
    loads("lower");
    cr_assert_eq(box_store_set(store, "layers", "erofs", NULL), 0);
    put_stack("a", "app:1");
    loads("a");
    inherits();
}
