/* Limits to writes. First the whole list is made: each limit is matched with the directory that has its
 * controller, converted to what that version of cgroups calls it, and checked against what the kernel offers.
 * Only then is the first byte written, so that a spec that cannot be had changes nothing. Device rules come
 * last: from then on a mistake could lock us out of nothing but devices. */
#include "kernel/cgroup.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "base/array.h"
#include "kernel/cgroup_limits.h"

/* ---- planning ---- */

int cgroup_plan_unsupported(struct cgroup_plan *plan, unsigned controller, const char *field, const char *why,
                            const char *remedy)
{
    if (plan->flags & BOX_CGROUP_LENIENT) {
        plan->not_applied |= controller;
        return 0;
    }
    return box_fail_with(
        plan->err, &(struct box_fail_info){.code = BOX_EUNSUPPORTED, .subject = field, .remedy = remedy},
        "%s", why);
}

static const char *remedy_for(const char *file)
{
    if (strstr(file, "swap") || strstr(file, "memsw"))
        return "boot with swapaccount=1, on a kernel with CONFIG_SWAP";
    if (strstr(file, "weight"))
        return "I/O weights need the BFQ scheduler or, on v2, the iocost controller for a device";
    if (strncmp(file, "cpu.rt_", 7) == 0)
        return "it needs a kernel with CONFIG_RT_GROUP_SCHED";
    if (strncmp(file, "hugetlb.", 8) == 0)
        return "choose one of the page sizes in /sys/kernel/mm/hugepages";
    return NULL;
}

static int plan_value(struct cgroup_plan *plan, const struct cgroup_dir *dir, const char *field,
                      const char *file, char *value, unsigned flags)
{
    struct cgroup_write *write = box_array_add(&plan->writes, &plan->count, &plan->capacity);

    if (!write) {
        free(value);
        return box_fail_nomem(plan->err);
    }
    *write = (struct cgroup_write){
        .dir = dir, .field = strdup(field), .file = strdup(file), .value = value, .flags = flags};
    return write->field && write->file && write->value ? 0 : box_fail_nomem(plan->err);
}

static int check_file(struct cgroup_plan *plan, const struct cgroup_dir *dir, const char *field,
                      const char *file)
{
    char why[256];

    if (cgroup_has_file(dir->fd, file))
        return 1;
    snprintf(why, sizeof(why), "this kernel has no %s", file);
    return cgroup_plan_unsupported(plan, box_controller_of_file(file), field, why, remedy_for(file));
}

int cgroup_plan_write(struct cgroup_plan *plan, const struct cgroup_dir *dir, const char *field,
                      const char *file, const char *fmt, ...)
{
    char *value;
    va_list args;
    int r = check_file(plan, dir, field, file);

    if (r <= 0)
        return r;
    va_start(args, fmt);
    if (vasprintf(&value, fmt, args) < 0)
        value = NULL;
    va_end(args);
    return plan_value(plan, dir, field, file, value, 0);
}

int cgroup_plan_simple(struct cgroup_plan *plan, const struct cgroup_dir *dir, unsigned controller,
                       const struct cgroup_simple *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct box_limit_info *info = &box_limit_table[table[i].limit];
        int64_t value;

        if (info->controller != controller || !box_limits_wants(plan->limits, table[i].limit, &value))
            continue;

        int r = value < 0 ? cgroup_plan_write(plan, dir, info->field, table[i].file, "%s", table[i].unlimited)
                          : cgroup_plan_write(plan, dir, info->field, table[i].file, "%" PRId64, value);

        if (r < 0)
            return r;
        if (plan->count > 0 && strcmp(plan->writes[plan->count - 1].file, table[i].file) == 0)
            plan->writes[plan->count - 1].flags = table[i].flags;
    }
    return 0;
}

/* ---- what both versions share ---- */

int cgroup_plan_memory_max(const struct cgroup_plan *plan, const struct cgroup_dir *dir, const char *file,
                           uint64_t *max)
{
    int64_t value;

    if (box_limits_wants(plan->limits, BOX_LIMIT_MEMORY_MAX, &value)) {
        *max = value < 0 ? BOX_CGROUP_UNLIMITED : (uint64_t)value;
        return 0;
    }
    return cgroup_read_u64(dir->fd, file, max);
}

