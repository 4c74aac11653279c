/* What a program without libc must bring along, and the messages to the host. */
#include "launch/stage/stage.h"

#include <asm/errno.h>
#include <linux/close_range.h>
#include <linux/fcntl.h>
#include <linux/prctl.h>

/* The compiler may call these by name, whatever the flags. */
void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
void *memmove(void *to, const void *from, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);

__attribute__((used)) void *memcpy(void *to, const void *from, size_t n)
{
    char *t = to;
    const char *f = from;

    while (n--)
        *t++ = *f++;
    return to;
}

__attribute__((used)) void *memset(void *to, int c, size_t n)
{
    char *t = to;

    while (n--)
        *t++ = (char)c;
    return to;
}

__attribute__((used)) void *memmove(void *to, const void *from, size_t n)
{
    char *t = to;
    const char *f = from;

    if (t < f)
        return memcpy(to, from, n);
    while (n--)
        t[n] = f[n];
    return to;
}

__attribute__((used)) int memcmp(const void *a, const void *b, size_t n)
{
    const unsigned char *x = a, *y = b;

    for (; n--; x++, y++)
        if (*x != *y)
            return *x - *y;
    return 0;
}

size_t stage_strlen(const char *s)
{
    size_t n = 0;

    while (s[n])
        n++;
    return n;
}

__attribute__((used)) size_t strlen(const char *s)
{
    return stage_strlen(s);
}

/* Appends as much as fits; the result always ends in NUL. */
void stage_append(char *buffer, size_t size, const char *s)
{
    size_t at = stage_strlen(buffer);

    while (*s && at + 1 < size)
        buffer[at++] = *s++;
    buffer[at] = 0;
}

void stage_append_number(char *buffer, size_t size, long n)
{
    char digits[24];
    size_t at = sizeof(digits) - 1;
    unsigned long u = n < 0 ? 0ul - (unsigned long)n : (unsigned long)n;

    digits[at] = 0;
    do {
        digits[--at] = (char)('0' + u % 10);
        u /= 10;
    } while (u);
    if (n < 0)
        digits[--at] = '-';
    stage_append(buffer, size, digits + at);
}

const char *stage_string(const struct stage *s, uint32_t offset)
{
    return offset ? (const char *)s->plan + offset : NULL;
}

int stage_set_slot(struct stage *s, int slot, int fd)
{
    if (slot <= 0 || slot >= PLAN_SLOTS) {
        s->call = "slot";
        return -EBADF;
    }
    s->slots[slot] = fd + 1;
    if (slot >= SLOT_EXTRA && slot - SLOT_EXTRA >= s->n_extra)
        s->n_extra = slot - SLOT_EXTRA + 1;
    else if (slot < SLOT_EXTRA && slot >= s->n_slots)
        s->n_slots = slot + 1;
    return 0;
}

int stage_slot(const struct stage *s, int slot)
{
    return slot > 0 && (slot < s->n_slots || (slot >= SLOT_EXTRA && slot - SLOT_EXTRA < s->n_extra)) ? s->slots[slot] - 1 : -1;
}

/* A slot whose descriptor is closed is empty: its number may be another descriptor's by the time the slots are gone
 * through again. */
void stage_close_slot(struct stage *s, int slot)
{
    if (stage_slot(s, slot) < 0)
        return;
    box_sys(close, stage_slot(s, slot));
    s->slots[slot] = 0;
}

struct stage_iovec {
    const void *base;
    size_t length;
};

struct stage_msghdr {
    void *name;
    uint32_t name_length;
    struct stage_iovec *iov;
    size_t iov_length;
    void *control;
    size_t control_length;
    uint32_t flags;
};

struct stage_cmsg {
    size_t length;
    int32_t level, type;
    int32_t fd, pad;
};

/* A plain write when nothing is attached: the one call that every seccomp filter lets through. */
int stage_send(struct stage *s, struct stage_message *m, int fd)
{
    if (s->socket < 0) /* after HOLD */
        return 0;
    if (fd < 0)
        return (int)box_sys(write, s->socket, m, sizeof(*m));
    struct stage_iovec iov = {m, sizeof(*m)};
    struct stage_cmsg cmsg = {sizeof(size_t) + 3 * sizeof(int32_t), 1 /* SOL_SOCKET */, 1 /* SCM_RIGHTS */, fd, 0};
    struct stage_msghdr header = {NULL, 0, &iov, 1, &cmsg, sizeof(cmsg), 0};

    return (int)STAGE_TRY(s, sendmsg, s->socket, &header, 0x4000 /* MSG_NOSIGNAL */);
}

void stage_exit(int code)
{
    for (;;)
        box_sys(exit_group, code);
}

static void sort3(int *a, int *b, int *c)
{
    int t;

    if (*a > *b)
        t = *a, *a = *b, *b = t;
    if (*b > *c)
        t = *b, *b = *c, *c = t;
    if (*a > *b)
        t = *a, *a = *b, *b = t;
}

/* Closes every descriptor but three (-1: none). */
void stage_close_others(int keep, int keep2, int keep3)
{
    int from = 0;
    int keeps[3] = {keep, keep2, keep3};

    sort3(&keeps[0], &keeps[1], &keeps[2]);
    for (int i = 0; i < 3; i++) {
        if (keeps[i] < 0)
            continue;
        if (keeps[i] > from)
            box_sys(close_range, from, keeps[i] - 1, 0);
        from = keeps[i] + 1;
    }
    box_sys(close_range, from, ~0u, 0);
}

/* One write of a whole text into a file of /proc or the like, beneath an open directory and by no link. */
int stage_write_text(struct stage *s, int dir, const char *path, const char *text)
{
    s->subject = path;
    long fd = STAGE_TRY(s, openat, dir, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    long n = box_sys(write, fd, text, stage_strlen(text));
    box_sys(close, fd);
    s->call = "write";
    return n < 0 ? (int)n : 0;
}

void stage_name(const char *name)
{
    box_sys(prctl, PR_SET_NAME, name, 0, 0, 0);
}
