/* From the flags of `run` to a spec. Names, units and meanings are Docker's. */
#include "run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define MEMORY_LEAST (6 << 20)

/* What Docker refuses before it looks at an image, and what there is nobody here to do. */
static bool check_options(const struct run_options *o)
{
    static const char *const streams[] = {"stdin", "stdout", "stderr"};

    for (size_t i = 0; i < o->attach.n; i++)
        if (strcasecmp(o->attach.items[i], streams[0]) != 0 && strcasecmp(o->attach.items[i], streams[1]) != 0 &&
            strcasecmp(o->attach.items[i], streams[2]) != 0)
            return fail_text("invalid argument \"%s\" for \"-a, --attach\": valid streams are STDIN, STDOUT and STDERR.",
                             o->attach.items[i]),
                   false;
    if (o->attach.n && o->detach)
        return fail_text("Conflicting options: -a and -d."), false;
    if (o->detach_keys && !check_detach_keys(o->detach_keys))
        return fail_text("invalid detach keys: %s.", o->detach_keys), false;
    int64_t swap = 0;
    if (!o->memory && o->memory_swap && parse_size(o->memory_swap, &swap) && swap > 0)
        return fail_text("You should always set the Memory limit when using Memoryswap limit, see usage."), false;
    if (o->workdir && o->workdir[0] != '/')
        return fail_text("the working directory '%s' is invalid, it needs to be an absolute path.", o->workdir), false;
    if (o->publish.n || o->publish_all)
        return fail_text("ports cannot be published: a container has no network but none and host."), false;
    if (o->restart && *o->restart && strcmp(o->restart, "no") != 0)
        return fail_text("invalid restart policy: %s: without a daemon nobody is there to start it again.", o->restart), false;
    if (o->log_driver && strcmp(o->log_driver, "local") != 0 && strcmp(o->log_driver, "json-file") != 0)
        return fail_text("logger: no log driver named '%s' is registered.", o->log_driver), false;
    if (o->pull && strcmp(o->pull, "always") != 0 && strcmp(o->pull, "missing") != 0 && strcmp(o->pull, "never") != 0)
        return fail_text("invalid pull option: '%s': must be one of \"always\", \"missing\" or \"never\".", o->pull), false;
    return true;
}

