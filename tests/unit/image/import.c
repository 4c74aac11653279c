/* Importing root file systems, and the changes that go with it. */
#include "images.h"

#include <sys/xattr.h>

#include "base/strings.h"
#include "image/image.h"

TestSuite(import, .init = store_init, .fini = store_fini);

static const char *const *changes;

static box_image *imports(const char *path, const char *name)
{
    box_image_options options = BOX_IMAGE_OPTIONS_INIT;
    box_image *image = NULL;

    options.name = name;
    options.changes = changes;
    cr_assert_eq(box_image_import(store, path, &options, &image, &err), 0, "%s", box_error_message(err));
    return image;
}

/* A tree with some of everything. */
static void put_tree(void)
{
    put_dir("tree");
    put_dir("tree/etc");
    put_dir("tree/etc/sub");
    put_file("tree/etc/passwd", "root:x:0:0::/root:/bin/sh\n");
    put_file("tree/etc/sub/file", "content");
    put_link("tree/link", "/etc/passwd");
    cr_assert_eq(linkat(scratch_fd, "tree/etc/passwd", scratch_fd, "tree/hard", 0), 0);
    cr_assert_eq(mkfifoat(scratch_fd, "tree/fifo", 0600), 0);
    cr_assert_eq(fchmodat(scratch_fd, "tree/etc/sub", 01711, 0), 0);
    cr_assert_eq(fchmodat(scratch_fd, "tree/etc/sub/file", 04755, 0), 0);
}

static int compare_trees(const char *a, const char *b)
{
    char command[800];

    /* GNU tar's own comparison: content, mode, owner, time, links. */
    snprintf(command, sizeof(command), "tar -C %s --sort=name -cf - . | tar -C %s --compare -f -", a, b);
    return system(command);
}

Test(import, a_directory_comes_out_as_it_was)
{
    char **dirs = NULL, name[300];
    static char odd[241];

    put_tree();
    memset(odd, 'n', 240);
    snprintf(name, sizeof(name), "tree/%s", odd);
    put_file(name, "long name");
    put_file("tree/e\xcc\x81", "decomposed");
    put_file("tree/\xe9", "latin");
    setxattr(path_of("tree/etc/sub/file"), "user.key", "a\0b", 3, 0);
    box_image *image = imports(path_of("tree"), "tree:1");
    cr_assert_eq(box_image_layer_dirs(image, &dirs, &err), 0);
    cr_assert_eq(compare_trees(path_of("tree"), dirs[0]), 0);
    snprintf(name, sizeof(name), "%s/etc/sub/file", dirs[0]);
    char value[8];
    ssize_t n = getxattr(name, "user.key", value, sizeof(value));
    cr_assert(n == 3 || errno == EOPNOTSUPP);
    struct stat a, b;
    snprintf(name, sizeof(name), "%s/hard", dirs[0]);
    cr_assert_eq(lstat(name, &a), 0);
    snprintf(name, sizeof(name), "%s/etc/passwd", dirs[0]);
    cr_assert_eq(lstat(name, &b), 0);
    cr_assert_eq(a.st_ino, b.st_ino);
    box_strings_free(dirs);
    cr_assert(image_is_there("tree:1"));
    cr_assert_eq(box_store_verify(store, NULL, NULL, &err), 0, "%s", box_error_message(err));
    box_image_free(image);
}

Test(import, the_same_directory_always_has_the_same_diff_id)
{
    put_tree();
    box_image *one = imports(path_of("tree"), "one:1"), *two = imports(path_of("tree"), "two:1");
    cr_assert_str_eq(box_image_layer_diff_id(one, 0), box_image_layer_diff_id(two, 0));
    cr_assert_eq(layers_there(), 1u);
    box_image_free(one);
    box_image_free(two);
}

