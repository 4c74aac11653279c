/* Resource limits: names, Docker's and OCI's forms, and prlimit(2). */
#include <libbox/rlimit.h>

#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>

#include "base/fail.h"
#include "kernel/number.h"

_Static_assert(RLIM_INFINITY == BOX_RLIMIT_UNLIMITED, "a limit is 64 bits wide");

static const struct {
    const char *name;
    const char *docker;
} table[] = {
    [RLIMIT_CPU] = {"RLIMIT_CPU", "cpu"},
    [RLIMIT_FSIZE] = {"RLIMIT_FSIZE", "fsize"},
    [RLIMIT_DATA] = {"RLIMIT_DATA", "data"},
    [RLIMIT_STACK] = {"RLIMIT_STACK", "stack"},
    [RLIMIT_CORE] = {"RLIMIT_CORE", "core"},
    [RLIMIT_RSS] = {"RLIMIT_RSS", "rss"},
    [RLIMIT_NPROC] = {"RLIMIT_NPROC", "nproc"},
    [RLIMIT_NOFILE] = {"RLIMIT_NOFILE", "nofile"},
    [RLIMIT_MEMLOCK] = {"RLIMIT_MEMLOCK", "memlock"},
    [RLIMIT_AS] = {"RLIMIT_AS", "as"},
    [RLIMIT_LOCKS] = {"RLIMIT_LOCKS", "locks"},
    [RLIMIT_SIGPENDING] = {"RLIMIT_SIGPENDING", "sigpending"},
    [RLIMIT_MSGQUEUE] = {"RLIMIT_MSGQUEUE", "msgqueue"},
    [RLIMIT_NICE] = {"RLIMIT_NICE", "nice"},
    [RLIMIT_RTPRIO] = {"RLIMIT_RTPRIO", "rtprio"},
    [RLIMIT_RTTIME] = {"RLIMIT_RTTIME", "rttime"},
};

static bool exists(int resource)
{
    return resource >= 0 && resource < (int)BOX_ARRAY(table);
}

const char *box_rlimit_name(int resource)
{
    return exists(resource) ? table[resource].name : NULL;
}

const char *box_rlimit_short_name(int resource)
{
    return exists(resource) ? table[resource].docker : NULL;
}

/* A name of n bytes. -1: none. */
static int find(const char *name, size_t n)
{
    if (n > 7 && strncasecmp(name, "RLIMIT_", 7) == 0) {
        name += 7;
        n -= 7;
    }
    for (size_t i = 0; i < BOX_ARRAY(table); i++)
        if (strlen(table[i].docker) == n && strncasecmp(table[i].docker, name, n) == 0)
            return (int)i;
    return -1;
}

int box_rlimit_number(const char *name, box_error **err)
{
    int n = name ? find(name, strlen(name)) : -1;

    if (n >= 0)
        return n;
    return box_fail_with(err,
                         &(struct box_fail_info){
                             .code = BOX_EPARSE, .subject = name, .remedy = "setrlimit(2) lists the names"},
                         "unknown resource limit");
}

/* A value that ends at a NUL or at `end`. */
static int parse_value(const char *s, size_t n, uint64_t *value)
{
    static const char *const unlimited[] = {"-1", "unlimited", "infinity"};

    for (size_t i = 0; i < BOX_ARRAY(unlimited); i++)
        if (strlen(unlimited[i]) == n && strncmp(s, unlimited[i], n) == 0) {
            *value = BOX_RLIMIT_UNLIMITED;
            return 0;
        }
    return box_number_u64(s, n, value);
}

int box_rlimit_parse(const char *text, struct box_rlimit *limit, box_error **err)
{
    struct box_rlimit l;
    const char *equals = text ? strchr(text, '=') : NULL;

    if (!equals)
        return box_fail(err, BOX_EPARSE, "\"%s\" is not of the form NAME=SOFT[:HARD]", text ? text : "");
    l.resource = find(text, (size_t)(equals - text));
    if (l.resource < 0)
        return box_fail_with(err,
                             &(struct box_fail_info){.code = BOX_EPARSE,
                                                     .subject = text,
                                                     .remedy = "setrlimit(2) lists the names"},
                             "unknown resource limit");

    const char *soft = equals + 1, *colon = strchr(soft, ':');
    size_t soft_length = colon ? (size_t)(colon - soft) : strlen(soft);
    const char *hard = colon ? colon + 1 : soft;
    if (parse_value(soft, soft_length, &l.soft) < 0 ||
        parse_value(hard, colon ? strlen(hard) : soft_length, &l.hard) < 0)
        return box_fail_with(err,
                             &(struct box_fail_info){.code = BOX_EPARSE,
                                                     .subject = text,
                                                     .remedy = "a value is a number, -1 or unlimited"},
                             "malformed value of a resource limit");
    int r = box_rlimit_check(&l, err);
    if (r == 0)
        *limit = l;
    return r;
}

