/* Policies from and to the object linux.seccomp of the OCI runtime specification (config-linux.md,
 * "Seccomp"). Whatever the object holds comes back out: spelling variants and members that this version does
 * not know included. */
#include "kernel/seccomp_json.h"

#include <errno.h>
#include <string.h>

#include "kernel/seccomp_names.h"

struct word {
    const char *name;
    uint32_t value;
};

/* The first spelling of a value is the one that is written. */
static const struct word actions[] = {
    {"SCMP_ACT_KILL_THREAD", BOX_SECCOMP_KILL_THREAD},
    {"SCMP_ACT_KILL", BOX_SECCOMP_KILL_THREAD},
    {"SCMP_ACT_KILL_PROCESS", BOX_SECCOMP_KILL_PROCESS},
    {"SCMP_ACT_TRAP", BOX_SECCOMP_TRAP},
    {"SCMP_ACT_ERRNO", BOX_SECCOMP_ERRNO},
    {"SCMP_ACT_TRACE", BOX_SECCOMP_TRACE},
    {"SCMP_ACT_ALLOW", BOX_SECCOMP_ALLOW},
    {"SCMP_ACT_LOG", BOX_SECCOMP_LOG},
    {"SCMP_ACT_NOTIFY", BOX_SECCOMP_NOTIFY},
    {NULL, 0},
};

static const struct word ops[] = {
    {"SCMP_CMP_NE", BOX_SECCOMP_NE},
    {"SCMP_CMP_LT", BOX_SECCOMP_LT},
    {"SCMP_CMP_LE", BOX_SECCOMP_LE},
    {"SCMP_CMP_EQ", BOX_SECCOMP_EQ},
    {"SCMP_CMP_GE", BOX_SECCOMP_GE},
    {"SCMP_CMP_GT", BOX_SECCOMP_GT},
    {"SCMP_CMP_MASKED_EQ", BOX_SECCOMP_MASKED_EQ},
    {NULL, 0},
};

static const struct word flags[] = {
    {"SECCOMP_FILTER_FLAG_TSYNC", BOX_SECCOMP_FLAG_TSYNC},
    {"SECCOMP_FILTER_FLAG_LOG", BOX_SECCOMP_FLAG_LOG},
    {"SECCOMP_FILTER_FLAG_SPEC_ALLOW", BOX_SECCOMP_FLAG_SPEC_ALLOW},
    {"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", BOX_SECCOMP_FLAG_WAIT_KILLABLE_RECV},
    {NULL, 0},
};

static const char *word_for(const struct word *words, uint32_t value)
{
    while (words->name && words->value != value)
        words++;
    return words->name;
}

/* Reads a string that must be one of the words. */
static int read_word(const struct box_json_at *at, const struct word *words, const char *what,
                     uint32_t *value, const char **text, box_error **err)
{
    int r = box_json_as_string(at, text, err);

    if (r < 0)
        return r;
    for (; words->name; words++) {
        if (strcmp(words->name, *text) == 0) {
            *value = words->value;
            return 0;
        }
    }
    return box_json_fail(at, err, "\"%s\" is no %s", *text, what);
}

/* ---- extra members ---- */

struct extra_search {
    const char *const *known;
    json_object *found;
};

static int look_at_member(const struct box_json_at *member, void *data, box_error **err)
{
    struct extra_search *search = data;
    json_object *copy = NULL;

    for (const char *const *known = search->known; *known; known++)
        if (strcmp(*known, member->key) == 0)
            return 0;
    if (!search->found && !(search->found = json_object_new_object()))
        return box_fail_nomem(err);
    if (member->json && json_object_deep_copy(member->json, &copy, NULL) < 0)
        return box_fail_nomem(err);
    if (json_object_object_add(search->found, member->key, copy) < 0) {
        json_object_put(copy);
        return box_fail_nomem(err);
    }
    return 0;
}

/* The members that are not in `known`, as text; NULL when there are none. */
static int read_extra(const struct box_json_at *object, const char *const *known, char **extra,
                      box_error **err)
{
    struct extra_search search = {.known = known};
    int r = box_json_each(object, look_at_member, &search, err);

    if (r == 0 && search.found) {
        const char *text = json_object_to_json_string_ext(search.found, JSON_C_TO_STRING_PLAIN);
        *extra = text ? strdup(text) : NULL;
        if (!*extra)
            r = box_fail_nomem(err);
    }
    json_object_put(search.found);
    return r;
}

static int put_member(const struct box_json_at *member, void *object, box_error **err)
{
    /* A null is a value here, and for json-c the absence of one. */
    if (!member->json)
        return json_object_object_add(object, member->key, NULL) < 0 ? box_fail_nomem(err) : 0;
    return box_json_put(object, member->key, json_object_get(member->json), err);
}

