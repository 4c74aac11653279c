/* What tests of images that are pulled late share. The machine goes down by another boot id: what is written under one is not
 * believed under the next. */
#ifndef TEST_IMAGE_LATE_H
#define TEST_IMAGE_LATE_H

#include "image/store_late.h"

#include "pulled.h"

__attribute__((unused)) static void late_init(void)
{
    pull_init();
    options.late = true;
}

__attribute__((unused)) static bool there(const char *path)
{
    return faccessat(scratch_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

__attribute__((unused)) static void pulls_late(const char *name)
{
    cr_assert_eq(pull_as(name, &err), 0, "%s", box_error_message(err));
    cr_assert(image_is_there(name));
    cr_assert(there("root/images.late"));
}

/* What is pulled from now on is of a boot that is over when the store is opened again. */
__attribute__((unused)) static void before_the_boot(void)
{
    snprintf(store->boot, sizeof(store->boot), "00000000-aaaa-bbbb-cccc-000000000000");
}

__attribute__((unused)) static void boots(void)
{
    box_store_free(store);
    store = NULL;
    cr_assert_eq(box_store_open(root, runroot, 0, &store, &err), 0, "%s", box_error_message(err));
}

__attribute__((unused)) static void is_sound(void)
{
    cr_assert_eq(box_store_verify(store, NULL, NULL, &err), 0, "%s", box_error_message(err));
    cr_assert_eq(entries_in(path_of("root/tmp")), 0u);
    cr_assert_eq(entries_in(path_of("root/blobs/partial")), 0u);
}

__attribute__((unused)) static void is_settled(void)
{
    cr_assert(!there("root/images.late"));
    cr_assert(there("root/images.json"));
    is_sound();
}

/* The only entry of a directory that begins so, below the scratch directory. */
__attribute__((unused)) static const char *entry_of(const char *dir, const char *prefix)
{
    static char path[400];
    DIR *d = opendir(path_of(dir));

    cr_assert_not_null(d);
    path[0] = '\0';
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        if (strncmp(e->d_name, prefix, strlen(prefix)) == 0 && e->d_name[0] != '.')
            snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
    closedir(d);
    cr_assert_neq(path[0], '\0', "nothing in %s begins with %s", dir, prefix);
    return path;
}

__attribute__((unused)) static void empty_file(const char *path)
{
    int fd = openat(scratch_fd, path, O_WRONLY | O_TRUNC | O_CLOEXEC);

    cr_assert_geq(fd, 0, "open %s", path);
    close(fd);
}

#endif
