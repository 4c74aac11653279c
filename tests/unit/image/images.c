/* Images: finding, naming, removing, looking at them. */
#include "images.h"

#include "base/strings.h"
#include "image/image.h"

TestSuite(images, .init = store_init, .fini = store_fini);

static box_image *open_image(const char *name)
{
    box_image *image = NULL;

    cr_assert_eq(box_image_open(store, name, &image, &err), 0, "%s", box_error_message(err));
    return image;
}

Test(images, one_is_found_by_each_form_of_its_name)
{
    char with_digest[300];

    put_image("a", "docker.io/library/app:1", "");
    loads("a");
    box_image *image = open_image("app:1");
    snprintf(with_digest, sizeof(with_digest), "app@%s", box_image_digest(image));
    cr_assert(image_is_there("docker.io/app:1"));
    cr_assert(image_is_there("docker.io/library/app:1"));
    cr_assert(image_is_there(with_digest));
    snprintf(with_digest, sizeof(with_digest), "app:1@%s", box_image_digest(image));
    cr_assert(image_is_there(with_digest));
    snprintf(with_digest, sizeof(with_digest), "app:2@%s", box_image_digest(image));
    cr_assert(!image_is_there(with_digest));
    snprintf(with_digest, sizeof(with_digest), "other@%s", box_image_digest(image));
    cr_assert(!image_is_there(with_digest));
    cr_assert(!image_is_there("app"));
    cr_assert(!image_is_there("app:latest"));
    box_image_free(image);
}

Test(images, what_is_not_there_is_named)
{
    box_image *image = NULL;

    cr_assert_eq(box_image_open(store, "nothing", &image, &err), BOX_ENOTFOUND);
    cr_assert_not_null(strstr(box_error_message(err), "\"nothing\""));
    cr_assert_eq(box_image_open(store, "No Name", &image, NULL), BOX_EPARSE);
}

Test(images, the_first_digits_of_an_id_do_until_two_have_them)
{
    char digits[BOX_DIGEST_TEXT], config[32];
    box_image *image = NULL;
    size_t common = 0;

    /* Twenty images: by the pigeonhole, two ids begin with the same digit. */
    for (int i = 0; i < 20; i++) {
        char dir[8];
        snprintf(dir, sizeof(dir), "i%d", i);
        snprintf(config, sizeof(config), "\"User\":\"%d\"", i);
        put_image(dir, dir, config);
        loads(dir);
    }
    image = open_image("i0");
    snprintf(digits, sizeof(digits), "%s", box_image_id(image));
    box_image_free(image);
    cr_assert(image_is_there(digits));
    cr_assert(image_is_there(digits + 7));
    box_image_list *list = NULL;
    cr_assert_eq(box_image_list_new(store, &list, &err), 0);
    for (size_t i = 0; i < 20; i++)
        for (size_t j = 0; j < i; j++) {
            const char *a = box_image_id(box_image_list_get(list, i)),
                       *b = box_image_id(box_image_list_get(list, j));
            if (a[7] == b[7]) {
                snprintf(digits, sizeof(digits), "%c", a[7]);
                common++;
            }
        }
    cr_assert_gt(common, 0u);
    cr_assert_eq(box_image_open(store, digits, &image, &err), BOX_EINVAL, "%s", box_error_message(err));
    cr_assert_not_null(strstr(box_error_remedy(err), "more digits"));
    box_image_list_free(list);
}

Test(images, a_list_has_each_image_once_with_all_its_names)
{
    box_image_list *list = NULL;

    put_image("a", "app:1", "");
    put_image("b", "b:1", "\"User\":\"b\"");
    loads("a");
    loads("b");
    cr_assert_eq(box_image_tag(store, "app:1", "other/app:2", &err), 0, "%s", box_error_message(err));
    cr_assert_eq(box_image_list_new(store, &list, &err), 0, "%s", box_error_message(err));
    cr_assert_eq(box_image_list_count(list), 2u);
    size_t names = 0;
    for (size_t i = 0; i < 2; i++)
        names += box_strv_length((char **)box_image_names(box_image_list_get(list, i)));
    cr_assert_eq(names, 3u);
    cr_assert_null(box_image_list_get(list, 2));
    box_image *taken = box_image_list_take(list, 0);
    cr_assert_null(box_image_list_get(list, 0));
    box_image_list_free(list);
    cr_assert_eq(strlen(box_image_id(taken)), 71u);
    box_image_free(taken);
}

