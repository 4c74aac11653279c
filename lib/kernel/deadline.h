/* Timeouts in milliseconds as people give them (-1: none), kept as a point in time so that an interrupted
 * wait goes on for what is left of it and no longer. */
#ifndef BOX_KERNEL_DEADLINE_H
#define BOX_KERNEL_DEADLINE_H

#include <limits.h>
#include <stdint.h>
#include <time.h>

struct box_deadline {
    int64_t at_ns; /* CLOCK_MONOTONIC; negative: never */
};

static inline int64_t box_deadline_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline struct box_deadline box_deadline_in(int timeout_ms)
{
    if (timeout_ms < 0)
        return (struct box_deadline){-1};
    return (struct box_deadline){box_deadline_now_ns() + (int64_t)timeout_ms * 1000000};
}

/* What is left, for poll(2): -1 for no limit, 0 when the time is up, rounded up otherwise. */
static inline int box_deadline_left_ms(struct box_deadline deadline)
{
    if (deadline.at_ns < 0)
        return -1;
    int64_t left = deadline.at_ns - box_deadline_now_ns();
    if (left <= 0)
        return 0;
    left = (left + 999999) / 1000000;
    return left > INT_MAX ? INT_MAX : (int)left;
}

#endif
