/* Capabilities: names, masks, Docker's rules for adding and dropping, and the sets of a thread.
 *
 * Names come from the table below, and those that it is too old for from libcap-ng. The sets are changed with
 * the system calls themselves: an error then tells which set and which capability, and a host that uses
 * libcap-ng in the same thread keeps its state there.
 *
 * Guards against: file capabilities that come back through the inheritable set (CVE-2022-24769), a name that
 * is misspelt and silently ignored, an ambient set that outlives the permitted one. */
#include <libbox/capability.h>

#include <cap-ng.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "base/buffer.h"
#include "base/fail.h"
#include "kernel/smallfile.h"

static const char *const names[] = {
    [CAP_CHOWN] = "CAP_CHOWN",
    [CAP_DAC_OVERRIDE] = "CAP_DAC_OVERRIDE",
    [CAP_DAC_READ_SEARCH] = "CAP_DAC_READ_SEARCH",
    [CAP_FOWNER] = "CAP_FOWNER",
    [CAP_FSETID] = "CAP_FSETID",
    [CAP_KILL] = "CAP_KILL",
    [CAP_SETGID] = "CAP_SETGID",
    [CAP_SETUID] = "CAP_SETUID",
    [CAP_SETPCAP] = "CAP_SETPCAP",
    [CAP_LINUX_IMMUTABLE] = "CAP_LINUX_IMMUTABLE",
    [CAP_NET_BIND_SERVICE] = "CAP_NET_BIND_SERVICE",
    [CAP_NET_BROADCAST] = "CAP_NET_BROADCAST",
    [CAP_NET_ADMIN] = "CAP_NET_ADMIN",
    [CAP_NET_RAW] = "CAP_NET_RAW",
    [CAP_IPC_LOCK] = "CAP_IPC_LOCK",
    [CAP_IPC_OWNER] = "CAP_IPC_OWNER",
    [CAP_SYS_MODULE] = "CAP_SYS_MODULE",
    [CAP_SYS_RAWIO] = "CAP_SYS_RAWIO",
    [CAP_SYS_CHROOT] = "CAP_SYS_CHROOT",
    [CAP_SYS_PTRACE] = "CAP_SYS_PTRACE",
    [CAP_SYS_PACCT] = "CAP_SYS_PACCT",
    [CAP_SYS_ADMIN] = "CAP_SYS_ADMIN",
    [CAP_SYS_BOOT] = "CAP_SYS_BOOT",
    [CAP_SYS_NICE] = "CAP_SYS_NICE",
    [CAP_SYS_RESOURCE] = "CAP_SYS_RESOURCE",
    [CAP_SYS_TIME] = "CAP_SYS_TIME",
    [CAP_SYS_TTY_CONFIG] = "CAP_SYS_TTY_CONFIG",
    [CAP_MKNOD] = "CAP_MKNOD",
    [CAP_LEASE] = "CAP_LEASE",
    [CAP_AUDIT_WRITE] = "CAP_AUDIT_WRITE",
    [CAP_AUDIT_CONTROL] = "CAP_AUDIT_CONTROL",
    [CAP_SETFCAP] = "CAP_SETFCAP",
    [CAP_MAC_OVERRIDE] = "CAP_MAC_OVERRIDE",
    [CAP_MAC_ADMIN] = "CAP_MAC_ADMIN",
    [CAP_SYSLOG] = "CAP_SYSLOG",
    [CAP_WAKE_ALARM] = "CAP_WAKE_ALARM",
    [CAP_BLOCK_SUSPEND] = "CAP_BLOCK_SUSPEND",
    [CAP_AUDIT_READ] = "CAP_AUDIT_READ",
    [38] = "CAP_PERFMON", /* 5.8 */
    [39] = "CAP_BPF",
    [40] = "CAP_CHECKPOINT_RESTORE", /* 5.9 */
};

static bool has_prefix(const char *name)
{
    return strncasecmp(name, "CAP_", 4) == 0;
}

int box_capability_number(const char *name, box_error **err)
{
    if (!name || !*name)
        return box_fail(err, BOX_EPARSE, "an empty name is no capability");

    const char *bare = has_prefix(name) ? name + 4 : name;
    for (size_t i = 0; i < BOX_ARRAY(names); i++)
        if (strcasecmp(names[i] + 4, bare) == 0)
            return (int)i;
    int number = capng_name_to_capability(bare);
    if (number >= (int)BOX_ARRAY(names) && number < 64)
        return number;
    return box_fail_with(err,
                         &(struct box_fail_info){.code = BOX_EPARSE,
                                                 .subject = name,
                                                 .remedy = "capabilities(7) lists the names"},
                         "unknown capability");
}

const char *box_capability_name(unsigned number)
{
    return number < BOX_ARRAY(names) ? names[number] : NULL;
}

unsigned box_capability_last(void)
{
    long long last;

    if (box_smallfile_number("/proc/sys/kernel/cap_last_cap", &last) == 0 && last >= 0 && last < 64)
        return (unsigned)last;
    unsigned n = 0;
    while (n < 63 && prctl(PR_CAPBSET_READ, n + 1, 0, 0, 0) >= 0)
        n++;
    return n;
}

