/* A directory for one test, gone when it ends: Criterion runs each test in a process of its own, so a static
 * is fine. */
#ifndef TEST_BASE_SCRATCH_H
#define TEST_BASE_SCRATCH_H

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch[64];
static int scratch_fd = -1;

static inline void scratch_make(void)
{
    /* In memory where that can be had: making a file on a disk takes a hundred times as long. */
    const char *in = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

    snprintf(scratch, sizeof(scratch), "%s/libbox-test-XXXXXX", in);
    cr_assert_not_null(mkdtemp(scratch));
    scratch_fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_geq(scratch_fd, 0);
}

static inline int scratch_unlink_(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)at;
    return type == FTW_DP ? rmdir(path) : unlink(path);
}

static inline void scratch_remove(void)
{
    nftw(scratch, scratch_unlink_, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    close(scratch_fd);
}

static inline void put_dir(const char *path)
{
    cr_assert_eq(mkdirat(scratch_fd, path, 0755), 0, "mkdir %s", path);
}

static inline void put_file(const char *path, const char *content)
{
    int fd = openat(scratch_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    cr_assert_geq(fd, 0, "create %s", path);
    cr_assert_eq(write(fd, content, strlen(content)), (ssize_t)strlen(content));
    close(fd);
}

static inline void put_link(const char *path, const char *target)
{
    cr_assert_eq(symlinkat(target, scratch_fd, path), 0, "symlink %s", path);
}

static inline int is_there(const char *path)
{
    struct stat st;

    return fstatat(scratch_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Reads a small file below the scratch directory into a static buffer. */
static inline const char *content_of(const char *path)
{
    static char buffer[4096];
    int fd = openat(scratch_fd, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, buffer, sizeof(buffer) - 1) : -1;

    if (fd >= 0)
        close(fd);
    buffer[n > 0 ? n : 0] = '\0';
    return n >= 0 ? buffer : "(cannot be read)";
}

static inline unsigned entries_in(const char *path)
{
    DIR *d = opendir(path);
    unsigned n = 0;

    cr_assert_not_null(d, "opendir %s", path);
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return n;
}

static inline unsigned open_fds(void)
{
    return entries_in("/proc/self/fd");
}

#endif