Test(import, a_tarball_of_any_compression_becomes_the_same_layer)
{
    static const char *const how[] = {"cat", "gzip", "zstd -q", "xz", "bzip2"};
    char command[400], first[BOX_DIGEST_TEXT] = "";

    put_tree();
    for (size_t i = 0; i < BOX_ARRAY(how); i++) {
        snprintf(command, sizeof(command), "tar -C %s/tree --sort=name -cf - . | %s >%s/t", scratch, how[i],
                 scratch);
        if (system(command) != 0)
            continue;
        box_image *image = imports(path_of("t"), "t:1");
        if (!*first)
            snprintf(first, sizeof(first), "%s", box_image_layer_diff_id(image, 0));
        cr_assert_str_eq(box_image_layer_diff_id(image, 0), first, "%s", how[i]);
        box_image_free(image);
    }
    cr_assert_eq(layers_there(), 1u);
}

Test(import, a_tarball_from_a_pipe_is_spooled)
{
    char command[300];
    box_image *image = NULL;

    put_tree();
    snprintf(command, sizeof(command), "tar -C %s/tree -czf - .", scratch);
    FILE *pipe = popen(command, "r");
    cr_assert_eq(box_image_import_fd(store, fileno(pipe), NULL, &image, &err), 0, "%s",
                 box_error_message(err));
    pclose(pipe);
    cr_assert_null(box_image_names(image)[0]);
    box_image_free(image);
    cr_assert_eq(entries_in(path_of("root/tmp")), 0u);
}

Test(import, changes_set_the_config)
{
    static const char *const list[] = {
        "CMD [\"/bin/sh\", \"-l\"]",
        "ENTRYPOINT exec top -b",
        "ENV A=1 B=\"two words\" C=three\\ words",
        "ENV D the rest of it",
        "env A=again",
        "EXPOSE 80 53/udp 8000-8002",
        "HEALTHCHECK --interval=30s --retries=3 CMD curl -f http://localhost/",
        "LABEL k=v \"a b\"=\"c d\"",
        "ONBUILD RUN make",
        "STOPSIGNAL SIGQUIT",
        "USER app:staff",
        "VOLUME /data /log",
        "VOLUME [\"/more\"]",
        "WORKDIR /srv",
        "WORKDIR app",
        NULL,
    };

    put_tree();
    changes = list;
    box_image *image = imports(path_of("tree"), "tree:1");
    cr_assert_str_eq(box_image_cmd(image)[1], "-l");
    cr_assert_str_eq(box_image_entrypoint(image)[0], "/bin/sh");
    cr_assert_str_eq(box_image_entrypoint(image)[2], "exec top -b");
    cr_assert_str_eq(box_image_env(image)[0], "A=again");
    cr_assert_str_eq(box_image_env(image)[1], "B=two words");
    cr_assert_str_eq(box_image_env(image)[2], "C=three words");
    cr_assert_str_eq(box_image_env(image)[3], "D=the rest of it");
    cr_assert(box_strv_contains((char **)box_image_exposed_ports(image), "80/tcp"));
    cr_assert(box_strv_contains((char **)box_image_exposed_ports(image), "53/udp"));
    cr_assert(box_strv_contains((char **)box_image_exposed_ports(image), "8002/tcp"));
    cr_assert_not_null(strstr(box_image_healthcheck(image), "30000000000"), "%s",
                       box_image_healthcheck(image));
    cr_assert_not_null(strstr(box_image_healthcheck(image), "CMD-SHELL"));
    cr_assert_str_eq(box_image_label(image, "a b"), "c d");
    cr_assert_str_eq(box_image_onbuild(image)[0], "RUN make");
    cr_assert_str_eq(box_image_stop_signal(image), "SIGQUIT");
    cr_assert_str_eq(box_image_user(image), "app:staff");
    cr_assert_eq(box_strv_length((char **)box_image_volumes(image)), 3u);
    cr_assert_str_eq(box_image_workdir(image), "/srv/app");
    cr_assert_gt(box_image_created_time(image), 1600000000);
    box_image_free(image);
}