int cgroup_plan_check_usage(const struct cgroup_plan *plan, const struct cgroup_dir *dir, const char *file)
{
    int64_t check, max;
    uint64_t usage;

    if (!box_limits_wants(plan->limits, BOX_LIMIT_MEMORY_CHECK_BEFORE_UPDATE, &check) || !check ||
        !box_limits_wants(plan->limits, BOX_LIMIT_MEMORY_MAX, &max) || max < 0)
        return 0;

    int r = cgroup_read_u64(dir->fd, file, &usage);

    if (r < 0)
        return cgroup_fail(plan->err, dir, file, r, box_limit_table[BOX_LIMIT_MEMORY_MAX].field,
                           "check the usage");
    if (usage <= (uint64_t)max)
        return 0;
    return box_fail_with(
        plan->err,
        &(struct box_fail_info){.code = BOX_ESPEC,
                                .subject = box_limit_table[BOX_LIMIT_MEMORY_MAX].field,
                                .remedy = "choose a higher limit, or do without checkBeforeUpdate"},
        "%" PRIu64 " bytes are in use, more than the new limit of %" PRId64, usage, max);
}

bool cgroup_burst_first(const struct cgroup_plan *plan, const struct cgroup_dir *dir, const char *file)
{
    int64_t quota;
    uint64_t burst;

    return box_limits_wants(plan->limits, BOX_LIMIT_CPU_QUOTA, &quota) && quota >= 0 &&
           cgroup_read_u64(dir->fd, file, &burst) == 0 && burst > (uint64_t)quota;
}

static int plan_cpuset(struct cgroup_plan *plan, const struct cgroup_dir *dir)
{
    const box_limits *l = plan->limits;
    int r =
        l->cpus ? cgroup_plan_write(plan, dir, "linux.resources.cpu.cpus", "cpuset.cpus", "%s", l->cpus) : 0;

    if (r == 0 && l->mems)
        r = cgroup_plan_write(plan, dir, "linux.resources.cpu.mems", "cpuset.mems", "%s", l->mems);
    return r;
}

static int plan_rdma(struct cgroup_plan *plan, const struct cgroup_dir *dir)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < plan->limits->rdma_count; i++) {
        const struct box_rdma_limit *rdma = &plan->limits->rdma[i];
        char handles[40] = "", objects[40] = "";

        if (rdma->handles >= 0)
            snprintf(handles, sizeof(handles), " hca_handle=%" PRId64, rdma->handles);
        if (rdma->objects >= 0)
            snprintf(objects, sizeof(objects), " hca_object=%" PRId64, rdma->objects);
        if (*handles || *objects)
            r = cgroup_plan_write(plan, dir, "linux.resources.rdma", "rdma.max", "%s%s%s", rdma->device,
                                  handles, objects);
    }
    return r;
}

static const struct cgroup_simple pids_table[] = {{BOX_LIMIT_PIDS_MAX, "pids.max", "max", 0}};

static int plan_controller(struct cgroup_plan *plan, unsigned controller)
{
    const struct cgroup_dir *dir = cgroup_dir_for(plan->cgroup, controller);

    switch (controller) {
    case BOX_CONTROLLER_CPUSET:
        return plan_cpuset(plan, dir);
    case BOX_CONTROLLER_RDMA:
        return plan_rdma(plan, dir);
    case BOX_CONTROLLER_PIDS:
        return cgroup_plan_simple(plan, dir, controller, pids_table, BOX_ARRAY(pids_table));
    default:
        return dir->v2 ? cgroup_v2_plan(plan, dir, controller) : cgroup_v1_plan(plan, dir, controller);
    }
}

/* ---- the unified map ---- */

/* A value of several lines is several writes, as the files want it. */
static int plan_raw_lines(struct cgroup_plan *plan, const struct cgroup_dir *dir, const char *field,
                          const struct box_raw_limit *raw)
{
    const char *line = raw->value;
    int r = check_file(plan, dir, field, raw->file);

    if (r <= 0)
        return r;
    do {
        size_t length = strcspn(line, "\n");

        r = plan_value(plan, dir, field, raw->file, strndup(line, length), 0);
        line += length + (line[length] == '\n');
    } while (r == 0 && *line);
    return r;
}

static int plan_raw(struct cgroup_plan *plan, const struct box_raw_limit *raw)
{
    unsigned controller = box_controller_of_file(raw->file);
    const struct cgroup_dir *dir =
        cgroup_dir_for(plan->cgroup, controller ? controller : BOX_CONTROLLER_UNIFIED);
    _free_ char *field = NULL;
    int r;

    if (asprintf(&field, "linux.resources.unified.%s", raw->file) < 0) {
        field = NULL;
        return box_fail_nomem(plan->err);
    }
    if (dir && !dir->v2 && cgroup_v1_has_raw(raw->file))
        return 0;
    if (dir && dir->v2)
        r = plan_raw_lines(plan, dir, field, raw);
    else
        r = cgroup_plan_unsupported(plan, controller, field,
                                    "this host has no such file: it is one of cgroup v2's",
                                    "boot with cgroup v2: systemd.unified_cgroup_hierarchy=1");
    return r;
}