int read_run_options(int argc, char **argv, struct run_options *o, const char *usage)
{
    const struct flag flags[] = {
        {'a', "attach", FLAG_LIST, &o->attach, "stdin, stdout or stderr alone"},
        {'i', "interactive", FLAG_BOOL, &o->interactive, "Keep standard input open"},
        {'t', "tty", FLAG_BOOL, &o->tty, "Give it a terminal"},
        {'d', "detach", FLAG_BOOL, &o->detach, "Run it in the background and print its id"},
        {0, "detach-keys", FLAG_TEXT, &o->detach_keys, "KEYS for leaving it, such as ctrl-p,ctrl-q"},
        {0, "sig-proxy", FLAG_BOOL, &o->sig_proxy, "Pass signals on (true)"},
        {0, "rm", FLAG_BOOL, &o->remove, "Remove it when it ends"},
        {0, "name", FLAG_TEXT, &o->name, "NAME"},
        {'e', "env", FLAG_LIST, &o->env, "NAME=VALUE, or NAME to take it from here"},
        {0, "env-file", FLAG_LIST, &o->env_file, "FILE of such lines"},
        {'w', "workdir", FLAG_TEXT, &o->workdir, "DIR in the container"},
        {'u', "user", FLAG_TEXT, &o->user, "USER[:GROUP], names or numbers of the image"},
        {0, "group-add", FLAG_LIST, &o->group_add, "GID further group"},
        {'v', "volume", FLAG_LIST, &o->volumes, "SOURCE:DESTINATION[:OPTIONS], or NAME:DESTINATION"},
        {0, "mount", FLAG_LIST, &o->mounts, "type=bind|tmpfs|volume,source=…,destination=…[,readonly]"},
        {0, "volumes-from", FLAG_LIST, &o->volumes_from, "CONTAINER[:ro] whose mounts it has too"},
        {0, "tmpfs", FLAG_LIST, &o->tmpfs, "DESTINATION[:OPTIONS]"},
        {0, "read-only", FLAG_BOOL, &o->read_only, "The root cannot be written to"},
        {'m', "memory", FLAG_TEXT, &o->memory, "SIZE such as 512m"},
        {0, "memory-swap", FLAG_TEXT, &o->memory_swap, "SIZE of memory and swap together; -1: no limit"},
        {0, "memory-reservation", FLAG_TEXT, &o->memory_reservation, "SIZE it is taken back to under pressure"},
        {0, "memory-swappiness", FLAG_TEXT, &o->memory_swappiness, "NUMBER, 0 to 100"},
        {0, "oom-kill-disable", FLAG_BOOL, &o->oom_kill_disable, "Hold it up instead when memory is out (cgroup v1)"},
        {0, "cpus", FLAG_TEXT, &o->cpus, "NUMBER such as 1.5"},
        {'c', "cpu-shares", FLAG_TEXT, &o->cpu_shares, "NUMBER; 1024 is usual"},
        {0, "cpu-period", FLAG_TEXT, &o->cpu_period, "MICROSECONDS over which the quota counts"},
        {0, "cpu-quota", FLAG_TEXT, &o->cpu_quota, "MICROSECONDS of CPU in a period"},
        {0, "cpuset-cpus", FLAG_TEXT, &o->cpuset_cpus, "LIST such as 0-2,4"},
        {0, "cpuset-mems", FLAG_TEXT, &o->cpuset_mems, "LIST of memory nodes"},
        {0, "pids-limit", FLAG_TEXT, &o->pids_limit, "NUMBER of processes and threads"},
        {0, "blkio-weight", FLAG_TEXT, &o->blkio_weight, "NUMBER, 10 to 1000"},
        {0, "device-read-bps", FLAG_LIST, &o->device_rate[0], "DEVICE:SIZE a second"},
        {0, "device-write-bps", FLAG_LIST, &o->device_rate[1], "DEVICE:SIZE a second"},
        {0, "device-read-iops", FLAG_LIST, &o->device_rate[2], "DEVICE:NUMBER a second"},
        {0, "device-write-iops", FLAG_LIST, &o->device_rate[3], "DEVICE:NUMBER a second"},
        {0, "cap-add", FLAG_LIST, &o->cap_add, "CAPABILITY, or ALL"},
        {0, "cap-drop", FLAG_LIST, &o->cap_drop, "CAPABILITY, or ALL"},
        {0, "security-opt", FLAG_LIST, &o->security, "no-new-privileges[=false], seccomp=FILE|unconfined, apparmor=, label="},
        {0, "network", FLAG_TEXT, &o->network, "none, host or container:NAME"},
        {0, "net", FLAG_TEXT, &o->network, "as --network"},
        {0, "add-host", FLAG_LIST, &o->add_host, "NAME:ADDRESS for its /etc/hosts"},
        {0, "dns", FLAG_LIST, &o->dns, "ADDRESS of a name server for its /etc/resolv.conf"},
        {0, "dns-search", FLAG_LIST, &o->dns_search, "DOMAIN to search in"},
        {0, "dns-option", FLAG_LIST, &o->dns_option, "OPTION of resolv.conf(5)"},
        {'p', "publish", FLAG_LIST, &o->publish, "There is no network to publish ports of yet"},
        {'P', "publish-all", FLAG_BOOL, &o->publish_all, "likewise"},
        {0, "expose", FLAG_LIST, &o->expose, "PORT; a remark only"},
        {0, "pid", FLAG_TEXT, &o->pid, "host or container:NAME"},
        {0, "ipc", FLAG_TEXT, &o->ipc, "private, host or container:NAME"},
        {0, "cgroupns", FLAG_TEXT, &o->cgroupns, "private or host"},
        {0, "uts", FLAG_TEXT, &o->uts, "host"},
        {0, "userns", FLAG_TEXT, &o->userns, "host, or auto for subordinate ids"},
        {0, "entrypoint", FLAG_TEXT, &o->entrypoint, "PROGRAM in place of the image's"},
        {0, "init", FLAG_BOOL, &o->init, "An init as the first process, which reaps and passes signals on"},
        {0, "ulimit", FLAG_LIST, &o->ulimit, "NAME=SOFT[:HARD]"},
        {0, "device", FLAG_LIST, &o->device, "HOST[:INSIDE[:rwm]]"},
        {'h', "hostname", FLAG_TEXT, &o->hostname, "NAME"},
        {0, "domainname", FLAG_TEXT, &o->domainname, "NAME, of NIS"},
        {0, "device-cgroup-rule", FLAG_LIST, &o->device_rule, "\"TYPE MAJOR:MINOR ACCESS\" of devices it may use"},
        {0, "privileged", FLAG_BOOL, &o->privileged, "Everything allowed: such a container can take over the host"},
        {'l', "label", FLAG_LIST, &o->label, "KEY=VALUE"},
        {0, "label-file", FLAG_LIST, &o->label_file, "FILE of such lines"},
        {0, "annotation", FLAG_LIST, &o->annotation, "KEY=VALUE"},
        {0, "sysctl", FLAG_LIST, &o->sysctl, "NAME=VALUE"},
        {0, "oom-score-adj", FLAG_TEXT, &o->oom_score_adj, "NUMBER, -1000 to 1000"},
        {0, "shm-size", FLAG_TEXT, &o->shm_size, "SIZE of /dev/shm"},
        {0, "cgroup-parent", FLAG_TEXT, &o->cgroup_parent, "PATH below which its cgroup is made"},
        {0, "stop-signal", FLAG_TEXT, &o->stop_signal, "SIGNAL it is stopped by"},
        {0, "stop-timeout", FLAG_TEXT, &o->stop_timeout, "SECONDS it is given then"},
        {0, "pull", FLAG_TEXT, &o->pull, "missing, always or never: when the image is pulled"},
        {0, "platform", FLAG_TEXT, &o->platform, "OS/ARCHITECTURE that the image must have, and is pulled for"},
        {0, "restart", FLAG_TEXT, &o->restart, "no: nobody is there to start it again"},
        {0, "log-driver", FLAG_TEXT, &o->log_driver, "local"},
        {0, "log-opt", FLAG_LIST, &o->log_opt, "KEY=VALUE; a remark only"},
        {0, "no-healthcheck", FLAG_BOOL, &o->no_healthcheck, "There are none yet"},
        {'q', "quiet", FLAG_BOOL, &o->quiet, "No progress of a pull"},
        {0, "cidfile", FLAG_TEXT, &o->cidfile, "FILE to write its id to"},
        {0},
    };

    o->sig_proxy = true;
    int first = read_flags(argc, argv, flags, false, usage);
    return first < 0 ? first : check_options(o) ? first : -1;
}