char *box_rlimit_format(const struct box_rlimit *limit)
{
    char soft[24] = "-1", hard[24] = "-1";
    char *text = NULL;

    if (!exists(limit->resource))
        return NULL;
    if (limit->soft != BOX_RLIMIT_UNLIMITED)
        snprintf(soft, sizeof(soft), "%llu", (unsigned long long)limit->soft);
    if (limit->hard != BOX_RLIMIT_UNLIMITED)
        snprintf(hard, sizeof(hard), "%llu", (unsigned long long)limit->hard);
    return asprintf(&text, "%s=%s:%s", table[limit->resource].docker, soft, hard) < 0 ? NULL : text;
}

int box_rlimit_check(const struct box_rlimit *limit, box_error **err)
{
    if (!exists(limit->resource))
        return box_fail(err, BOX_ESPEC, "%d is no resource limit", limit->resource);
    if (limit->soft > limit->hard)
        return box_fail_with(
            err, &(struct box_fail_info){.code = BOX_ESPEC, .subject = table[limit->resource].name},
            "the soft limit %llu is above the hard limit %llu", (unsigned long long)limit->soft,
            (unsigned long long)limit->hard);
    return 0;
}

int box_rlimit_read(pid_t pid, int resource, struct box_rlimit *limit, box_error **err)
{
    struct rlimit now;

    if (!exists(resource))
        return box_fail(err, BOX_ESPEC, "%d is no resource limit", resource);
    if (prlimit(pid, resource, NULL, &now) < 0)
        return box_fail_with(err,
                             &(struct box_fail_info){.code = errno == ESRCH ? BOX_ENOTFOUND : 0,
                                                     .errnum = errno,
                                                     .call = "prlimit",
                                                     .subject = table[resource].name},
                             "read a limit of process %d", (int)pid);
    *limit = (struct box_rlimit){.resource = resource, .soft = now.rlim_cur, .hard = now.rlim_max};
    return 0;
}

/* Why the kernel refused: for want of CAP_SYS_RESOURCE, for the ceiling on open files, or for the process. */
static int fail_apply(box_error **err, pid_t pid, const struct box_rlimit *limit)
{
    const char *name = table[limit->resource].name;
    struct box_fail_info info = {.errnum = errno, .call = "prlimit", .subject = name};
    _free_ char *wanted = box_rlimit_format(limit);
    struct box_rlimit now;

    if (!wanted)
        return box_fail_nomem(err);
    if (info.errnum == ESRCH) {
        info.code = BOX_ENOTFOUND;
        return box_fail_with(err, &info, "set %s on process %d", wanted, (int)pid);
    }
    if (info.errnum == EPERM && box_rlimit_read(pid, limit->resource, &now, NULL) == 0 &&
        limit->hard > now.hard) {
        _free_ char *have = box_rlimit_format(&now);
        info.remedy =
            "ask for less, raise the limit of the program that starts it (ulimit, LimitNOFILE= and its "
            "like in systemd), or give that program CAP_SYS_RESOURCE";
        return box_fail_with(err, &info, "cannot raise the hard limit to %s: it is %s", wanted,
                             have ? have : "lower");
    }
    if (info.errnum == EPERM && limit->resource == RLIMIT_NOFILE)
        info.remedy = "RLIMIT_NOFILE cannot pass the sysctl fs.nr_open";
    return box_fail_with(err, &info, "set %s", wanted);
}

int box_rlimit_apply(pid_t pid, const struct box_rlimit *limits, size_t n, box_error **err)
{
    for (size_t i = 0; i < n; i++) {
        int r = box_rlimit_check(&limits[i], err);
        if (r < 0)
            return r;
        struct rlimit l = {.rlim_cur = limits[i].soft, .rlim_max = limits[i].hard};
        if (prlimit(pid, limits[i].resource, &l, NULL) < 0)
            return fail_apply(err, pid, &limits[i]);
    }
    return 0;
}
