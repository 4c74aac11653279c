/* Removing images that nobody uses. */
#include "images.h"

#include <libbox/registry.h>

#include "base/strings.h"

TestSuite(prune, .init = store_init, .fini = store_fini);

struct told {
    unsigned names, images, layers;
};

static void tell(enum box_image_removed kind, const char *what, void *data)
{
    struct told *told = data;

    cr_expect_neq(*what, '\0');
    told->names += kind == BOX_IMAGE_REMOVED_NAME;
    told->images += kind == BOX_IMAGE_REMOVED_IMAGE;
    told->layers += kind == BOX_IMAGE_REMOVED_LAYER;
}

static void prunes(const box_image_prune_options *options, struct told *told, box_store_freed *freed)
{
    *told = (struct told){0};
    cr_assert_eq(box_image_prune(store, options, tell, told, freed, &err), 0, "%s", box_error_message(err));
}

/* Two images: "a" has lost its name to "b" unless `named`. */
static void put_two(const char *config_a, const char *config_b)
{
    put_image("a", "app:1", config_a);
    put_image("b", "app:1", config_b);
    loads("a");
    loads("b");
}

Test(prune, takes_images_without_a_name_and_their_layers_alone)
{
    box_store_freed freed = {0};
    struct told told;

    put_two("\"User\":\"1\"", "\"User\":\"2\"");
    put_image("other", "other:1", "\"User\":\"3\"");
    loads("other");
    prunes(NULL, &told, &freed);
    cr_expect_eq(told.names, 0u);
    cr_expect_eq(told.images, 1u);
    cr_expect_eq(told.layers, 0u, "both layers are those of the other image of this name");
    cr_expect_gt(freed.blobs, 0u);
    cr_assert(image_is_there("app:1"));
    cr_assert(image_is_there("other:1"));
    prunes(NULL, &told, NULL);
    cr_expect_eq(told.images, 0u, "once is enough");
}

Test(prune, all_takes_every_image_that_no_container_holds)
{
    const box_image_prune_options all = {.version = 1, .all = true};
    box_image *image = NULL;
    struct told told;

    put_image("a", "used:1", "\"User\":\"1\"");
    put_image("b", "free:1", "\"User\":\"2\"");
    loads("a");
    loads("b");
    cr_assert_eq(box_image_open(store, "used:1", &image, &err), 0);
    put_dir("root/containers/c1");
    int dirfd = openat(scratch_fd, "root/containers/c1", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_eq(box_store_pin(store, dirfd, box_image_digest(image), 0, &err), 0, "%s", box_error_message(err));
    close(dirfd);
    box_image_free(image);
    box_store_usage before, after;
    cr_assert_eq(box_image_usage(store, &before, &err), 0, "%s", box_error_message(err));
    cr_expect_eq(before.count, 2u);
    cr_expect_eq(before.active, 1u);
    cr_expect(before.reclaimable > 0 && before.reclaimable < before.bytes);
    prunes(&all, &told, NULL);
    cr_expect_eq(told.names, 1u);
    cr_expect_eq(told.images, 1u);
    cr_expect_eq(told.layers, 1u, "the other layer is shared");
    cr_assert(image_is_there("used:1"));
    cr_assert(!image_is_there("free:1"));
    cr_assert_eq(box_image_usage(store, &after, &err), 0, "%s", box_error_message(err));
    cr_expect_eq(after.count, 1u);
    cr_expect_eq(after.bytes, before.bytes - before.reclaimable, "what was said to be reclaimable went");
    cr_expect_eq(after.reclaimable, 0u);
}

Test(prune, labels_and_time_choose)
{
    const char *const by_key[] = {"stage", NULL}, *const by_value[] = {"stage=build", "x", NULL}, *const other[] = {"stage=x", NULL};
    struct told told;

    put_image("a", "a:1", "\"Labels\":{\"stage\":\"build\",\"x\":\"\"}");
    loads("a");
    prunes(&(box_image_prune_options){.version = 1, .all = true, .labels = other}, &told, NULL);
    cr_expect_eq(told.images, 0u);
    /* created in 2024 */
    prunes(&(box_image_prune_options){.version = 1, .all = true, .before = 1600000000, .labels = by_key}, &told, NULL);
    cr_expect_eq(told.images, 0u);
    prunes(&(box_image_prune_options){.version = 1, .all = true, .before = 1800000000, .labels = by_value}, &told, NULL);
    cr_expect_eq(told.images, 1u);
    cr_expect_eq(layers_there(), 0u);
    cr_expect_eq(blobs_there(), 0u);
}

Test(prune, wrong_options_are_refused)
{
    cr_assert_eq(box_image_prune(store, &(box_image_prune_options){.version = 7}, NULL, NULL, NULL, NULL), BOX_EINVAL);
    cr_assert_eq(box_image_prune(NULL, NULL, NULL, NULL, NULL, NULL), BOX_EINVAL);
}
