/* A user's text looked up in passwd and group files, all three from the input, as an image brings them along: what is
 * found lies within its bounds, a number stays itself, and a name is a line's own.
 *
 * Input: three texts with a NUL after the first two: the user, /etc/passwd, /etc/group. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "spec/users.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[64];
static int root = -1;

/* Told by the fuzzer as a crash. */
static void must(bool holds)
{
    if (!holds)
        abort();
}

static void clean_up(void)
{
    box_remove_tree(AT_FDCWD, path, NULL);
}

static void set_up(void)
{
    snprintf(path, sizeof(path), "/tmp/libbox-fuzz-users-%d", getpid());
    must(mkdir(path, 0700) == 0);
    root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(root >= 0 && mkdirat(root, "etc", 0700) == 0);
    atexit(clean_up);
}

static void write_file(const char *name, const uint8_t *data, size_t size)
{
    _close_ int fd = openat(root, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    must(fd >= 0 && write(fd, data, size) == (ssize_t)size);
}

/* "12", "12:13": numbers that the files cannot give another meaning. */
static bool all_digits(const char *text)
{
    return *text && !text[strspn(text, "0123456789")];
}

static void look_up(const char *user, const uint8_t *passwd, size_t n)
{
    struct box_users_found found = {0};
    box_error *err = NULL;
    uint32_t gid;
    int r = box_users_lookup(root, user, &found, &err);

    must((r < 0) == (err != NULL));
    if (r == 0) {
        must(found.uid != UINT32_MAX && found.gid != UINT32_MAX && found.n_groups <= BOX_USERS_GROUPS_MAX);
        must(found.home && found.home[0] == '/' && found.shell);
        for (size_t i = 0; i < found.n_groups; i++)
            must(found.groups[i] != UINT32_MAX && found.groups[i] != found.gid && (!i || found.groups[i - 1] < found.groups[i]));
        must(!all_digits(user) || found.uid == strtoul(user, NULL, 10));
        must(!found.name || memmem(passwd, n, found.name, strlen(found.name)));
    }
    box_users_found_clear(&found);
    box_error_free(err);
    err = NULL;
    r = box_users_group(root, user, &gid, &err);
    must((r < 0) == (err != NULL));
    must(r < 0 || gid != UINT32_MAX);
    box_error_free(err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *passwd = memchr(data, 0, size), *end = data + size;
    const uint8_t *group = passwd ? memchr(passwd + 1, 0, (size_t)(end - passwd - 1)) : NULL;

    if (!group)
        return 0;
    if (root < 0)
        set_up();
    passwd++;
    write_file("etc/passwd", passwd, (size_t)(group - passwd));
    write_file("etc/group", group + 1, (size_t)(end - group - 1));
    look_up((const char *)data, passwd, (size_t)(group - passwd));
    return 0;
}