/* ---- limits ---------------------------------------------------------------------------------------------------------- */

int wrong(box_error **err, const char *flag, const char *value)
{
    /* The library makes errors; the program only has to say this one. */
    (void)err;
    fprintf(stderr, "box: invalid argument \"%s\" for \"--%s\".\n", value, flag);
    return BOX_EINVAL;
}

static bool number(const char *text, int64_t *out)
{
    char *end;

    *out = strtoll(text, &end, 10);
    return end != text && !*end;
}

static int set_size(box_limits *limits, enum box_limit limit, const char *flag, const char *text, box_error **err)
{
    int64_t bytes;

    if (!text)
        return 0;
    return parse_size(text, &bytes) ? box_limits_set(limits, limit, bytes, err) : wrong(err, flag, text);
}

static int set_number(box_limits *limits, enum box_limit limit, const char *flag, const char *text, box_error **err)
{
    int64_t n;

    if (!text)
        return 0;
    if (!number(text, &n))
        return wrong(err, flag, text);
    /* Docker's 0, and its -1 where there is a limit at all: none. */
    if (n == 0 && (limit == BOX_LIMIT_PIDS_MAX || limit == BOX_LIMIT_CPU_SHARES || limit == BOX_LIMIT_IO_WEIGHT))
        return 0;
    return box_limits_set(limits, limit, n, err);
}