static int put_extra(json_object *object, const char *extra, box_error **err)
{
    if (!extra)
        return 0;
    _cleanup_(json_object) json_object *members =
        box_json_parse(extra, strlen(extra), &BOX_JSON_DEFAULT, NULL, err);
    struct box_json_at root = BOX_JSON_ROOT(members);
    return members ? box_json_each(&root, put_member, object, err) : BOX_ENOMEM;
}

/* ---- reading ---- */

int box_seccomp_read_verdict(const struct box_json_at *object, const char *action_key, const char *errno_key,
                             struct box_seccomp_verdict *verdict, box_error **err)
{
    struct box_json_at action, number;
    const char *text = "";
    uint64_t value = EPERM;
    uint32_t word = 0;
    int r = box_json_get(object, action_key, BOX_JSON_REQUIRED, &action, err);

    if (r == 0)
        r = read_word(&action, actions, "seccomp action", &word, &text, err);
    if (r == 0)
        r = box_json_get(object, errno_key, BOX_JSON_OPTIONAL, &number, err);
    if (r < 0)
        return r;
    *verdict = (struct box_seccomp_verdict){.action = word, .plain_kill = strcmp(text, "SCMP_ACT_KILL") == 0};
    if (number.json) {
        verdict->has_value = true;
        /* For other actions it means nothing, and is kept. */
        r = box_json_as_u64(&number, 0,
                            word == BOX_SECCOMP_ERRNO ? BOX_SECCOMP_MAX_ERRNO : BOX_SECCOMP_MAX_TRACE, &value,
                            err);
    }
    if (verdict->has_value || word == BOX_SECCOMP_ERRNO || word == BOX_SECCOMP_TRACE)
        verdict->value = (uint32_t)value;
    return r;
}

static int read_test(const struct box_json_at *object, bool keep_extra, struct box_seccomp_test *test,
                     box_error **err)
{
    static const char *const known[] = {"index", "value", "valueTwo", "op", NULL};
    struct box_json_at op, two;
    const char *text;
    uint64_t index = 0;
    int r = box_json_as_object(object, err);

    if (r == 0)
        r = box_json_get_u64(object, "index", BOX_JSON_REQUIRED, 0, 5, &index, err);
    if (r == 0)
        r = box_json_get_u64(object, "value", BOX_JSON_REQUIRED, 0, UINT64_MAX, &test->arg.value, err);
    if (r == 0)
        r = box_json_get(object, "valueTwo", BOX_JSON_OPTIONAL, &two, err);
    if (r == 0 && two.json) {
        test->has_value_two = true;
        r = box_json_as_u64(&two, 0, UINT64_MAX, &test->arg.value_two, err);
    }
    if (r == 0)
        r = box_json_get(object, "op", BOX_JSON_REQUIRED, &op, err);
    if (r == 0)
        r = read_word(&op, ops, "argument test", &test->arg.op, &text, err);
    if (r == 0 && keep_extra)
        r = read_extra(object, known, &test->extra, err);
    test->arg.index = (uint32_t)index;
    return r;
}

int box_seccomp_read_tests(const struct box_json_at *object, bool keep_extra, struct box_seccomp_rule *rule,
                           box_error **err)
{
    struct box_json_at args;
    size_t n = 0;
    int r = box_json_get_array(object, "args", BOX_JSON_OPTIONAL, &args, &n, err);

    if (r < 0 || !args.json)
        return r;
    rule->has_tests = true;
    if (n > BOX_SECCOMP_MAX_ARGS)
        return box_json_fail(&args, err, "more than %d argument tests", BOX_SECCOMP_MAX_ARGS);
    if (n == 0)
        return 0;
    rule->tests = calloc(n, sizeof(*rule->tests));
    if (!rule->tests)
        return box_fail_nomem(err);
    for (; r == 0 && rule->n_tests < n; rule->n_tests++) {
        struct box_json_at element = box_json_element(&args, rule->n_tests);
        r = read_test(&element, keep_extra, &rule->tests[rule->n_tests], err);
    }
    return r;
}

int box_seccomp_read_names(const struct box_json_at *object, enum box_json_presence presence,
                           struct box_seccomp_rule *rule, box_error **err)
{
    struct box_json_at names;
    size_t n = 0;
    int r = box_json_get_array(object, "names", presence, &names, &n, err);