Test(images, a_tag_moves_from_one_image_to_another)
{
    put_image("a", "a:1", "\"User\":\"a\"");
    put_image("b", "b:1", "\"User\":\"b\"");
    loads("a");
    loads("b");
    cr_assert_eq(box_image_tag(store, "a:1", "x", &err), 0);
    cr_assert_eq(box_image_tag(store, "b:1", "x:latest", &err), 0);
    box_image *image = open_image("x");
    cr_assert_str_eq(box_image_user(image), "b");
    box_image_free(image);
    cr_assert_eq(box_image_tag(store, "none", "y", NULL), BOX_ENOTFOUND);
    cr_assert_eq(box_image_tag(store, "a:1", "Bad Name", NULL), BOX_EPARSE);
}

/* ---- Removing ---- */

static void note(enum box_image_removed kind, const char *what, void *data)
{
    char *text = data;

    (void)what;
    snprintf(text + strlen(text), 100 - strlen(text), "%c", "NIL"[kind]);
}

Test(images, removing_a_name_leaves_the_image_while_it_has_another)
{
    char told[100] = "";

    put_image("a", "a:1", "");
    loads("a");
    cr_assert_eq(box_image_tag(store, "a:1", "a:2", &err), 0);
    cr_assert_eq(box_image_remove(store, "a:1", 0, note, told, &err), 0);
    cr_assert_str_eq(told, "N");
    cr_assert(!image_is_there("a:1"));
    cr_assert(image_is_there("a:2"));
    cr_assert_eq(layers_there(), 2u);
    cr_assert_eq(box_image_remove(store, "a:2", 0, note, told, &err), 0);
    cr_assert_str_eq(told, "NNILL");
    cr_assert_eq(layers_there(), 0u);
    cr_assert_eq(blobs_there(), 0u);
    cr_assert_eq(box_image_remove(store, "a:2", 0, NULL, NULL, NULL), BOX_ENOTFOUND);
}

Test(images, removing_by_id_needs_force_when_there_are_several_names)
{
    char id[BOX_DIGEST_TEXT], told[100] = "";

    put_image("a", "a:1", "");
    loads("a");
    cr_assert_eq(box_image_tag(store, "a:1", "a:2", &err), 0);
    box_image *image = open_image("a:1");
    snprintf(id, sizeof(id), "%s", box_image_id(image));
    box_image_free(image);
    cr_assert_eq(box_image_remove(store, id, 0, NULL, NULL, &err), BOX_EBUSY);
    cr_assert(image_is_there("a:2"));
    cr_assert_eq(box_image_remove(store, id, BOX_IMAGE_REMOVE_FORCE, note, told, NULL), 0);
    cr_assert_str_eq(told, "NNILL");
    cr_assert_eq(layers_there(), 0u);
}