/* Docker's own bounds: below them nothing would start, above them nothing would be limited. */
static int check_limits(const struct run_options *o, box_error **err)
{
    int64_t memory = 0, swap = 0, reservation = 0;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    char *end;

    if (o->memory && (!parse_size(o->memory, &memory) || memory < 0))
        return wrong(err, "memory", o->memory);
    if (o->memory_swap && !parse_size(o->memory_swap, &swap))
        return wrong(err, "memory-swap", o->memory_swap);
    if (o->memory_reservation && (!parse_size(o->memory_reservation, &reservation) || reservation < 0))
        return wrong(err, "memory-reservation", o->memory_reservation);
    if (memory > 0 && memory < MEMORY_LEAST)
        return fail_text("Minimum memory limit allowed is 6MB."), BOX_EINVAL;
    if (memory > 0 && swap > 0 && swap < memory)
        return fail_text("Minimum memoryswap limit should be larger than memory limit, see usage."), BOX_EINVAL;
    if (memory > 0 && reservation > memory)
        return fail_text("Minimum memory limit can not be less than memory reservation limit, see usage."), BOX_EINVAL;
    if (o->cpus) {
        double n = strtod(o->cpus, &end);
        if (end == o->cpus || *end || !(n >= 0))
            return wrong(err, "cpus", o->cpus);
        if (n > 0 && (n < 0.01 || n > (double)cpus))
            return fail_text("Range of CPUs is from 0.01 to %ld.00, as there are only %ld CPUs available.", cpus, cpus), BOX_EINVAL;
        if (n > 0 && (o->cpu_period || o->cpu_quota))
            return fail_text("Conflicting options: Nano CPUs and CPU %s cannot both be set.", o->cpu_period ? "Period" : "Quota"),
                   BOX_EINVAL;
    }
    return 0;
}

/* "/dev/sda:10mb" */
static int add_rate(box_limits *limits, size_t which, const char *text, box_error **err)
{
    static const char *const flags[] = {"device-read-bps", "device-write-bps", "device-read-iops", "device-write-iops"};
    const char *colon = strrchr(text, ':');
    char *path = colon ? strndup(text, (size_t)(colon - text)) : NULL;
    struct stat st;
    int64_t value = 0;

    if (!path || !(which < 2 ? parse_size(colon + 1, &value) : number(colon + 1, &value)) || value < 0) {
        free(path);
        return wrong(err, flags[which], text);
    }
    if (stat(path, &st) < 0 || !S_ISBLK(st.st_mode)) {
        fail_text("--%s: %s is no block device.", flags[which], path);
        free(path);
        return BOX_EINVAL;
    }
    free(path);
    struct box_io_rate rate = {.kind = (enum box_io_rate_kind)which,
                               .major = (unsigned)major(st.st_rdev),
                               .minor = (unsigned)minor(st.st_rdev),
                               .rate = (uint64_t)value};
    return box_limits_set_io_rate(limits, &rate, err);
}