    if (r == 0 && names.json && n == 0)
        r = box_json_fail(&names, err, "a rule names at least one system call");
    if (r == 0 && n > BOX_SECCOMP_MAX_NAMES)
        r = box_json_fail(&names, err, "a rule names more than %d system calls", BOX_SECCOMP_MAX_NAMES);
    for (size_t i = 0; r == 0 && i < n; i++) {
        struct box_json_at element = box_json_element(&names, i);
        const char *name;
        r = box_json_as_string(&element, &name, err);
        if (r == 0 && (!*name || strlen(name) > BOX_SECCOMP_MAX_NAME))
            r = box_json_fail(&element, err, "a system call name has 1 to %d bytes", BOX_SECCOMP_MAX_NAME);
        if (r == 0)
            r = box_seccomp_rule_add_name(rule, name, err);
    }
    return r;
}

int box_seccomp_read_flags(const struct box_json_at *object, box_seccomp *policy, box_error **err)
{
    struct box_json_at array;
    size_t n = 0;
    int r = box_json_get_array(object, "flags", BOX_JSON_OPTIONAL, &array, &n, err);

    policy->has_flags = r == 0 && array.json;
    for (size_t i = 0; r == 0 && i < n; i++) {
        struct box_json_at element = box_json_element(&array, i);
        const char *text;
        uint32_t flag = 0;
        r = read_word(&element, flags, "seccomp flag", &flag, &text, err);
        policy->flags |= flag;
    }
    return r;
}

int box_seccomp_read_arches(const struct box_json_at *object, const char *key, box_seccomp *policy,
                            box_error **err)
{
    struct box_json_at array;
    size_t n = 0;
    int r = box_json_get_array(object, key, BOX_JSON_OPTIONAL, &array, &n, err);

    policy->has_arches |= r == 0 && array.json;
    for (size_t i = 0; r == 0 && i < n; i++) {
        struct box_json_at element = box_json_element(&array, i);
        const char *name;
        r = box_json_as_string(&element, &name, err);
        if (r == 0 && !box_seccomp_arch_is_oci(name))
            r = box_json_fail(&element, err, "\"%s\" is no architecture of OCI's", name);
        if (r == 0)
            r = box_seccomp_add_arch(policy, name, err);
    }
    return r;
}

int box_seccomp_read_listener(const struct box_json_at *object, box_seccomp *policy, box_error **err)
{
    const char *path = NULL, *metadata = NULL;
    int r = box_json_get_string(object, "listenerPath", BOX_JSON_OPTIONAL, &path, err);

    if (r == 0)
        r = box_json_get_string(object, "listenerMetadata", BOX_JSON_OPTIONAL, &metadata, err);
    if (r == 0 && metadata && !path)
        return box_json_fail(object, err, "listenerMetadata without listenerPath");
    return r < 0 ? r : box_seccomp_set_listener(policy, path, metadata, err);
}

static int read_rule(const struct box_json_at *object, box_seccomp *policy, box_error **err)
{
    static const char *const known[] = {"names", "action", "errnoRet", "args", NULL};
    struct box_seccomp_rule rule = {0};
    int r = box_json_as_object(object, err);

    if (r == 0)
        r = box_seccomp_read_names(object, BOX_JSON_REQUIRED, &rule, err);
    if (r == 0)
        r = box_seccomp_read_verdict(object, "action", "errnoRet", &rule.verdict, err);
    if (r == 0)
        r = box_seccomp_read_tests(object, true, &rule, err);
    if (r == 0)
        r = read_extra(object, known, &rule.extra, err);
    if (r == 0)
        r = box_seccomp_take_rule(policy, &rule, err);
    box_seccomp_rule_clear(&rule);
    return r;
}

static int read_policy(const struct box_json_at *object, box_seccomp *policy, box_error **err)
{
    static const char *const known[] = {"defaultAction", "defaultErrnoRet",  "architectures", "flags",
                                        "listenerPath",  "listenerMetadata", "syscalls",      NULL};
    struct box_json_at rules;
    size_t n = 0;
    int r = box_json_as_object(object, err);

    if (r == 0)
        r = box_seccomp_read_verdict(object, "defaultAction", "defaultErrnoRet", &policy->fallback, err);
    if (r == 0)
        r = box_seccomp_read_arches(object, "architectures", policy, err);
    if (r == 0)
        r = box_seccomp_read_flags(object, policy, err);
    if (r == 0)
        r = box_seccomp_read_listener(object, policy, err);
    if (r == 0)
        r = box_json_get_array(object, "syscalls", BOX_JSON_OPTIONAL, &rules, &n, err);
    policy->has_rules = r == 0 && rules.json;
    for (size_t i = 0; r == 0 && i < n; i++) {
        struct box_json_at element = box_json_element(&rules, i);
        r = read_rule(&element, policy, err);
    }
    return r < 0 ? r : read_extra(object, known, &policy->extra, err);
}

