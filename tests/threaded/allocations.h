/* The allocator of a test program: counts what is allocated, and fails on demand. Everything in the process
 * goes through it, the libraries that libbox uses too. Under a sanitizer, which has an allocator of its own,
 * and on other libcs, nothing is counted and nothing fails: see HAVE_ALLOCATIONS. To be included once in a
 * program. */
#ifndef TESTS_ALLOCATIONS_H
#define TESTS_ALLOCATIONS_H

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

static int refused(void)
{
    if (!fail_at)
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
    return refused() ? NULL : counted(__libc_malloc(n));
}

void *calloc(size_t n, size_t size)
{
    return refused() ? NULL : counted(__libc_calloc(n, size));
}

void *realloc(void *p, size_t n)
{
    if (refused())
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
    return refused() ? NULL : counted(__libc_memalign(align, n));
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
