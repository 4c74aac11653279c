/* What an image says, put into a spec. */
#include "images.h"

#include "base/strings.h"
#include "image/image.h"

static box_spec *spec;
static box_image *image;

static void apply_init(void)
{
    store_init();
    spec = box_spec_new();
    cr_assert_not_null(spec);
}

static void apply_fini(void)
{
    box_spec_free(spec);
    box_image_free(image);
    store_fini();
}

TestSuite(apply, .init = apply_init, .fini = apply_fini);

static void load_with(const char *config)
{
    put_image("a", "a:1", config);
    loads("a");
    cr_assert_eq(box_image_open(store, "a:1", &image, &err), 0);
}

static void args_are(const box_image_run *run, const char *expected)
{
    cr_assert_eq(box_image_apply_to_spec(image, spec, run, &err), 0, "%s", box_error_message(err));
    _free_ char *joined = box_strv_join(box_spec_get_args(spec), "|");
    cr_assert_str_eq(joined, expected, "%s", joined);
}

#define VECTOR(...) ((char *const[]){__VA_ARGS__, NULL})

Test(apply, entrypoint_and_cmd_follow_dockers_table)
{
    load_with("\"Entrypoint\":[\"e\",\"f\"],\"Cmd\":[\"c\",\"d\"]");
    args_are(NULL, "e|f|c|d");
    args_are(&(box_image_run){.args = VECTOR("x")}, "e|f|x");
    args_are(&(box_image_run){.args = (char *const[]){NULL}}, "e|f|c|d");
    args_are(&(box_image_run){.entrypoint = VECTOR("g")}, "g");
    args_are(&(box_image_run){.entrypoint = VECTOR("g"), .args = VECTOR("x", "y")}, "g|x|y");
    args_are(&(box_image_run){.entrypoint = VECTOR(""), .args = VECTOR("x")}, "x");
    args_are(&(box_image_run){.entrypoint = (char *const[]){NULL}, .args = VECTOR("x")}, "x");
}

Test(apply, with_nothing_to_run_it_fails)
{
    load_with("\"User\":\"x\"");
    cr_assert_eq(box_image_apply_to_spec(image, spec, NULL, &err), BOX_ESPEC);
    cr_assert_str_eq(box_error_subject(err), "process.args");
    args_are(&(box_image_run){.args = VECTOR("x")}, "x");
}

Test(apply, the_environment_is_the_specs_then_the_images_then_the_callers)
{
    load_with("\"Cmd\":[\"c\"],\"Env\":[\"A=image\",\"B=image\",\"no equals\",\"PATH=/image\"]");
    cr_assert_eq(box_spec_set_env(spec, "A", "spec", &err), 0);
    cr_assert_eq(box_spec_set_env(spec, "S", "spec", &err), 0);
    box_image_run run = {.env = VECTOR("B=caller", "C=caller", "S")};
    cr_assert_eq(box_image_apply_to_spec(image, spec, &run, &err), 0, "%s", box_error_message(err));
    cr_assert_str_eq(box_spec_get_env(spec, "A"), "image");
    cr_assert_str_eq(box_spec_get_env(spec, "B"), "caller");
    cr_assert_str_eq(box_spec_get_env(spec, "C"), "caller");
    cr_assert_str_eq(box_spec_get_env(spec, "PATH"), "/image");
    cr_assert_null(box_spec_get_env(spec, "S"));
}

Test(apply, there_is_a_path_when_nobody_gives_one)
{
    load_with("\"Cmd\":[\"c\"]");
    cr_assert_eq(box_spec_clear_env(spec, &err), 0);
    cr_assert_eq(box_image_apply_to_spec(image, spec, NULL, &err), 0);
    cr_assert_str_eq(box_spec_get_env(spec, "PATH"),
                     "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
}

Test(apply, user_and_directory_are_the_images_unless_the_caller_says_otherwise)
{
    load_with("\"Cmd\":[\"c\"],\"User\":\"app:staff\",\"WorkingDir\":\"srv/x\"");
    cr_assert_eq(box_image_apply_to_spec(image, spec, NULL, &err), 0, "%s", box_error_message(err));
    cr_assert_str_eq(box_spec_get_user_name(spec), "app:staff");
    cr_assert_str_eq(box_spec_get_cwd(spec), "/srv/x");
    box_image_run run = {.user = "1000", .workdir = "/w"};
    cr_assert_eq(box_image_apply_to_spec(image, spec, &run, &err), 0);
    cr_assert_str_eq(box_spec_get_user_name(spec), "1000");
    cr_assert_str_eq(box_spec_get_cwd(spec), "/w");
}