uint64_t box_capability_all(void)
{
    return UINT64_MAX >> (63 - box_capability_last());
}

uint64_t box_capability_default(void)
{
    return BOX_CAP_MASK(CAP_CHOWN) | BOX_CAP_MASK(CAP_DAC_OVERRIDE) | BOX_CAP_MASK(CAP_FSETID) |
           BOX_CAP_MASK(CAP_FOWNER) | BOX_CAP_MASK(CAP_MKNOD) | BOX_CAP_MASK(CAP_NET_RAW) |
           BOX_CAP_MASK(CAP_SETGID) | BOX_CAP_MASK(CAP_SETUID) | BOX_CAP_MASK(CAP_SETFCAP) |
           BOX_CAP_MASK(CAP_SETPCAP) | BOX_CAP_MASK(CAP_NET_BIND_SERVICE) | BOX_CAP_MASK(CAP_SYS_CHROOT) |
           BOX_CAP_MASK(CAP_KILL) | BOX_CAP_MASK(CAP_AUDIT_WRITE);
}

static bool is_all(const char *name)
{
    return name && (strcasecmp(name, "ALL") == 0 || strcasecmp(name, "CAP_ALL") == 0);
}

int box_capability_mask(const char *name, uint64_t *mask, box_error **err)
{
    if (is_all(name)) {
        *mask = box_capability_all();
        return 0;
    }
    int n = box_capability_number(name, err);
    if (n < 0)
        return n;
    *mask = BOX_CAP_MASK(n);
    return 0;
}

char *box_capability_format(uint64_t mask)
{
    _buffer_ struct box_buffer b = {0};

    for (unsigned n = 0; n < 64; n++) {
        if (!(mask & BOX_CAP_MASK(n)))
            continue;
        if (b.length)
            box_buffer_putc(&b, ',');
        if (box_capability_name(n))
            box_buffer_puts(&b, box_capability_name(n));
        else
            box_buffer_printf(&b, "%u", n);
    }
    return box_buffer_take(&b);
}

/* A capability that is in the kernel's headers but not in the running kernel. */
static int fail_too_new(box_error **err, uint64_t bits, const char *what)
{
    unsigned n = (unsigned)__builtin_ctzll(bits);

    return box_fail_with(err,
                         &(struct box_fail_info){.code = BOX_EUNSUPPORTED,
                                                 .subject = what,
                                                 .remedy = "leave it out, or use a newer kernel"},
                         "this kernel has no capability %u (%s)", n,
                         box_capability_name(n) ? box_capability_name(n) : "unnamed");
}

/* The union of a list; *all tells whether ALL was in it. */
static int union_of(const char *const *list, size_t n, uint64_t *mask, bool *all, box_error **err)
{
    *mask = 0;
    *all = false;
    for (size_t i = 0; i < n; i++) {
        if (is_all(list[i])) {
            *all = true;
            continue;
        }
        int number = box_capability_number(list[i], err);
        if (number < 0)
            return number;
        *mask |= BOX_CAP_MASK(number);
    }
    return 0;
}

int box_capability_adjust(uint64_t base, const char *const *add, size_t n_add, const char *const *drop,
                          size_t n_drop, uint64_t *mask, box_error **err)
{
    uint64_t added, dropped, kernel = box_capability_all();
    bool add_all, drop_all;

    int r = union_of(add, n_add, &added, &add_all, err);
    if (r == 0)
        r = union_of(drop, n_drop, &dropped, &drop_all, err);
    if (r < 0)
        return r;
    if (added & ~kernel)
        return fail_too_new(err, added & ~kernel, "added capabilities");

    if (add_all)
        *mask = kernel & ~dropped;
    else if (drop_all)
        *mask = added;
    else
        *mask = (base & ~dropped) | added;
    return 0;
}

void box_capset_from_mask(struct box_capset *set, uint64_t mask)
{
    *set = (struct box_capset){.bounding = mask, .permitted = mask, .effective = mask};
}

static int check_within(uint64_t part, uint64_t whole, const char *part_name, const char *whole_name,
                        box_error **err)
{
    uint64_t over = part & ~whole;

    if (!over)
        return 0;
    _free_ char *list = box_capability_format(over);
    if (!list)
        return box_fail_nomem(err);
    return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESPEC, .subject = part_name},
                         "the %s set has what the %s set has not: %s", part_name, whole_name, list);
}

int box_capset_check(const struct box_capset *set, box_error **err)
{
    const struct {
        uint64_t mask;
        const char *name;
    } sets[] = {{set->bounding, "bounding"},
                {set->permitted, "permitted"},
                {set->effective, "effective"},
                {set->inheritable, "inheritable"},
                {set->ambient, "ambient"}};
    uint64_t kernel = box_capability_all();

    for (size_t i = 0; i < BOX_ARRAY(sets); i++)
        if (sets[i].mask & ~kernel)
            return fail_too_new(err, sets[i].mask & ~kernel, sets[i].name);
    int r = check_within(set->effective, set->permitted, "effective", "permitted", err);
    if (r == 0)
        r = check_within(set->ambient, set->permitted, "ambient", "permitted", err);
    if (r == 0)
        r = check_within(set->ambient, set->inheritable, "ambient", "inheritable", err);
    return r;
}