int add_limits(box_limits *limits, const struct run_options *o, box_error **err)
{
    int r;

    if ((r = check_limits(o, err)) < 0 || (r = set_size(limits, BOX_LIMIT_MEMORY_MAX, "memory", o->memory, err)) < 0 ||
        (r = set_size(limits, BOX_LIMIT_MEMORY_AND_SWAP, "memory-swap", o->memory_swap, err)) < 0 ||
        (r = set_size(limits, BOX_LIMIT_MEMORY_LOW, "memory-reservation", o->memory_reservation, err)) < 0 ||
        (r = set_number(limits, BOX_LIMIT_CPU_SHARES, "cpu-shares", o->cpu_shares, err)) < 0 ||
        (r = set_number(limits, BOX_LIMIT_IO_WEIGHT, "blkio-weight", o->blkio_weight, err)) < 0 ||
        (r = set_number(limits, BOX_LIMIT_PIDS_MAX, "pids-limit", o->pids_limit, err)) < 0)
        return r;
    if ((r = set_number(limits, BOX_LIMIT_CPU_PERIOD, "cpu-period", o->cpu_period, err)) < 0 ||
        (r = set_number(limits, BOX_LIMIT_CPU_QUOTA, "cpu-quota", o->cpu_quota, err)) < 0 ||
        (r = set_number(limits, BOX_LIMIT_MEMORY_SWAPPINESS, "memory-swappiness", o->memory_swappiness, err)) < 0 ||
        (o->oom_kill_disable && (r = box_limits_set(limits, BOX_LIMIT_MEMORY_OOM_KILL_DISABLE, 1, err)) < 0))
        return r;
    for (size_t i = 0; i < 4; i++)
        for (size_t k = 0; k < o->device_rate[i].n; k++)
            if ((r = add_rate(limits, i, o->device_rate[i].items[k], err)) < 0)
                return r;
    if (o->cpus && strtod(o->cpus, NULL) > 0 && (r = box_limits_set_cpus(limits, strtod(o->cpus, NULL), err)) < 0)
        return r;
    if (o->cpuset_cpus && (r = box_limits_set_cpuset_cpus(limits, o->cpuset_cpus, err)) < 0)
        return r;
    return o->cpuset_mems ? box_limits_set_cpuset_mems(limits, o->cpuset_mems, err) : 0;
}

/* ---- environment and labels ------------------------------------------------------------------------------------------------------- */

static int add_pair(box_spec *spec, const char *text, int (*setter)(box_spec *, const char *, const char *, box_error **),
                    box_error **err)
{
    const char *equals = strchr(text, '=');
    char *key = equals ? strndup(text, (size_t)(equals - text)) : strdup(text);
    int r = key ? setter(spec, key, equals ? equals + 1 : "", err) : BOX_ENOMEM;

    free(key);
    return r;
}

static int add_env(box_spec *spec, const char *entry, box_error **err)
{
    const char *equals = strchr(entry, '=');

    if (equals == entry || !*entry)
        return fail_text("invalid environment variable: %s.", entry), BOX_EINVAL;
    if (!equals)
        return box_spec_copy_env(spec, entry, err);
    char *name = strndup(entry, (size_t)(equals - entry));
    int r = name ? box_spec_set_env(spec, name, equals + 1, err) : BOX_ENOMEM;
    free(name);
    return r;
}

static int add_label(box_spec *spec, const char *entry, box_error **err)
{
    return add_pair(spec, entry, box_spec_set_annotation, err);
}

/* Lines of a file, remarks and empty ones left out. */
static int add_lines(box_spec *spec, const char *path, int (*add)(box_spec *, const char *, box_error **), box_error **err)
{
    FILE *f = fopen(path, "re");
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    int r = 0;

    if (!f)
        return fprintf(stderr, "box: open %s: %s.\n", path, strerror(errno)), BOX_ENOTFOUND;
    while (r >= 0 && (n = getline(&line, &room, f)) > 0) {
        line[strcspn(line, "\r\n")] = '\0';
        const char *text = line + strspn(line, " \t");
        if (*text && *text != '#')
            r = add(spec, text, err);
    }
    free(line);
    fclose(f);
    return r;
}