/* A container's directory with a pin in it. */
static void pin(const char *container, const char *name)
{
    char path[100];
    box_image *image = open_image(name);

    snprintf(path, sizeof(path), "root/containers/%s", container);
    put_dir(path);
    _close_ int fd = openat(scratch_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_eq(box_store_pin(store, fd, box_image_digest(image), 0, &err), 0, "%s", box_error_message(err));
    box_image_free(image);
}

Test(images, an_image_in_use_is_not_removed)
{
    put_image("a", "a:1", "");
    loads("a");
    pin("web", "a:1");
    cr_assert_eq(box_image_remove(store, "a:1", 0, NULL, NULL, &err), BOX_EBUSY);
    cr_assert_str_eq(box_error_subject(err), "web");
    cr_assert(image_is_there("a:1"));
}

Test(images, one_removed_by_force_keeps_its_layers_while_a_container_holds_them)
{
    char digest[BOX_DIGEST_TEXT];
    box_store_freed freed;

    put_image("a", "a:1", "");
    loads("a");
    pin("web", "a:1");
    box_image *image = open_image("a:1");
    snprintf(digest, sizeof(digest), "%s", box_image_digest(image));
    box_image_free(image);
    cr_assert_eq(box_store_has_image(store, digest, &err), 1);
    cr_assert_eq(box_image_remove(store, "a:1", BOX_IMAGE_REMOVE_FORCE, NULL, NULL, &err), 0);
    cr_assert(!image_is_there("a:1"));
    cr_assert_eq(box_store_has_image(store, digest, &err), 0);
    cr_assert_eq(layers_there(), 2u);
    cr_assert_eq(blobs_there(), 4u);
    cr_assert_eq(box_remove_tree(store->containersfd, "web", &err), 0);
    cr_assert_eq(box_store_collect(store, &freed, &err), 0, "%s", box_error_message(err));
    cr_assert_eq(freed.layers, 2u);
    cr_assert_eq(freed.blobs, 4u);
    cr_assert_eq(layers_there(), 0u);
}

Test(images, a_pin_on_an_image_that_has_gone_fails)
{
    put_image("a", "a:1", "");
    loads("a");
    box_image *image = open_image("a:1");
    put_dir("root/containers/late");
    _close_ int fd = openat(scratch_fd, "root/containers/late", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_eq(box_image_remove(store, "a:1", 0, NULL, NULL, &err), 0);
    cr_assert_eq(box_store_pin(store, fd, box_image_digest(image), 0, &err), BOX_ENOTFOUND);
    cr_assert(!is_there("root/containers/late/image"));
    box_image_free(image);
}

Test(images, a_container_whose_pin_is_damaged_keeps_everything)
{
    put_image("a", "a:1", "");
    loads("a");
    put_dir("root/containers/odd");
    put_file("root/containers/odd/image", "garbage");
    cr_assert_eq(box_store_collect(store, NULL, &err), BOX_ECORRUPT);
    cr_assert_not_null(strstr(box_error_message(err), "odd"));
}

/* ---- Looking ---- */

Test(images, everything_in_the_config_can_be_read)
{
    put_image(
        "a", "a:1",
        "\"User\":\"app:staff\",\"WorkingDir\":\"/srv\",\"StopSignal\":\"SIGINT\",\"Env\":[\"A=1\",\"B=2\"],"
        "\"Entrypoint\":[\"/e\",\"f\"],\"Cmd\":[\"c\"],\"Shell\":[\"/bin/bash\",\"-c\"],\"Volumes\":{\"/"
        "v\":{}},"
        "\"ExposedPorts\":{\"80/tcp\":{}},\"Labels\":{\"k\":\"v\",\"n\":null},\"OnBuild\":[\"RUN x\"],"
        "\"Healthcheck\":{\"Test\":[\"NONE\"]}");
    loads("a");
    box_image *image = open_image("a:1");
    cr_assert_str_eq(box_image_user(image), "app:staff");
    cr_assert_str_eq(box_image_workdir(image), "/srv");
    cr_assert_str_eq(box_image_stop_signal(image), "SIGINT");
    cr_assert_str_eq(box_image_env(image)[1], "B=2");
    cr_assert_null(box_image_env(image)[2]);
    cr_assert_str_eq(box_image_entrypoint(image)[1], "f");
    cr_assert_str_eq(box_image_cmd(image)[0], "c");
    cr_assert_str_eq(box_image_shell(image)[0], "/bin/bash");
    cr_assert_str_eq(box_image_volumes(image)[0], "/v");
    cr_assert_str_eq(box_image_exposed_ports(image)[0], "80/tcp");
    cr_assert_str_eq(box_image_onbuild(image)[0], "RUN x");
    cr_assert_str_eq(box_image_label(image, "k"), "v");
    cr_assert_str_eq(box_image_label(image, "n"), "");
    cr_assert_null(box_image_label(image, "other"));
    size_t labels;
    cr_assert_str_eq(box_image_labels(image, &labels)[0].key, "k");
    cr_assert_eq(labels, 2u);
    cr_assert_not_null(strstr(box_image_healthcheck(image), "NONE"));
    cr_assert_str_eq(box_image_os(image), "linux");
    cr_assert_str_eq(box_image_architecture(image), "amd64");
    cr_assert_str_eq(box_image_variant(image), "");
    cr_assert_str_eq(box_image_created(image), "2024-05-06T07:08:09Z");
    cr_assert_eq(box_image_created_time(image), 1714979289);
    cr_assert_eq(box_image_history_count(image), 1u);
    box_image_history step;
    cr_assert_eq(box_image_history_get(image, 0, &step, &err), 0);
    cr_assert_str_eq(step.created_by, "test");
    cr_assert_eq(box_image_history_get(image, 1, &step, NULL), BOX_EINVAL);
    size_t length;
    const char *json = box_image_config_json(image, &length);
    cr_assert_str_eq(digest_of(json, length), box_image_id(image));
    json = box_image_manifest_json(image, &length);
    cr_assert_str_eq(digest_of(json, length), box_image_digest(image));
    cr_assert_null(box_image_layer_diff_id(image, 2));
    box_image_free(image);
}

Test(images, what_the_config_does_not_say_is_empty)
{
    put_image("a", "a:1", "\"Cmd\":\"one string\",\"Labels\":null,\"Env\":null");
    loads("a");
    box_image *image = open_image("a:1");
    cr_assert_str_eq(box_image_cmd(image)[0], "one string");
    cr_assert_null(box_image_entrypoint(image)[0]);
    cr_assert_null(box_image_env(image)[0]);
    cr_assert_null(box_image_volumes(image)[0]);
    cr_assert_str_eq(box_image_user(image), "");
    cr_assert_str_eq(box_image_healthcheck(image), "");
    size_t labels;
    box_image_labels(image, &labels);
    cr_assert_eq(labels, 0u);
    box_image_free(image);
}

Test(images, times_are_rfc_3339)
{
    cr_assert_eq(box_time_parse("1970-01-01T00:00:01Z"), 1);
    cr_assert_eq(box_time_parse("2024-05-06T07:08:09.123456789Z"), 1714979289);
    cr_assert_eq(box_time_parse("2024-05-06T09:08:09+02:00"), 1714979289);
    cr_assert_eq(box_time_parse("2024-05-06T05:38:09-01:30"), 1714979289);
    cr_assert_eq(box_time_parse("0001-01-01T00:00:00Z"), 0);
    cr_assert_eq(box_time_parse("2024-05-06"), 0);
    cr_assert_eq(box_time_parse("2024-05-06T07:08:09Zx"), 0);
    cr_assert_eq(box_time_parse(""), 0);
}

Test(images, an_opaque_root_leaves_out_the_layers_below)
{
    struct tarball lower = small_tar("lower", "1"), upper = {0};
    char **dirs = NULL;
    struct layout l;

    tarball_put(&upper, &(struct tarball_member){.name = ".wh..wh..opq"});
    tarball_end(&upper);
    layout_begin(&l, "a");
    layout_layer(&l, &lower);
    layout_layer(&l, &upper);
    layout_image(&l, "a:1", "");
    layout_end(&l);
    loads("a");
    box_image *image = open_image("a:1");
    cr_assert_eq(box_image_layer_dirs(image, &dirs, &err), 0);
    cr_assert_eq(box_strv_length(dirs), 1u);
    box_strings_free(dirs);
    box_image_free(image);
    tarball_free(&lower);
    tarball_free(&upper);
}

Test(images, an_image_without_layers_has_an_empty_directory)
{
    char **dirs = NULL;
    struct layout l;

    layout_begin(&l, "a");
    layout_image(&l, "a:1", "");
    layout_end(&l);
    loads("a");
    box_image *image = open_image("a:1");
    cr_assert_eq(box_image_layer_dirs(image, &dirs, &err), 0);
    cr_assert_eq(box_strv_length(dirs), 1u);
    cr_assert_eq(entries_in(dirs[0]), 0u);
    box_strings_free(dirs);
    box_image_free(image);
}

Test(images, an_image_lives_on_without_its_store)
{
    put_image("a", "a:1", "");
    loads("a");
    box_image *image = open_image("a:1");
    box_store_free(store);
    store = NULL;
    char **dirs = NULL;
    cr_assert_eq(box_image_layer_dirs(image, &dirs, &err), 0);
    cr_assert_eq(access(dirs[0], R_OK), 0);
    box_strings_free(dirs);
    box_image_free(image);
}

Test(images, familiar_names_are_the_short_ones)
{
    char *text = NULL;

    cr_assert_eq(box_image_familiar_name("docker.io/library/debian:12", &text, &err), 0);
    cr_assert_str_eq(text, "debian:12");
    free(text);
    cr_assert_eq(box_image_familiar_name("Not", &text, NULL), BOX_EPARSE);
}
