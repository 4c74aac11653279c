/* The insides of a policy, and the pieces that the seccomp files share. Order of work: policy
 * (seccomp_policy.c, seccomp_preset.c, seccomp_oci.c, seccomp_docker.c), compile (seccomp_compile.c), filter
 * (seccomp_filter.c), supervisor (seccomp_notify.c). The spec's OCI reader and writer use the two functions
 * on JSON objects. */
#ifndef BOX_KERNEL_SECCOMP_POLICY_H
#define BOX_KERNEL_SECCOMP_POLICY_H

#include <libbox/seccomp.h>
#include "base/cleanup.h"

enum {
    BOX_SECCOMP_MAX_ARGS = 16, /* argument tests of a rule */
    BOX_SECCOMP_MAX_RULES = 4096,
    BOX_SECCOMP_MAX_NAMES = 4096, /* names of a rule */
    BOX_SECCOMP_MAX_NAME = 128,   /* bytes of a name */
    BOX_SECCOMP_MAX_ERRNO = 4095, /* the kernel's MAX_ERRNO */
    BOX_SECCOMP_MAX_TRACE = 65535,
};

struct box_seccomp_verdict {
    uint32_t action; /* enum box_seccomp_action */
    uint32_t value;  /* errno or trace number */
    bool has_value;  /* OCI's errnoRet was given */
    bool plain_kill; /* OCI spelled it SCMP_ACT_KILL */
};

struct box_seccomp_test {
    struct box_seccomp_arg arg;
    bool has_value_two; /* OCI's valueTwo was given */
    char *extra;        /* as below */
};

/* `extra` holds the members that this version does not know, as the text of a JSON object, or NULL: text and
 * not json-c objects, so that a policy can be copied and handed to another thread. */
struct box_seccomp_rule {
    char **names; /* NULL at the end */
    size_t n_names;
    struct box_seccomp_verdict verdict;
    struct box_seccomp_test *tests;
    size_t n_tests;
    bool has_tests; /* OCI's args was given, perhaps empty */
    char *extra;
};

/* Which list of the library's a policy is, unchanged: its program was compiled with the library. */
enum box_seccomp_preset {
    BOX_PRESET_NONE,
    BOX_PRESET_DEFAULT,
    BOX_PRESET_STRICT,
};

struct box_seccomp {
    struct box_seccomp_verdict fallback; /* the default action */
    char **arches;                       /* OCI names, NULL at the end; without duplicates */
    size_t n_arches;
    struct box_seccomp_rule *rules;
    size_t n_rules, rules_room;
    unsigned flags;
    bool has_flags;  /* OCI's flags was given, perhaps empty */
    bool has_rules;  /* OCI's syscalls was given, perhaps empty */
    bool has_arches; /* OCI's architectures was given, perhaps empty */
    bool keep_newer; /* calls newer than the policy get the default action, not ENOSYS */
    bool report_kills;
    char *listener_path;
    char *listener_metadata;
    char *extra;
    enum box_seccomp_preset preset;
    uint64_t preset_caps;
};

/* OCI linux.seccomp from and to a json-c object; `where` prefixes the field in errors ("linux.seccomp"), may
 * be "". The reader keeps no reference to obj; the writer's object is the caller's (json_object_put). NULL on
 * failure. */
struct json_object;
box_seccomp *box_seccomp_from_json(struct json_object *obj, const char *where, box_error **err);
struct json_object *box_seccomp_to_json(const box_seccomp *policy, box_error **err);

/* A policy with nothing in it, not even an architecture. */
box_seccomp *box_seccomp_new_empty(box_error **err);
/* Whether an action takes this value. */
int box_seccomp_check_verdict(int action, unsigned value, box_error **err);
/* Appends a rule whose names, tests and extra the policy takes over; on failure the rule stays the caller's.
 */
int box_seccomp_take_rule(box_seccomp *policy, struct box_seccomp_rule *rule, box_error **err);
void box_seccomp_rule_clear(struct box_seccomp_rule *rule);
/* Appends a copy of a name; BOX_EINVAL, BOX_ELIMIT or BOX_ENOMEM. */
int box_seccomp_rule_add_name(struct box_seccomp_rule *rule, const char *name, box_error **err);

BOX_CLEANUP(box_seccomp, box_seccomp_free);

#endif
