/* The short formats: mount options, id maps, subuid files, CPU lists, limits, labels, and the files of cgroups. The first
 * byte chooses; the rest is the text. What is read is written and read again where there is a way back. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <libbox/capability.h>
#include <libbox/idmap.h>
#include <libbox/lsm.h>
#include <libbox/rlimit.h>
#include <libbox/sched.h>

#include "base/cleanup.h"
#include "base/strings.h"
#include "kernel/cgroup.h"
#include "kernel/idmap_subid.h"
#include "kernel/mount_options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Told by the fuzzer as a crash. */
static void must(bool holds)
{
    if (!holds)
        abort();
}

static int told(int r, box_error **err)
{
    must((r < 0) == (*err != NULL));
    box_error_free(*err);
    *err = NULL;
    return r;
}

/* The comma string for mount(2) means the same as what it was made of. */
static void mount_options(char *text)
{
    _cleanup_mount_options_ struct box_mount_options one = {0}, two = {0};
    box_error *err = NULL;

    if (told(box_mount_options_parse(text, &one, &err), &err) < 0)
        return;
    must(one.data && !(one.attr_set & one.attr_clear & ~(uint64_t)BOX_ATTR__ATIME) && !(one.sb_flags & one.sb_clear));
    for (size_t i = 0; i < one.n_params; i++) {
        must(one.params[i].key && *one.params[i].key);
        if (one.params[i].value && strchr(one.params[i].value, '"')) /* has no spelling that keeps it */
            return;
    }
    must(box_mount_options_parse(one.data, &two, NULL) == 0 && one.n_params == two.n_params);
    for (size_t i = 0; i < one.n_params; i++)
        must(!strcmp(one.params[i].key, two.params[i].key) &&
             box_streq(one.params[i].value ? one.params[i].value : "", two.params[i].value ? two.params[i].value : ""));
}

static void idmap(char *text)
{
    box_idmap *map = box_idmap_new(NULL);
    box_error *err = NULL;
    uint32_t outside = 0, inside = 0;

    if (told(box_idmap_parse(map, BOX_IDMAP_UID, text, &err), &err) < 0)
        must(box_idmap_count(map, BOX_IDMAP_UID) == 0);
    for (size_t i = 0; i < box_idmap_count(map, BOX_IDMAP_UID); i++) {
        box_idmap_range range;
        must(box_idmap_get(map, BOX_IDMAP_UID, i, &range) == 0 && range.count);
        must(box_idmap_to_outside(map, BOX_IDMAP_UID, range.inside, &outside) && outside == range.outside);
        must(box_idmap_to_inside(map, BOX_IDMAP_UID, range.outside, &inside) && inside == range.inside);
    }
    box_idmap_free(map);
}

static void subid(char *text)
{
    struct box_subid_range *ranges = NULL;
    struct box_subid_user user = {0};
    box_error *err = NULL;
    size_t n = 0, length = strlen(text);

    told(box_subid_parse("subuid", text, length, "user", 1000, &ranges, &n, &err), &err);
    free(ranges);
    if (told(box_subid_user("passwd", text, length, NULL, 1000, &user, &err), &err) == 0)
        must(!user.name || user.uid == 1000);
    free(user.name);
    user.name = NULL;
    if (told(box_subid_user("passwd", text, length, "user", 0, &user, &err), &err) == 0)
        must(!user.name || !strcmp(user.name, "user"));
    free(user.name);
}

static void cpus(char *text)
{
    _free_ uint64_t *mask = NULL;
    box_error *err = NULL;
    size_t words = 0;

    if (told(box_cpu_list_parse(text, &mask, &words, &err), &err) == 0)
        must(mask && words);
}

static void names(char *text)
{
    struct box_rlimit limit;
    box_error *err = NULL;
    uint64_t value;
    unsigned octal;
    int64_t duration;

    if (told(box_rlimit_parse(text, &limit, &err), &err) == 0)
        must(limit.soft <= limit.hard && box_rlimit_name(limit.resource));
    told(box_lsm_label_check(BOX_LSM_APPARMOR, text, &err), &err);
    told(box_lsm_label_check(BOX_LSM_SELINUX, text, &err), &err);
    told(box_parse_size(text, "size", &value, &err), &err);
    told(box_parse_duration(text, "time", &duration, &err), &err);
    if (told(box_parse_octal(text, "mode", 07777, &octal, &err), &err) == 0)
        must(octal <= 07777);
}

static void mountinfo(char *text)
{
    struct box_cgroup_host *host = calloc(1, sizeof(*host));
    box_error *err = NULL;

    must(host != NULL);
    if (told(cgroup_host_parse_mountinfo(host, text, NULL, &err), &err) == 0) {
        _free_ char *own = strdup("12:cpu,cpuacct:/a\n1:name=systemd:/b\n0::/c\n");
        told(cgroup_host_parse_own(host, own, &err), &err);
    }
    box_cgroup_host_free(host);
}

static void own(char *text)
{
    struct box_cgroup_host *host = calloc(1, sizeof(*host));
    _free_ char *mounts = strdup("30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n"
                                 "31 24 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n");
    box_error *err = NULL;

    must(host != NULL);
    told(cgroup_host_parse_mountinfo(host, mounts, NULL, &err), &err);
    told(cgroup_host_parse_own(host, text, &err), &err);
    box_cgroup_host_free(host);
}

static void statistics(char *text)
{
    struct box_cgroup_stats *stats = calloc(1, sizeof(*stats));
    struct box_pressure pressure;
    struct cgroup_device_set set = {0};
    _free_ char *again = strdup(text), *third = strdup(text), *fourth = strdup(text);

    must(stats && again && third && fourth);
    cgroup_parse_io_stat(stats, text);
    cgroup_parse_blkio(stats, again, false);
    cgroup_parse_pressure(third, &pressure);
    if (cgroup_devices_v1_parse(fourth, &set) == 0)
        cgroup_device_set_free(&set);
    box_cgroup_stats_free(stats);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const formats[])(char *) = {mount_options, idmap, subid, cpus, names, mountinfo, own, statistics};
    _free_ char *text = size ? malloc(size) : NULL;

    if (!text)
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    formats[(data[0] - '0') & 7](text);
    return 0;
}