box_seccomp *box_seccomp_from_json(json_object *obj, const char *where, box_error **err)
{
    struct box_json_at above = {0}, root = {.json = obj};
    _cleanup_(box_seccomp) box_seccomp *policy = box_seccomp_new_empty(err);

    if (where && *where) {
        root.up = &above;
        root.key = where;
    }
    return policy && read_policy(&root, policy, err) == 0 ? box_take(policy) : NULL;
}

box_seccomp *box_seccomp_load_oci(const char *text, size_t len, box_error **err)
{
    _cleanup_(json_object) json_object *document = box_json_parse(text, len, &BOX_JSON_DEFAULT, NULL, err);

    return document ? box_seccomp_from_json(document, NULL, err) : NULL;
}

/* ---- writing ---- */

static int put_verdict(json_object *object, const char *action_key, const char *errno_key,
                       const struct box_seccomp_verdict *verdict, box_error **err)
{
    const char *action = verdict->plain_kill ? "SCMP_ACT_KILL" : word_for(actions, verdict->action);
    int r = box_json_put_string(object, action_key, action, err);

    if (r == 0 && verdict->has_value)
        r = box_json_put_u64(object, errno_key, verdict->value, err);
    return r;
}

static int put_test(json_object *array, const struct box_seccomp_test *test, box_error **err)
{
    json_object *object = json_object_new_object();
    int r = box_json_append(array, object, err);

    if (r == 0)
        r = box_json_put_u64(object, "index", test->arg.index, err);
    if (r == 0)
        r = box_json_put_u64(object, "value", test->arg.value, err);
    if (r == 0 && test->has_value_two)
        r = box_json_put_u64(object, "valueTwo", test->arg.value_two, err);
    if (r == 0)
        r = box_json_put_string(object, "op", word_for(ops, test->arg.op), err);
    return r < 0 ? r : put_extra(object, test->extra, err);
}

static int put_rule(json_object *array, const struct box_seccomp_rule *rule, box_error **err)
{
    json_object *object = json_object_new_object();
    int r = box_json_append(array, object, err);

    if (r == 0)
        r = box_json_put_strings(object, "names", rule->names, err);
    if (r == 0)
        r = put_verdict(object, "action", "errnoRet", &rule->verdict, err);
    if (r == 0 && rule->has_tests) {
        json_object *tests = json_object_new_array();
        r = box_json_put(object, "args", tests, err);
        for (size_t i = 0; r == 0 && i < rule->n_tests; i++)
            r = put_test(tests, &rule->tests[i], err);
    }
    return r < 0 ? r : put_extra(object, rule->extra, err);
}

static int put_flags(json_object *object, unsigned set, box_error **err)
{
    json_object *array = json_object_new_array();
    int r = box_json_put(object, "flags", array, err);

    for (const struct word *flag = flags; r == 0 && flag->name; flag++)
        if (set & flag->value)
            r = box_json_append(array, json_object_new_string(flag->name), err);
    return r;
}

static int put_rules(json_object *object, const box_seccomp *policy, box_error **err)
{
    json_object *array = json_object_new_array();
    int r = box_json_put(object, "syscalls", array, err);

    for (size_t i = 0; r == 0 && i < policy->n_rules; i++)
        r = put_rule(array, &policy->rules[i], err);
    return r;
}

static int put_policy(json_object *object, const box_seccomp *policy, box_error **err)
{
    static char *const none[] = {NULL};
    int r = put_verdict(object, "defaultAction", "defaultErrnoRet", &policy->fallback, err);

    if (r == 0 && (policy->n_arches > 0 || policy->has_arches))
        r = box_json_put_strings(object, "architectures", policy->arches ? policy->arches : none, err);
    if (r == 0 && (policy->flags || policy->has_flags))
        r = put_flags(object, policy->flags, err);
    if (r == 0 && policy->listener_path)
        r = box_json_put_string(object, "listenerPath", policy->listener_path, err);
    if (r == 0 && policy->listener_metadata)
        r = box_json_put_string(object, "listenerMetadata", policy->listener_metadata, err);
    if (r == 0 && (policy->n_rules > 0 || policy->has_rules))
        r = put_rules(object, policy, err);
    return r < 0 ? r : put_extra(object, policy->extra, err);
}

json_object *box_seccomp_to_json(const box_seccomp *policy, box_error **err)
{
    json_object *object = json_object_new_object();

    if (!object) {
        box_fail_nomem(err);
        return NULL;
    }
    if (put_policy(object, policy, err) < 0) {
        json_object_put(object);
        return NULL;
    }
    return object;
}

int box_seccomp_save_oci(const box_seccomp *policy, char **text, box_error **err)
{
    _cleanup_(json_object) json_object *object = box_seccomp_to_json(policy, err);
    const char *written;

    if (!object)
        return BOX_ENOMEM;
    written = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    *text = written ? strdup(written) : NULL;
    return *text ? 0 : box_fail_nomem(err);
}
