/* What a Landlock ruleset holds, for those who save it (the spec) or carry it over (the plan). Public face:
 * libbox/landlock.h. */
#ifndef BOX_KERNEL_LANDLOCK_RULES_H
#define BOX_KERNEL_LANDLOCK_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libbox/landlock.h>

#include "base/fail.h"

struct box_landlock_path_rule {
    char *path; /* NULL: fd */
    int fd;     /* -1: path */
    unsigned flags;
    uint64_t access;
};

struct box_landlock_port_rule {
    uint16_t port;
    uint64_t access;
};

struct box_landlock {
    uint64_t fs; /* what is handled */
    uint64_t net;
    uint64_t scope;
    uint32_t log;
    bool best_effort;
    struct box_landlock_path_rule *paths;
    size_t n_paths;
    struct box_landlock_port_rule *ports;
    size_t n_ports;
};

/* The kernel's words for one bit, as its documentation has them: "execute", "bind_tcp",
 * "abstract_unix_socket", "log_same_exec_off"; NULL for a bit that is none. Static. And back: 0 for a name
 * that is none. */
enum box_landlock_kind {
    BOX_LANDLOCK_KIND_FS,
    BOX_LANDLOCK_KIND_NET,
    BOX_LANDLOCK_KIND_SCOPE,
    BOX_LANDLOCK_KIND_LOG
};
const char *box_landlock_bit_name(enum box_landlock_kind kind, uint64_t bit);
uint64_t box_landlock_bit_number(enum box_landlock_kind kind, const char *name);

BOX_CLEANUP(box_landlock, box_landlock_free);

#endif
