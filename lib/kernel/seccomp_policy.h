/* The insides of a policy, which the spec's OCI reader and writer use besides the public calls, and the
 * pieces that the seccomp files share. Order of work: policy (seccomp_policy.c, seccomp_preset.c,
 * seccomp_oci.c, seccomp_docker.c), compile (seccomp_compile.c), filter (seccomp_filter.c), supervisor
 * (seccomp_notify.c). */
#ifndef BOX_KERNEL_SECCOMP_POLICY_H
#define BOX_KERNEL_SECCOMP_POLICY_H

#include <json-c/json.h>
#include <linux/filter.h>

#include <libbox/seccomp.h>
#include "base/cleanup.h"

enum {
    BOX_SECCOMP_MAX_ARGS = 16, /* argument tests of a rule */
    BOX_SECCOMP_MAX_RULES = 4096,
    BOX_SECCOMP_MAX_NAMES = 4096, /* names of a rule */
};

struct box_seccomp_verdict {
    uint32_t action; /* enum box_seccomp_action */
    uint32_t value;  /* errno or trace number */
    bool has_value;  /* OCI's errnoRet was given */
    bool plain_kill; /* OCI spelled it SCMP_ACT_KILL */
};

struct box_seccomp_rule {
    char **names; /* NULL at the end */
    size_t n_names;
    struct box_seccomp_verdict verdict;
    struct box_seccomp_arg *args;
    size_t n_args;
    json_object *
        *arg_extra;     /* NULL, or one for each argument: members that OCI does not have (may be NULL) */
    json_object *extra; /* members of the rule that OCI does not have, or NULL */
};

struct box_seccomp {
    struct box_seccomp_verdict fallback; /* the default action */
    char **arches;                       /* OCI names, NULL at the end; without duplicates */
    size_t n_arches;
    struct box_seccomp_rule *rules;
    size_t n_rules, rules_room;
    unsigned flags;
    bool has_flags;  /* OCI's flags member was given, perhaps empty */
    bool has_rules;  /* OCI's syscalls member was given, perhaps empty */
    bool keep_newer; /* calls newer than the policy get the default action, not ENOSYS */
    bool report_kills;
    char *listener_path;
    char *listener_metadata;
    json_object *extra; /* members that OCI does not have, or NULL */
    unsigned preset;    /* index + 1 of the program compiled with the library that this policy equals, or 0 */
};

/* OCI linux.seccomp from and to a json-c object; `where` prefixes the field in errors ("linux.seccomp"). The
 * reader keeps no reference to obj; the writer's object is the caller's (json_object_put). NULL on failure.
 */
box_seccomp *box_seccomp_from_json(json_object *obj, const char *where, box_error **err);
json_object *box_seccomp_to_json(const box_seccomp *policy, box_error **err);

#endif
