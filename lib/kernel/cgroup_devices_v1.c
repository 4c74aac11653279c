/* Device rules on cgroup v1.
 *
 * The kernel keeps "all" or "nothing" and a list of exceptions from it. Rules that are read in order, the
 * last match winning, are first brought into that shape. A cgroup that is restricted already is changed
 * without a gap: what is newly allowed is added before what no longer is gets removed, so that a running
 * container never loses /dev/null for a moment. See the kernel's admin-guide/cgroup-v1/devices.rst. */
#include "kernel/cgroup.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#define ALL_ACCESS ((unsigned)(BOX_DEVICE_READ | BOX_DEVICE_WRITE | BOX_DEVICE_MKNOD))

void cgroup_device_set_free(struct cgroup_device_set *set)
{
    free(set->exceptions);
    *set = (struct cgroup_device_set){0};
}

static bool same_devices(const struct box_device_rule *a, const struct box_device_rule *b)
{
    return a->type == b->type && a->major == b->major && a->minor == b->minor;
}

static bool covers(const struct box_device_rule *a, const struct box_device_rule *b)
{
    return a->type == b->type && (a->major == -1 || a->major == b->major) &&
           (a->minor == -1 || a->minor == b->minor);
}

static bool overlaps(const struct box_device_rule *a, const struct box_device_rule *b)
{
    return a->type == b->type && (a->major == -1 || b->major == -1 || a->major == b->major) &&
           (a->minor == -1 || b->minor == -1 || a->minor == b->minor);
}