int add_environment(box_spec *spec, const struct list *files, const struct list *entries, box_error **err)
{
    int r = 0;

    for (size_t i = 0; i < files->n && r >= 0; i++)
        r = add_lines(spec, files->items[i], add_env, err);
    for (size_t i = 0; i < entries->n && r >= 0; i++)
        r = add_env(spec, entries->items[i], err);
    return r;
}

/* ---- all together ------------------------------------------------------------------------------------------------------------- */

static int add_group(box_spec *spec, const char *text, box_error **err)
{
    int64_t n;

    if (!number(text, &n) || n < 0 || n > UINT32_MAX - 1)
        return fail_text("--group-add: %s: a group is added by its number.", text), BOX_EINVAL;
    return box_spec_add_group(spec, (gid_t)n, err);
}

static int apply_lists(box_spec *spec, const struct run_options *o, bool *own_seccomp, box_error **err)
{
    int r = add_environment(spec, &o->env_file, &o->env, err);

    for (size_t i = 0; i < o->group_add.n && r >= 0; i++)
        r = add_group(spec, o->group_add.items[i], err);
    for (size_t i = 0; i < o->volumes_from.n && r >= 0; i++)
        r = add_volumes_from(spec, o->volumes_from.items[i], err);
    for (size_t i = 0; i < o->volumes.n && r >= 0; i++)
        r = add_volume(spec, o->volumes.items[i], err);
    for (size_t i = 0; i < o->mounts.n && r >= 0; i++)
        r = add_mount(spec, o->mounts.items[i], err);
    for (size_t i = 0; i < o->tmpfs.n && r >= 0; i++)
        r = add_tmpfs(spec, o->tmpfs.items[i], err);
    for (size_t i = 0; i < o->security.n && r >= 0; i++)
        r = add_security(spec, o->security.items[i], own_seccomp, err);
    for (size_t i = 0; i < o->ulimit.n && r >= 0; i++)
        r = add_ulimit(spec, o->ulimit.items[i], err);
    for (size_t i = 0; i < o->device.n && r >= 0; i++)
        r = add_device(spec, o->device.items[i], err);
    for (size_t i = 0; i < o->device_rule.n && r >= 0; i++)
        r = add_device_rule(spec, o->device_rule.items[i], err);
    for (size_t i = 0; i < o->label_file.n && r >= 0; i++)
        r = add_lines(spec, o->label_file.items[i], add_label, err);
    for (size_t i = 0; i < o->label.n && r >= 0; i++)
        r = add_label(spec, o->label.items[i], err);
    for (size_t i = 0; i < o->annotation.n && r >= 0; i++)
        r = add_label(spec, o->annotation.items[i], err);
    for (size_t i = 0; i < o->sysctl.n && r >= 0; i++)
        r = strchr(o->sysctl.items[i], '=') ? add_pair(spec, o->sysctl.items[i], box_spec_set_sysctl, err)
                                            : wrong(err, "sysctl", o->sysctl.items[i]);
    return r;
}

static int set_shm(box_spec *spec, const char *text, box_error **err)
{
    int64_t bytes;
    char options[96];

    if (!text)
        return 0;
    if (!parse_size(text, &bytes) || bytes < 0)
        return wrong(err, "shm-size", text);
    if (bytes == 0) /* the usual, as Docker takes it */
        return 0;
    int r = box_spec_remove_mount(spec, "/dev/shm", err);
    snprintf(options, sizeof(options), "nosuid,noexec,nodev,mode=1777,size=%lld", (long long)bytes);
    return r < 0 ? r : box_spec_add_mount(spec, "tmpfs", "shm", "/dev/shm", options, err);
}

/* The container's own group lies below it, under a name that no other has. */
static int set_parent(box_spec *spec, const char *parent, box_error **err)
{
    char *path = print("%s%s/box-%lld-%d", parent[0] == '/' ? "" : "/", parent, (long long)now_ns(), (int)getpid());
    int r = path ? box_spec_set_cgroup(spec, path, err) : BOX_ENOMEM;

    free(path);
    return r;
}