/* ---- which field asks for a controller ---- */

/* The first field that needs it, for the error that there is none. */
static const char *asking_field(const box_limits *limits, unsigned controller)
{
    static const struct {
        unsigned controller;
        const char *field;
    } lists[] = {
        {BOX_CONTROLLER_CPUSET, "linux.resources.cpu.cpus"},
        {BOX_CONTROLLER_IO, "linux.resources.blockIO"},
        {BOX_CONTROLLER_HUGETLB, "linux.resources.hugepageLimits"},
        {BOX_CONTROLLER_RDMA, "linux.resources.rdma"},
        {BOX_CONTROLLER_NET_PRIO, "linux.resources.network.priorities"},
        {BOX_CONTROLLER_DEVICES, "linux.resources.devices"},
    };

    for (int i = 0; i < BOX_LIMIT_COUNT; i++) {
        if (box_limit_table[i].controller == controller && box_limits_wants(limits, (enum box_limit)i, NULL))
            return box_limit_table[i].field;
    }
    for (size_t i = 0; i < BOX_ARRAY(lists); i++) {
        if (lists[i].controller == controller)
            return lists[i].field;
    }
    return "linux.resources.unified";
}

static int plan_missing(struct cgroup_plan *plan, unsigned controller)
{
    char why[128];

    snprintf(why, sizeof(why), "the cgroup has no \"%s\" controller", box_controller_name(controller));
    return cgroup_plan_unsupported(
        plan, controller, asking_field(plan->limits, controller), why,
        controller & (BOX_CONTROLLER_NET_CLS | BOX_CONTROLLER_NET_PRIO)
            ? "it exists on cgroup v1 only; on v2 use nftables with \"socket cgroupv2\""
            : "see box_cgroup_controllers() for what this host offers here");
}

static int plan_all(struct cgroup_plan *plan)
{
    unsigned needed = box_limits_controllers(plan->limits) & ~(unsigned)BOX_CONTROLLER_DEVICES;
    unsigned has = box_cgroup_has(plan->cgroup);
    int r = 0;

    for (unsigned bit = 1; r == 0 && bit <= BOX_CONTROLLER_UNIFIED; bit <<= 1) {
        if (needed & bit)
            r = has & bit ? plan_controller(plan, bit) : plan_missing(plan, bit);
    }
    for (size_t i = 0; r == 0 && i < plan->limits->raw_count; i++)
        r = plan_raw(plan, &plan->limits->raw[i]);
    return r;
}

/* ---- carrying out ---- */

static int fail_write(struct cgroup_plan *plan, const struct cgroup_write *write, int r)
{
    _free_ char *call = NULL;
    struct box_fail_info info = {.errnum = -r, .subject = write->field};

    if (r == -ENOMEM || asprintf(&call, "%s/%s", write->dir->directory, write->file) < 0) {
        call = NULL;
        return box_fail_nomem(plan->err);
    }
    info.call = call;
    if (r == -EINVAL || r == -ERANGE || r == -E2BIG)
        info.code = BOX_ESPEC;
    /* A block device, RDMA device or network interface that does not exist. */
    if (r == -ENODEV && strncmp(write->field, "linux.resources.unified", 23) != 0 &&
        cgroup_has_file(write->dir->fd, "cgroup.procs"))
        info.code = BOX_ESPEC;
    if (r == -EBUSY)
        info.remedy = "more than that is in use and cannot be reclaimed";
    if (strncmp(write->file, "cpuset.", 7) == 0)
        info.remedy =
            "choose from those of the cgroup above, in its cpuset.cpus.effective or cpuset.mems.effective";
    return box_fail_with(plan->err, &info, "the kernel refuses \"%s\"", write->value);
}

static int perform(const struct cgroup_write *write)
{
    return cgroup_write(write->dir->fd, write->file, write->value);
}

