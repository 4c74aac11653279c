/* A tree of links and a path, both from the input, resolved by openat2 and by the walk: the answers must be
 * the same object or the same error, and never anything outside the root.
 *
 * Input: a byte of flags; then NUL-separated texts: the path, and the targets of the links l0, l1, ... that
 * lie in the root, in a and in a/b by turns. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/resolve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const places[] = {"", "a/", "a/b/"};
enum { LINKS = 9 };
static int outside = -1, root = -1;

static void clean_up(void)
{
    char path[64];

    snprintf(path, sizeof(path), "/tmp/libbox-fuzz-%d", getpid());
    unlinkat(outside, "secret", 0);
    unlinkat(root, "a/b/f", 0);
    unlinkat(root, "f", 0);
    unlinkat(root, "a/b", AT_REMOVEDIR);
    unlinkat(root, "a", AT_REMOVEDIR);
    unlinkat(outside, "root", AT_REMOVEDIR);
    rmdir(path);
}

static void set_up(void)
{
    char path[64];

    snprintf(path, sizeof(path), "/tmp/libbox-fuzz-%d", getpid());
    mkdir(path, 0700);
    outside = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    mkdirat(outside, "root", 0700);
    close(openat(outside, "secret", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    root = openat(outside, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    mkdirat(root, "a", 0700);
    mkdirat(root, "a/b", 0700);
    close(openat(root, "f", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    close(openat(root, "a/b/f", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    if (root < 0)
        abort();
    atexit(clean_up);
}

static void name_of(int i, char name[16])
{
    snprintf(name, 16, "%sl%d", places[i % 3], i);
}

static void compare(const char *path, int open_flags, unsigned flags)
{
    struct stat one, other, secret, above;
    int kernel = box_resolve(root, path, open_flags, flags);
    int walk = box_resolve(root, path, open_flags, flags | BOX_RESOLVE_WALK);

    if ((kernel < 0 || walk < 0) && kernel != walk && walk != -ENAMETOOLONG) {
        fprintf(stderr, "\"%s\": openat2 %d, walk %d\n", path, kernel, walk);
        abort();
    }
    if (kernel >= 0 && walk >= 0) {
        fstat(kernel, &one);
        fstat(walk, &other);
        fstatat(outside, "secret", &secret, 0);
        fstat(outside, &above);
        if (one.st_ino != other.st_ino || one.st_ino == secret.st_ino || one.st_ino == above.st_ino)
            abort();
    }
    if (kernel >= 0)
        close(kernel);
    if (walk >= 0)
        close(walk);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int open_flags[] = {O_PATH,   O_PATH | O_NOFOLLOW,   O_PATH | O_DIRECTORY,
                                     O_RDONLY, O_RDONLY | O_NOFOLLOW, O_RDONLY | O_NOFOLLOW | O_DIRECTORY};
    char path[4200], name[16];
    int links = 0;

    if (root < 0)
        set_up();
    if (size < 2 || size > sizeof(path) - 1)
        return 0;
    const char *at = (const char *)data + 1, *end = (const char *)data + size;
    size_t n = strnlen(at, (size_t)(end - at));
    memcpy(path, at, n);
    path[n] = '\0';
    for (at += n + 1; at < end && links < LINKS; links++, at += n + 1) {
        char target[4200];
        n = strnlen(at, (size_t)(end - at));
        memcpy(target, at, n);
        target[n] = '\0';
        name_of(links, name);
        symlinkat(target, root, name);
    }
    compare(path, open_flags[data[0] % 6], data[0] / 6 % 8);
    while (links > 0) {
        name_of(--links, name);
        unlinkat(root, name, 0);
    }
    return 0;
}