static int apply(box_spec *spec, const struct run_options *o, box_error **err)
{
    bool own_seccomp = false;
    int64_t oom = 0;
    int r;

    if ((o->privileged && (r = box_spec_set_privileged(spec, err)) < 0) ||
        (o->hostname && (r = box_spec_set_hostname(spec, o->hostname, err)) < 0) ||
        (o->domainname && (r = box_spec_set_domainname(spec, o->domainname, err)) < 0) ||
        (r = set_namespaces(spec, o, err)) < 0 || (r = set_shm(spec, o->shm_size, err)) < 0 || (r = add_limits(box_spec_limits(spec), o, err)) < 0 ||
        (r = add_capabilities(spec, o, err)) < 0 || (r = apply_lists(spec, o, &own_seccomp, err)) < 0)
        return r;
    if (!own_seccomp && !o->privileged && (o->cap_add.n || o->cap_drop.n) && (r = match_seccomp(spec, err)) < 0)
        return r;
    if (o->oom_score_adj && (!number(o->oom_score_adj, &oom) || oom < -1000 || oom > 1000))
        return fail_text("Invalid value %s, range for oom score adj is [-1000, 1000].", o->oom_score_adj), BOX_EINVAL;
    if (o->oom_score_adj && (r = box_spec_set_oom_score_adj(spec, (int)oom, err)) < 0)
        return r;
    if (o->cgroup_parent && (r = set_parent(spec, o->cgroup_parent, err)) < 0)
        return r;
    if (o->tty && ((r = box_spec_set_terminal(spec, true, err)) < 0 ||
                   (!box_spec_get_env(spec, "TERM") && (r = box_spec_set_env(spec, "TERM", "xterm", err)) < 0)))
        return r;
    if ((r = box_spec_set_root_readonly(spec, o->read_only, err)) < 0)
        return r;
    return o->init ? box_spec_set_init(spec, true, err) : 0;
}

/* The image's labels are the container's, below those that are given. */
static int add_image_labels(box_spec *spec, const box_image *image, box_error **err)
{
    size_t n = 0;
    const box_image_pair *labels = box_image_labels(image, &n);
    int r = 0;

    for (size_t i = 0; i < n && r >= 0; i++)
        if (*labels[i].key)
            r = box_spec_set_annotation(spec, labels[i].key, labels[i].value, err);
    return r;
}

/* Root by number where the image names nobody: so that its HOME is looked up as well. */
static int set_root_user(box_spec *spec, box_error **err)
{
    return box_spec_get_user_name(spec) ? 0 : box_spec_set_user_name(spec, "0", err);
}

box_spec *make_spec(const struct run_options *o, const box_image *image, char **command, box_error **err)
{
    box_spec *spec = box_spec_new();
    char *const entrypoint[] = {(char *)(uintptr_t)o->entrypoint, NULL};
    box_image_run run = {.entrypoint = o->entrypoint ? entrypoint : NULL, .args = command, .user = o->user, .workdir = o->workdir};
    box_error *own = NULL;

    if (spec && box_image_apply_to_spec(image, spec, &run, &own) >= 0 && set_root_user(spec, &own) >= 0 &&
        add_image_labels(spec, image, &own) >= 0 && apply(spec, o, &own) >= 0 && add_image_volumes(spec, image, &own) >= 0)
        return spec;
    if (box_error_code(own) == BOX_ESPEC && !box_spec_get_args(spec)[0]) { /* in fewer words than the library's */
        box_error_free(own);
        own = NULL;
        fail_text("No command specified: the image has neither an entrypoint nor a command.");
    }
    *err = own;
    if (spec)
        remove_anonymous_volumes(anonymous_volumes(spec));
    box_spec_free(spec);
    return NULL;
}
