/* Monotonic time and deadlines. A deadline is a moment, not a length, so it can be handed down through calls
 * and used again after an interruption without growing. CLOCK_MONOTONIC: setting the wall clock changes
 * nothing. */
#ifndef BOX_BASE_CLOCK_H
#define BOX_BASE_CLOCK_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define BOX_MS 1000000ll
#define BOX_S  1000000000ll

struct box_deadline {
    int64_t at; /* nanoseconds of CLOCK_MONOTONIC; INT64_MAX: never */
};

#define BOX_NEVER ((struct box_deadline){INT64_MAX})

static inline int64_t box_clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * BOX_S + now.tv_nsec;
}

/* So many nanoseconds from now; a negative length means never. */
static inline struct box_deadline box_deadline_in_ns(int64_t ns)
{
    struct box_deadline d = BOX_NEVER;
    int64_t now = box_clock_ns();

    if (ns >= 0 && ns < INT64_MAX - now)
        d.at = now + ns;
    return d;
}

/* So many milliseconds from now; a negative length means never (as poll(2) has it). */
static inline struct box_deadline box_deadline_in_ms(int64_t ms)
{
    return box_deadline_in_ns(ms > INT64_MAX / BOX_MS ? -1 : ms * BOX_MS);
}

static inline bool box_deadline_is_never(struct box_deadline d)
{
    return d.at == INT64_MAX;
}

/* Nanoseconds left: 0 when it has passed, INT64_MAX for never. */
static inline int64_t box_deadline_left_ns(struct box_deadline d)
{
    int64_t now;

    if (box_deadline_is_never(d))
        return INT64_MAX;
    now = box_clock_ns();
    return d.at > now ? d.at - now : 0;
}

static inline bool box_deadline_passed(struct box_deadline d)
{
    return box_deadline_left_ns(d) == 0;
}

/* A timeout for poll(2) and epoll_wait(2): -1 for never, rounded up so that a wait does not end before the
 * deadline. */
static inline int box_deadline_left_ms(struct box_deadline d)
{
    int64_t left = box_deadline_left_ns(d);

    if (left == INT64_MAX)
        return -1;
    left = left / BOX_MS + (left % BOX_MS != 0);
    return left > INT_MAX ? INT_MAX : (int)left;
}

/* A timeout for ppoll(2): NULL for never, otherwise *room filled in. */
static inline struct timespec *box_deadline_left_timespec(struct box_deadline d, struct timespec *room)
{
    int64_t left = box_deadline_left_ns(d);

    if (left == INT64_MAX)
        return (struct timespec *)0;
    room->tv_sec = (time_t)(left / BOX_S);
    room->tv_nsec = (long)(left % BOX_S);
    return room;
}

static inline struct box_deadline box_deadline_sooner(struct box_deadline a, struct box_deadline b)
{
    return a.at < b.at ? a : b;
}

/* Sleeps so many nanoseconds, but not past the deadline; a signal may end the sleep early. */
static inline void box_deadline_sleep(struct box_deadline d, int64_t ns)
{
    struct timespec length;

    box_deadline_left_timespec(box_deadline_sooner(d, box_deadline_in_ns(ns)), &length);
    clock_nanosleep(CLOCK_MONOTONIC, 0, &length, (struct timespec *)0);
}

#endif
