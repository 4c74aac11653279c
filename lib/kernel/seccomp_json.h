/* What OCI's and Docker's formats have in common. All of it reports BOX_EPARSE with the place. */
#ifndef BOX_KERNEL_SECCOMP_JSON_H
#define BOX_KERNEL_SECCOMP_JSON_H

#include "base/json.h"
#include "kernel/seccomp_policy.h"

/* The members `action_key` and `errno_key` of an object. A missing errno is EPERM, for errno and trace. */
int box_seccomp_read_verdict(const struct box_json_at *object, const char *action_key, const char *errno_key,
                             struct box_seccomp_verdict *verdict, box_error **err);
/* The member `args` of a rule. keep_extra: with the members that OCI does not have. */
int box_seccomp_read_tests(const struct box_json_at *object, bool keep_extra, struct box_seccomp_rule *rule,
                           box_error **err);
/* The members `names`, `flags`, and an array of architectures. */
int box_seccomp_read_names(const struct box_json_at *object, enum box_json_presence presence,
                           struct box_seccomp_rule *rule, box_error **err);
int box_seccomp_read_flags(const struct box_json_at *object, box_seccomp *policy, box_error **err);
int box_seccomp_read_arches(const struct box_json_at *object, const char *key, box_seccomp *policy,
                            box_error **err);
int box_seccomp_read_listener(const struct box_json_at *object, box_seccomp *policy, box_error **err);

#endif