static int add_exception(struct cgroup_device_set *set, const struct box_device_rule *rule)
{
    struct box_device_rule *grown;

    for (size_t i = 0; i < set->count; i++) {
        if (same_devices(&set->exceptions[i], rule)) {
            set->exceptions[i].access |= rule->access;
            return 0;
        }
    }
    grown = reallocarray(set->exceptions, set->count + 1, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    set->exceptions = grown;
    set->exceptions[set->count++] = *rule;
    return 0;
}

/* A rule that says what holds anyway takes back exceptions. One that takes back a part of an exception ("all
 * of major 8 but minor 3") has no form in v1. */
static bool take_back(struct cgroup_device_set *set, const struct box_device_rule *rule)
{
    size_t kept = 0;

    for (size_t i = 0; i < set->count; i++) {
        struct box_device_rule e = set->exceptions[i];

        if (covers(rule, &e))
            e.access &= ~rule->access;
        else if (overlaps(rule, &e) && e.access & rule->access)
            return false;
        if (e.access)
            set->exceptions[kept++] = e;
    }
    set->count = kept;
    return true;
}

static int compile_one(struct cgroup_device_set *set, const struct box_device_rule *rule, box_error **err)
{
    if (!rule->allow == !set->allow_all) {
        if (take_back(set, rule))
            return 0;
        return box_fail_with(
            err,
            &(struct box_fail_info){.code = BOX_EUNSUPPORTED,
                                    .subject = "linux.resources.devices",
                                    .remedy = "name the devices one by one, or boot with cgroup v2"},
            "cgroup v1 cannot take a part of a device rule back");
    }
    return add_exception(set, rule) < 0 ? box_fail_nomem(err) : 0;
}

int cgroup_devices_v1_compile(const struct box_device_rule *rules, size_t count,
                              struct cgroup_device_set *out, box_error **err)
{
    struct cgroup_device_set set = {.allow_all = true};
    int r = 0;

    for (size_t i = 0; r == 0 && i < count; i++) {
        struct box_device_rule rule = rules[i];
        bool any = rule.type == 'a' || rule.type == 0;

        rule.access = rule.access ? rule.access : ALL_ACCESS;
        if (rule.type == 'p')
            continue;
        if (any && rule.major == -1 && rule.minor == -1 && rule.access == ALL_ACCESS) {
            set.allow_all = rule.allow;
            set.count = 0;
            continue;
        }
        for (const char *type = any ? "bc" : rule.type == 'b' ? "b" : "c"; r == 0 && *type; type++) {
            rule.type = *type;
            r = compile_one(&set, &rule, err);
        }
    }
    if (r < 0)
        cgroup_device_set_free(&set);
    *out = set;
    return r;
}

/* ---- devices.list ---- */

static bool parse_number(const char *text, int64_t *number)
{
    uint64_t value;

    if (strcmp(text, "*") == 0) {
        *number = -1;
        return true;
    }
    if (!cgroup_parse_u64(text, &value) || value > UINT32_MAX)
        return false;
    *number = (int64_t)value;
    return true;
}

/* "c 1:3 rwm" */
static bool parse_rule(char *line, struct box_device_rule *rule)
{
    const char *type = cgroup_next_word(&line), *access;
    char *major = cgroup_next_word(&line), *minor = major ? strchr(major, ':') : NULL;

    if (!minor || !type[0] || type[1] || !strchr("abc", type[0]) || !(access = cgroup_next_word(&line)))
        return false;
    *minor++ = '\0';
    *rule = (struct box_device_rule){.allow = 1, .type = type[0]};
    for (; *access; access++) {
        const char *letters = "rwm", *at = strchr(letters, *access);
        if (!at)
            return false;
        rule->access |= 1u << (at - letters);
    }
    return parse_number(major, &rule->major) && parse_number(minor, &rule->minor);
}

int cgroup_devices_v1_parse(char *text, struct cgroup_device_set *out)
{
    struct cgroup_device_set set = {0};

    for (char *line; (line = cgroup_next_line(&text));) {
        struct box_device_rule rule;
        int r = parse_rule(line, &rule) ? 0 : -EBADMSG;

        if (r == 0 && rule.type == 'a')
            set.allow_all = true;
        else if (r == 0)
            r = add_exception(&set, &rule);
        if (r < 0) {
            cgroup_device_set_free(&set);
            return r;
        }
    }
    *out = set;
    return 0;
}

/* ---- writing ---- */

static int write_rule(int fd, const struct box_device_rule *rule, unsigned access)
{
    char major[24] = "*", minor[24] = "*", text[80];
    int length;

    if (rule->major >= 0)
        snprintf(major, sizeof(major), "%" PRId64, rule->major);
    if (rule->minor >= 0)
        snprintf(minor, sizeof(minor), "%" PRId64, rule->minor);
    length = snprintf(text, sizeof(text), "%c %s:%s %s%s%s", rule->type, major, minor,
                      access & BOX_DEVICE_READ ? "r" : "", access & BOX_DEVICE_WRITE ? "w" : "",
                      access & BOX_DEVICE_MKNOD ? "m" : "");
    return write(fd, text, (size_t)length) == length ? 0 : -errno;
}

/* Writes each rule of one set that the other set has not got. */
static int write_difference(const struct cgroup_dir *dir, const char *file,
                            const struct cgroup_device_set *set, const struct cgroup_device_set *without)
{
    _close_ int fd = cgroup_open_at(dir->fd, file, O_WRONLY);
    int r = fd < 0 ? fd : 0;

    for (size_t i = 0; r == 0 && i < set->count; i++) {
        unsigned access = set->exceptions[i].access;

        for (size_t j = 0; j < without->count; j++) {
            if (same_devices(&set->exceptions[i], &without->exceptions[j]))
                access &= ~without->exceptions[j].access;
        }
        if (access)
            r = write_rule(fd, &set->exceptions[i], access);
    }
    return r;
}

static int apply(const struct cgroup_dir *dir, const struct cgroup_device_set *set,
                 const struct cgroup_device_set *current, const char **file)
{
    static const struct cgroup_device_set none = {0};
    bool restart = set->allow_all || current->allow_all;
    int r = 0;

    /* Exceptions from "all" cannot be read back, so those are always written anew. */
    *file = set->allow_all ? "devices.allow" : "devices.deny";
    if (restart)
        r = cgroup_write(dir->fd, *file, "a");
    if (r < 0)
        return r;
    *file = set->allow_all ? "devices.deny" : "devices.allow";
    r = write_difference(dir, *file, set, restart ? &none : current);
    if (r < 0 || restart)
        return r;
    *file = "devices.deny";
    return write_difference(dir, *file, current, set);
}

int cgroup_devices_v1_apply(const struct cgroup_dir *dir, const struct cgroup_device_set *set,
                            box_error **err)
{
    struct cgroup_device_set current = {0};
    _free_ char *list = NULL;
    const char *file = "devices.list";
    int r = cgroup_read(dir->fd, file, &list);

    if (r == 0)
        r = cgroup_devices_v1_parse(list, &current);
    if (r == 0)
        r = apply(dir, set, &current, &file);
    cgroup_device_set_free(&current);
    return r == 0 ? 0
                  : cgroup_fail(err, dir, file, r, "linux.resources.devices",
                                "restrict the devices of the cgroup");
}