static int carry_out(struct cgroup_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        struct cgroup_write *write = &plan->writes[i];
        int r = perform(write);

        if (r == -EINVAL && write->flags & CGROUP_WRITE_MAY_SWAP && i + 1 < plan->count) {
            struct cgroup_write later = *write;

            plan->writes[i] = plan->writes[i + 1];
            plan->writes[i + 1] = later;
            plan->writes[i + 1].flags = 0;
            r = perform(write);
        }
        if ((r == -EACCES || r == -EPERM || r == -EOPNOTSUPP) && plan->flags & BOX_CGROUP_LENIENT) {
            plan->not_applied |= box_controller_of_file(write->file);
            continue;
        }
        if (r < 0)
            return fail_write(plan, write, r);
    }
    return 0;
}

static void free_plan(struct cgroup_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        free(plan->writes[i].field);
        free(plan->writes[i].file);
        free(plan->writes[i].value);
    }
    free(plan->writes);
}

/* ---- devices ---- */

static int apply_devices_v2(struct cgroup_plan *plan, const struct cgroup_dir *dir)
{
    const char *field = "linux.resources.devices", *call = "bpf";
    int r = cgroup_bpf_apply(dir, plan->limits->devices, plan->limits->device_count, &call);

    if (r == 0)
        return 0;
    if (r == -ENOMEM)
        return box_fail_nomem(plan->err);
    if (r == -EINVAL || r == -ENOSYS)
        return cgroup_plan_unsupported(plan, BOX_CONTROLLER_DEVICES, field,
                                       "this kernel has no device programs for cgroups",
                                       "it needs CONFIG_CGROUP_BPF and CONFIG_BPF_SYSCALL");
    return box_fail_with(plan->err, &(struct box_fail_info){.errnum = -r, .call = call, .subject = field},
                         "restrict the devices of the cgroup");
}

/* Devices cannot be restricted by who is not the real root. Nor need they be: the kernel lets such a process
 * make no device node, and opens none in a file system that it mounted. */
static bool devices_not_for_us(const struct cgroup_dir *dir)
{
    if (!dir || dir->v2)
        return !cgroup_bpf_allowed();
    return faccessat(dir->fd, "devices.deny", W_OK, AT_EACCESS) < 0 && (errno == EACCES || errno == EROFS);
}

static int apply_devices(struct cgroup_plan *plan, const struct cgroup_device_set *v1)
{
    const struct cgroup_dir *dir = cgroup_dir_for(plan->cgroup, BOX_CONTROLLER_DEVICES);

    if (plan->limits->device_count == 0)
        return 0;
    if (devices_not_for_us(dir)) {
        plan->not_applied |= BOX_CONTROLLER_DEVICES;
        return 0;
    }
    if (!dir)
        return plan_missing(plan, BOX_CONTROLLER_DEVICES);
    return dir->v2 ? apply_devices_v2(plan, dir) : cgroup_devices_v1_apply(dir, v1, plan->err);
}

/* Rules that v1 cannot express are found before anything is written. */
static int compile_devices(struct cgroup_plan *plan, struct cgroup_device_set *set)
{
    const struct cgroup_dir *dir = cgroup_dir_for(plan->cgroup, BOX_CONTROLLER_DEVICES);

    if (!dir || dir->v2 || plan->limits->device_count == 0)
        return 0;
    return cgroup_devices_v1_compile(plan->limits->devices, plan->limits->device_count, set, plan->err);
}

/* ---- applying ---- */

int cgroup_apply(box_cgroup *cgroup, const box_limits *limits, unsigned flags, box_error **err)
{
    struct cgroup_plan plan = {.cgroup = cgroup, .limits = limits, .flags = flags, .err = err};
    struct cgroup_device_set devices = {0};
    int r = box_limits_check(limits, err);

    if (r == 0)
        r = plan_all(&plan);
    if (r == 0)
        r = compile_devices(&plan, &devices);
    if (r == 0)
        r = carry_out(&plan);
    if (r == 0)
        r = apply_devices(&plan, &devices);
    free_plan(&plan);
    cgroup_device_set_free(&devices);
    cgroup->not_applied = plan.not_applied;
    return r;
}

int box_cgroup_apply(box_cgroup *cgroup, const box_limits *limits, unsigned flags, box_error **err)
{
    if (!cgroup)
        return box_fail(err, BOX_EINVAL, "no cgroup given");
    if (!limits)
        return 0;

    unsigned missing = box_limits_controllers(limits) & ~box_cgroup_has(cgroup);
    int r = missing ? cgroup_extend(cgroup, missing, err) : 0;

    return r < 0 ? r : cgroup_apply(cgroup, limits, flags, err);
}
