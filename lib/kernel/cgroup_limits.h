/* The inside of box_limits, for the code that turns OCI's `linux.resources` into it and back, and for the
 * code that applies it. Whoever writes the arrays directly keeps to their rules: the strings are owned
 * (malloc) and never NULL. */
#ifndef BOX_KERNEL_CGROUP_LIMITS_H
#define BOX_KERNEL_CGROUP_LIMITS_H

#include <stdbool.h>

#include <libbox/cgroup.h>
#include "base/cleanup.h"

struct box_limits {
    uint64_t set; /* bit N: value[N] is set. Limits marked [v2] are never here but in `raw`. */
    int64_t value[BOX_LIMIT_COUNT]; /* by enum box_limit */
    char *cpus, *mems;              /* NULL: unset */

    struct box_device_rule *devices;
    size_t device_count;
    struct box_io_rate *io_rates;
    size_t io_rate_count;
    struct box_io_weight *io_weights;
    size_t io_weight_count;
    struct box_hugetlb_limit *hugetlb;
    size_t hugetlb_count;
    struct box_rdma_limit *rdma;
    size_t rdma_count;
    struct box_net_priority *net_priorities;
    size_t net_priority_count;
    struct box_raw_limit *raw; /* OCI's unified map */
    size_t raw_count;
};

/* What the program knows about each number: one table, in the order of enum box_limit. */
struct box_limit_info {
    const char *field;   /* as errors name it: "linux.resources.memory.limit" */
    const char *raw;     /* the v2 file that it is kept as, for those marked [v2]; otherwise NULL */
    unsigned controller; /* BOX_CONTROLLER_*; 0: nothing is applied for it */
    int64_t min, max;
    bool unlimited;  /* negative is allowed, and means no limit */
    bool zero_unset; /* 0 is allowed, and means the same as unset: what engines write for "not given" */
};
extern const struct box_limit_info box_limit_table[BOX_LIMIT_COUNT];

/* Like box_limits_get(), but a zero that means "not given" counts as unset. */
bool box_limits_wants(const box_limits *limits, enum box_limit limit, int64_t *value);

/* The controller that a v2 file belongs to ("memory.high"); 0 for the files of the hierarchy itself. */
unsigned box_controller_of_file(const char *file);

/* The controllers that these limits need, as a mask. */
unsigned box_limits_controllers(const box_limits *limits);
/* Checks what can be checked without a host: ranges are right already, contradictions between fields are
 * found here. BOX_ESPEC. */
int box_limits_check(const box_limits *limits, box_error **err);

BOX_CLEANUP(box_limits, box_limits_free);

#endif
