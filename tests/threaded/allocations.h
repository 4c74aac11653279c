/* The allocator of a test program: counts what is allocated, and fails on demand. Everything in the process
 * goes through it, the libraries that libbox uses too. Under a sanitizer, which has an allocator of its own,
 * and on other libcs, nothing is counted and nothing fails: see HAVE_ALLOCATIONS. To be included once in a
 * program. */
#ifndef TESTS_ALLOCATIONS_H
#define TESTS_ALLOCATIONS_H

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__GLIBC__) && !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
#define HAVE_ALLOCATIONS 1

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void __libc_free(void *);

static atomic_long live_bytes, live_blocks;
static _Thread_local long fail_at; /* the allocation of this thread that fails, from 1; 0: none */
static _Thread_local long allocations;

/* json-c's parser does not look at what it is given for the key of an object, and crashes: json-c is spared. So are the
 * libraries that are opened at run time: how they bear it is their own business. */
static int is_spared(void *caller)
{
    static const char *const names[] = {"libjson-c", "libarchive", "libcrypto", "libz.", "libzstd", "liblzma", "libisal", "ld-linux"};
    Dl_info info;

    if (!dladdr(caller, &info) || !info.dli_fname)
        return 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strstr(info.dli_fname, names[i]))
            return 1;
    return 0;
}

static int refused(void *caller)
{
    if (!fail_at || is_spared(caller))
        return 0;
    if (++allocations != fail_at)
        return 0;
    errno = ENOMEM;
    return 1;
}

static void *counted(void *p)
{
    if (p) {
        atomic_fetch_add(&live_bytes, (long)malloc_usable_size(p));
        atomic_fetch_add(&live_blocks, 1);
    }
    return p;
}

static void uncounted(void *p)
{
    if (p) {
        atomic_fetch_sub(&live_bytes, (long)malloc_usable_size(p));
        atomic_fetch_sub(&live_blocks, 1);
    }
}

void *malloc(size_t n)
{
    return refused(__builtin_return_address(0)) ? NULL : counted(__libc_malloc(n));
}

void *calloc(size_t n, size_t size)
{
    return refused(__builtin_return_address(0)) ? NULL : counted(__libc_calloc(n, size));
}

void *realloc(void *p, size_t n)
{
    if (refused(__builtin_return_address(0)))
        return NULL;
    size_t before = p ? malloc_usable_size(p) : 0;
    void *q = __libc_realloc(p, n);
    if (q || (p && n == 0)) {
        atomic_fetch_sub(&live_bytes, (long)before);
        atomic_fetch_sub(&live_blocks, p != NULL);
        counted(q);
    }
    return q;
}

void *memalign(size_t align, size_t n)
{
    return refused(__builtin_return_address(0)) ? NULL : counted(__libc_memalign(align, n));
}

void *aligned_alloc(size_t align, size_t n)
{
    return memalign(align, n);
}

int posix_memalign(void **p, size_t align, size_t n)
{
    *p = memalign(align, n);
    return *p ? 0 : ENOMEM;
}

char *strdup(const char *s)
{
    size_t n = strlen(s) + 1;
    char *p = refused(__builtin_return_address(0)) ? NULL : counted(__libc_malloc(n));

    return p ? memcpy(p, s, n) : NULL;
}

void free(void *p)
{
    int saved = errno;

    uncounted(p);
    __libc_free(p);
    errno = saved;
}

#else
#define HAVE_ALLOCATIONS 0
static long live_bytes, live_blocks;
static long fail_at __attribute__((unused)), allocations __attribute__((unused));
#endif
#endif