static int kernel_get(struct box_capset *set)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];

    if (syscall(SYS_capget, &header, data) < 0)
        return -errno;
    set->effective = data[0].effective | (uint64_t)data[1].effective << 32;
    set->permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
    set->inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
    return 0;
}

static int kernel_set(const struct box_capset *set)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {
        {(uint32_t)set->effective, (uint32_t)set->permitted, (uint32_t)set->inheritable},
        {(uint32_t)(set->effective >> 32), (uint32_t)(set->permitted >> 32),
         (uint32_t)(set->inheritable >> 32)},
    };

    return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

/* The sets of the calling thread, by system calls: works without a /proc. */
static int read_own(struct box_capset *set, box_error **err)
{
    *set = (struct box_capset){0};
    int r = kernel_get(set);
    if (r < 0)
        return box_fail_with(err, &(struct box_fail_info){.errnum = -r, .call = "capget"},
                             "read the capabilities");
    unsigned last = box_capability_last();
    for (unsigned n = 0; n <= last; n++) {
        if (prctl(PR_CAPBSET_READ, n, 0, 0, 0) == 1)
            set->bounding |= BOX_CAP_MASK(n);
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, n, 0, 0) == 1)
            set->ambient |= BOX_CAP_MASK(n);
    }
    return 0;
}

int box_capset_read(pid_t pid, struct box_capset *set, box_error **err)
{
    char path[32], text[8192];

    if (pid < 0)
        return box_fail(err, BOX_EINVAL, "%d is no process id", (int)pid);
    if (pid == 0)
        return read_own(set, err);

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    ssize_t n = box_smallfile_read(path, text, sizeof(text));
    if (n == -ENOENT || n == -ESRCH)
        return box_fail_with(err,
                             &(struct box_fail_info){.code = BOX_ENOTFOUND, .errnum = ESRCH, .subject = path},
                             "no process %d", (int)pid);
    if (n < 0)
        return box_fail_with(err, &(struct box_fail_info){.errnum = (int)-n, .call = "read", .subject = path},
                             "read the capabilities of process %d", (int)pid);

    struct {
        const char *key;
        uint64_t *mask;
    } fields[] = {{"CapInh", &set->inheritable},
                  {"CapPrm", &set->permitted},
                  {"CapEff", &set->effective},
                  {"CapBnd", &set->bounding},
                  {"CapAmb", &set->ambient}};
    for (size_t i = 0; i < BOX_ARRAY(fields); i++) {
        const char *value = box_smallfile_field(text, fields[i].key);
        if (!value)
            return box_fail_with(err, &(struct box_fail_info){.code = BOX_EUNSUPPORTED, .subject = path},
                                 "there is no %s line", fields[i].key);
        *fields[i].mask = strtoull(value, NULL, 16);
    }
    return 0;
}

static int drop_bounding(uint64_t now, uint64_t wanted, box_error **err)
{
    if (wanted & ~now) {
        _free_ char *list = box_capability_format(wanted & ~now);
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EPERMISSION, .subject = "bounding"},
                             "the bounding set can only shrink, and this thread has lost %s",
                             list ? list : "some of it");
    }
    for (unsigned n = 0; n < 64; n++) {
        if (!(now & ~wanted & BOX_CAP_MASK(n)))
            continue;
        if (prctl(PR_CAPBSET_DROP, n, 0, 0, 0) < 0)
            return box_fail_with(
                err,
                &(struct box_fail_info){.errnum = errno,
                                        .call = "prctl(PR_CAPBSET_DROP)",
                                        .subject = "bounding",
                                        .remedy = errno == EPERM ? "needs CAP_SETPCAP" : NULL},
                "drop capability %u", n);
    }
    return 0;
}

static int set_ambient(uint64_t wanted, box_error **err)
{
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return box_fail_sys(err, "prctl(PR_CAP_AMBIENT)", "ambient", "clear the ambient set");
    for (unsigned n = 0; n < 64; n++)
        if ((wanted & BOX_CAP_MASK(n)) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, n, 0, 0) < 0)
            return box_fail_sys(err, "prctl(PR_CAP_AMBIENT)", "ambient", "raise ambient capability %u", n);
    return 0;
}

int box_capset_apply(const struct box_capset *set, box_error **err)
{
    struct box_capset now;

    int r = box_capset_check(set, err);
    if (r == 0)
        r = read_own(&now, err);
    if (r == 0)
        r = drop_bounding(now.bounding, set->bounding, err);
    if (r < 0)
        return r;

    r = kernel_set(set);
    if (r < 0) {
        _free_ char *list = box_capability_format(set->permitted & ~now.permitted);
        return box_fail_with(err, &(struct box_fail_info){.errnum = -r, .call = "capset"},
                             "set the capabilities%s%s", list && *list ? "; this thread does not have " : "",
                             list ? list : "");
    }
    return set_ambient(set->ambient, err);
}
