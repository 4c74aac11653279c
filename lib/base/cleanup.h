/* Cleanup attributes: a local that frees itself, so that a function has one exit and no ladder of gotos.
 *
 *     _close_ int fd = open(...);              closed on every path out, errno kept
 *     _free_ char *s = strdup(...);            freed
 *     return box_take_fd(&fd);                 handed to the caller: the local no longer owns it
 */
#ifndef BOX_BASE_CLEANUP_H
#define BOX_BASE_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void box_cleanup_close(int *fd)
{
    if (*fd >= 0) {
        int saved = errno;
        close(*fd);
        errno = saved;
    }
}

static inline void box_cleanup_free(void *p)
{
    int saved = errno;
    free(*(void **)p);
    errno = saved;
}

static inline void box_cleanup_dir(DIR **d)
{
    if (*d)
        closedir(*d);
}

static inline void box_cleanup_file(FILE **f)
{
    if (*f)
        fclose(*f);
}

static inline int box_take_fd(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

static inline void *box_take_ptr_(void *p)
{
    void *taken = *(void **)p;
    *(void **)p = NULL;
    return taken;
}

#define _close_      __attribute__((cleanup(box_cleanup_close)))
#define _free_       __attribute__((cleanup(box_cleanup_free)))
#define _closedir_   __attribute__((cleanup(box_cleanup_dir)))
#define _fclose_     __attribute__((cleanup(box_cleanup_file)))
#define box_take(p)  ((__typeof__(p))box_take_ptr_(&(p)))
#define BOX_ARRAY(a) (sizeof(a) / sizeof((a)[0]))

/* A cleanup function for an object with a `NAME_free(T *)`: BOX_CLEANUP(box_spec, box_spec_free) then
 * `_cleanup_(box_spec) box_spec *s = NULL;` */
#define BOX_CLEANUP(type, func)                                                                                        \
    static inline void box_cleanup_##type(type **p)                                                                    \
    {                                                                                                                  \
        if (*p)                                                                                                        \
            func(*p);                                                                                                  \
    }                                                                                                                  \
    typedef int box_cleanup_##type##_swallow_semicolon
#define _cleanup_(type) __attribute__((cleanup(box_cleanup_##type)))

#endif