Test(import, a_change_that_is_none_is_refused_before_anything_is_read)
{
    static const char *const bad[] = {"RUN make",
                                      "",
                                      "CMDx y",
                                      "ENV",
                                      "ENV A",
                                      "ENV =x",
                                      "LABEL",
                                      "EXPOSE 0",
                                      "EXPOSE x",
                                      "EXPOSE 9-8",
                                      "EXPOSE 80/icmp",
                                      "EXPOSE 65536",
                                      "USER",
                                      "USER a b",
                                      "STOPSIGNAL",
                                      "WORKDIR",
                                      "VOLUME",
                                      "HEALTHCHECK",
                                      "HEALTHCHECK CMD",
                                      "HEALTHCHECK --x=1 CMD y",
                                      "HEALTHCHECK --interval=x CMD y",
                                      "ENV A=\"open",
                                      "ONBUILD"};

    put_tree();
    for (size_t i = 0; i < BOX_ARRAY(bad); i++) {
        const char *const list[] = {bad[i], NULL};
        box_image_options options = BOX_IMAGE_OPTIONS_INIT;
        options.changes = list;
        cr_assert_eq(box_image_import(store, path_of("tree"), &options, NULL, NULL), BOX_EPARSE, "\"%s\"",
                     bad[i]);
    }
    cr_assert_eq(layers_there(), 0u);
    cr_assert_eq(entries_in(path_of("root/tmp")), 0u);
}

Test(import, a_platform_can_be_given)
{
    box_image_options options = BOX_IMAGE_OPTIONS_INIT;
    box_image *image = NULL;

    put_tree();
    options.platform = "linux/arm/v7";
    cr_assert_eq(box_image_import(store, path_of("tree"), &options, &image, &err), 0);
    cr_assert_str_eq(box_image_architecture(image), "arm");
    cr_assert_str_eq(box_image_variant(image), "v7");
    box_image_free(image);
    options.platform = "windows/amd64";
    cr_assert_eq(box_image_import(store, path_of("tree"), &options, NULL, NULL), BOX_EUNSUPPORTED);
    options.platform = "linux/";
    cr_assert_eq(box_image_import(store, path_of("tree"), &options, NULL, NULL), BOX_EPARSE);
}

Test(import, a_name_that_would_be_a_whiteout_is_refused)
{
    put_tree();
    put_file("tree/etc/.wh.passwd", "");
    cr_assert_eq(box_image_import(store, path_of("tree"), NULL, NULL, &err), BOX_EUNSUPPORTED);
    cr_assert_str_eq(box_error_subject(err), "etc/.wh.passwd");
}

Test(import, what_is_no_tarball_says_so)
{
    put_file("text", "hello, this is not an archive\n");
    cr_assert_eq(box_image_import(store, path_of("text"), NULL, NULL, &err), BOX_EPARSE);
    cr_assert_eq(box_image_import(store, path_of("nothing"), NULL, NULL, NULL), BOX_ENOTFOUND);
    cr_assert_eq(layers_there(), 0u);
}

Test(import, another_file_system_in_the_tree_is_left_out)
{
    char command[200], **dirs = NULL;

    put_tree();
    put_dir("tree/mnt");
    snprintf(command, sizeof(command), "mount -t tmpfs none %s/tree/mnt 2>/dev/null", scratch);
    if (geteuid() != 0 || system(command) != 0)
        cr_skip_test("cannot mount a file system");
    put_file("tree/mnt/secret", "x");
    box_image_options options = BOX_IMAGE_OPTIONS_INIT;
    box_image *image = NULL;
    int r = box_image_import(store, path_of("tree"), &options, &image, &err);
    snprintf(command, sizeof(command), "umount %s/tree/mnt", scratch);
    cr_assert_eq(system(command), 0);
    cr_assert_eq(r, 0, "%s", box_error_message(err));
    cr_assert_eq(box_image_layer_dirs(image, &dirs, NULL), 0);
    snprintf(command, sizeof(command), "%s/mnt", dirs[0]);
    cr_assert_eq(entries_in(command), 0u);
    box_strings_free(dirs);
    box_image_free(image);
}
