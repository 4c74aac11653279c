/* From the flags of `run` to a spec. Names, units and meanings are Docker's. */
#include "box.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int read_run_options(int argc, char **argv, struct run_options *o, const char *usage)
{
    const struct flag flags[] = {
        {'i', "interactive", FLAG_BOOL, &o->interactive, "Keep standard input open"},
        {'t', "tty", FLAG_BOOL, &o->tty, "Give it a terminal"},
        {'d', "detach", FLAG_BOOL, &o->detach, "Run it in the background and print its id"},
        {0, "rm", FLAG_BOOL, &o->remove, "Remove it when it ends"},
        {0, "name", FLAG_TEXT, &o->name, "NAME"},
        {'e', "env", FLAG_LIST, &o->env, "NAME=VALUE, or NAME to take it from here"},
        {0, "env-file", FLAG_LIST, &o->env_file, "FILE of such lines"},
        {'w', "workdir", FLAG_TEXT, &o->workdir, "DIR in the container"},
        {'u', "user", FLAG_TEXT, &o->user, "USER[:GROUP], names or numbers of the image"},
        {0, "group-add", FLAG_LIST, &o->group_add, "GID further group"},
        {'v', "volume", FLAG_LIST, &o->volumes, "SOURCE:DESTINATION[:OPTIONS], or NAME:DESTINATION"},
        {0, "mount", FLAG_LIST, &o->mounts, "type=bind|tmpfs|volume,source=…,destination=…[,readonly]"},
        {0, "tmpfs", FLAG_LIST, &o->tmpfs, "DESTINATION[:OPTIONS]"},
        {0, "read-only", FLAG_BOOL, &o->read_only, "The root cannot be written to"},
        {'m', "memory", FLAG_TEXT, &o->memory, "SIZE such as 512m"},
        {0, "memory-swap", FLAG_TEXT, &o->memory_swap, "SIZE of memory and swap together; -1: no limit"},
        {0, "memory-reservation", FLAG_TEXT, &o->memory_reservation, "SIZE it is taken back to under pressure"},
        {0, "cpus", FLAG_TEXT, &o->cpus, "NUMBER such as 1.5"},
        {'c', "cpu-shares", FLAG_TEXT, &o->cpu_shares, "NUMBER; 1024 is usual"},
        {0, "cpuset-cpus", FLAG_TEXT, &o->cpuset_cpus, "LIST such as 0-2,4"},
        {0, "cpuset-mems", FLAG_TEXT, &o->cpuset_mems, "LIST of memory nodes"},
        {0, "pids-limit", FLAG_TEXT, &o->pids_limit, "NUMBER of processes and threads"},
        {0, "blkio-weight", FLAG_TEXT, &o->blkio_weight, "NUMBER, 10 to 1000"},
        {0, "cap-add", FLAG_LIST, &o->cap_add, "CAPABILITY, or ALL"},
        {0, "cap-drop", FLAG_LIST, &o->cap_drop, "CAPABILITY, or ALL"},
        {0, "security-opt", FLAG_LIST, &o->security, "no-new-privileges[=false], seccomp=FILE|unconfined, apparmor=, label="},
        {0, "network", FLAG_TEXT, &o->network, "none or host"},
        {0, "net", FLAG_TEXT, &o->network, "as --network"},
        {0, "pid", FLAG_TEXT, &o->pid, "host"},
        {0, "ipc", FLAG_TEXT, &o->ipc, "private or host"},
        {0, "uts", FLAG_TEXT, &o->uts, "host"},
        {0, "userns", FLAG_TEXT, &o->userns, "host, or auto for subordinate ids"},
        {0, "entrypoint", FLAG_TEXT, &o->entrypoint, "PROGRAM in place of the image's"},
        {0, "init", FLAG_BOOL, &o->init, "An init as the first process, which reaps and passes signals on"},
        {0, "ulimit", FLAG_LIST, &o->ulimit, "NAME=SOFT[:HARD]"},
        {0, "device", FLAG_LIST, &o->device, "HOST[:INSIDE[:rwm]]"},
        {'h', "hostname", FLAG_TEXT, &o->hostname, "NAME"},
        {0, "privileged", FLAG_BOOL, &o->privileged, "Everything allowed: such a container can take over the host"},
        {'l', "label", FLAG_LIST, &o->label, "KEY=VALUE"},
        {0, "annotation", FLAG_LIST, &o->annotation, "KEY=VALUE"},
        {0, "sysctl", FLAG_LIST, &o->sysctl, "NAME=VALUE"},
        {0, "oom-score-adj", FLAG_TEXT, &o->oom_score_adj, "NUMBER, -1000 to 1000"},
        {0, "shm-size", FLAG_TEXT, &o->shm_size, "SIZE of /dev/shm"},
        {0, "cgroup-parent", FLAG_TEXT, &o->cgroup_parent, "PATH below which its cgroup is made"},
        {0, "cidfile", FLAG_TEXT, &o->cidfile, "FILE to write its id to"},
        {0},
    };

    return read_flags(argc, argv, flags, false, usage);
}

/* ---- limits ---------------------------------------------------------------------------------------------------------- */

static int wrong(box_error **err, const char *flag, const char *value)
{
    /* The library makes errors; the program only has to say this one. */
    (void)err;
    fprintf(stderr, "box: invalid argument \"%s\" for \"--%s\".\n", value, flag);
    return BOX_EINVAL;
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
    char *end;

    if (!text)
        return 0;
    long long n = strtoll(text, &end, 10);
    return end != text && !*end ? box_limits_set(limits, limit, n, err) : wrong(err, flag, text);
}

int add_limits(box_limits *limits, const struct run_options *o, box_error **err)
{
    int r;
    char *end;

    if ((r = set_size(limits, BOX_LIMIT_MEMORY_MAX, "memory", o->memory, err)) < 0 ||
        (r = set_size(limits, BOX_LIMIT_MEMORY_AND_SWAP, "memory-swap", o->memory_swap, err)) < 0 ||
        (r = set_size(limits, BOX_LIMIT_MEMORY_LOW, "memory-reservation", o->memory_reservation, err)) < 0 ||
        (r = set_number(limits, BOX_LIMIT_CPU_SHARES, "cpu-shares", o->cpu_shares, err)) < 0 ||
        (r = set_number(limits, BOX_LIMIT_IO_WEIGHT, "blkio-weight", o->blkio_weight, err)) < 0 ||
        (r = set_number(limits, BOX_LIMIT_PIDS_MAX, "pids-limit", o->pids_limit, err)) < 0)
        return r;
    if (o->cpus) {
        double cpus = strtod(o->cpus, &end);
        if (end == o->cpus || *end)
            return wrong(err, "cpus", o->cpus);
        if ((r = box_limits_set_cpus(limits, cpus, err)) < 0)
            return r;
    }
    if (o->cpuset_cpus && (r = box_limits_set_cpuset_cpus(limits, o->cpuset_cpus, err)) < 0)
        return r;
    return o->cpuset_mems ? box_limits_set_cpuset_mems(limits, o->cpuset_mems, err) : 0;
}

/* ---- environment ------------------------------------------------------------------------------------------------------- */

static int add_env(box_spec *spec, const char *entry, box_error **err)
{
    const char *equals = strchr(entry, '=');

    if (!equals)
        return box_spec_copy_env(spec, entry, err);
    char *name = strndup(entry, (size_t)(equals - entry));
    int r = name ? box_spec_set_env(spec, name, equals + 1, err) : BOX_ENOMEM;
    free(name);
    return r;
}

static int add_env_file(box_spec *spec, const char *path, box_error **err)
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
        if (*line && *line != '#')
            r = add_env(spec, line, err);
    }
    free(line);
    fclose(f);
    return r;
}

int add_environment(box_spec *spec, const struct list *files, const struct list *entries, box_error **err)
{
    int r = 0;

    for (size_t i = 0; i < files->n && r >= 0; i++)
        r = add_env_file(spec, files->items[i], err);
    for (size_t i = 0; i < entries->n && r >= 0; i++)
        r = add_env(spec, entries->items[i], err);
    return r;
}

/* ---- volumes and mounts ------------------------------------------------------------------------------------------------- */

/* A named volume is a directory of the store's, made when it is first used. */
static char *named_volume(const char *name, box_error **err)
{
    char *path = NULL;

    (void)err;
    if (strchr(name, '/') || name[0] == '.' ||
        asprintf(&path, "%s/volumes/%s", box_store_root(globals.store), name) < 0) {
        fprintf(stderr, "box: %s is neither an absolute path nor a volume's name.\n", name);
        return NULL;
    }
    char *data = NULL;
    if ((mkdir(path, 0700) < 0 && errno != EEXIST) || asprintf(&data, "%s/_data", path) < 0 ||
        (mkdir(data, 0755) < 0 && errno != EEXIST)) {
        fprintf(stderr, "box: make volume %s: %s.\n", name, strerror(errno));
        free(data);
        data = NULL;
    }
    free(path);
    return data;
}

/* ":ro,Z,rslave" of -v: Docker's own words are taken out. */
static void volume_options(const char *text, char *out, size_t size, bool *copy)
{
    char buffer[256], *save = NULL;

    out[0] = '\0';
    snprintf(buffer, sizeof(buffer), "%s", text);
    for (char *o = strtok_r(buffer, ",", &save); o; o = strtok_r(NULL, ",", &save)) {
        if (strcmp(o, "z") == 0 || strcmp(o, "Z") == 0 || strcmp(o, "rw") == 0)
            continue;
        if (strcmp(o, "nocopy") == 0) {
            *copy = false;
            continue;
        }
        snprintf(out + strlen(out), size - strlen(out), "%s%s", *out ? "," : "", o);
    }
}

static int add_directory(box_spec *spec, const char *source, const char *destination, const char *options, bool copy,
                         box_error **err)
{
    char all[512];
    bool named = source[0] != '/';
    char *path = named ? named_volume(source, err) : strdup(source);

    if (!path)
        return BOX_EINVAL;
    /* Docker makes the host's directory where it is missing. */
    if (!named && access(path, F_OK) < 0 && mkdir(path, 0755) < 0) {
        fprintf(stderr, "box: bind source path does not exist: %s.\n", path);
        free(path);
        return BOX_ENOTFOUND;
    }
    snprintf(all, sizeof(all), "%s%s%s", options ? options : "", options && *options && named && copy ? "," : "",
             named && copy ? "tmpcopyup" : "");
    int r = box_spec_add_bind(spec, path, destination, *all ? all : NULL, err);
    free(path);
    return r;
}

static int add_volume(box_spec *spec, const char *text, box_error **err)
{
    char *copy_of = strdup(text), *save = NULL, options[256] = "";
    bool copy = true;
    int r;

    if (!copy_of)
        return BOX_ENOMEM;
    char *source = strtok_r(copy_of, ":", &save), *destination = strtok_r(NULL, ":", &save), *rest = strtok_r(NULL, "", &save);
    if (rest)
        volume_options(rest, options, sizeof(options), &copy);
    if (source && !destination) { /* an anonymous volume */
        char name[64];
        snprintf(name, sizeof(name), "anonymous-%ld-%d", (long)getpid(), rand());
        r = add_directory(spec, name, source, options, true, err);
    } else {
        r = source ? add_directory(spec, source, destination, options, copy, err) : wrong(err, "volume", text);
    }
    free(copy_of);
    return r;
}

static int add_one_mount(box_spec *spec, const char *type, const char *source, const char *destination, const char *options,
                         box_error **err)
{
    if (strcmp(type, "tmpfs") == 0)
        return box_spec_add_mount(spec, "tmpfs", "tmpfs", destination, *options ? options : "nosuid,nodev", err);
    if (strcmp(type, "bind") == 0 && source && access(source, F_OK) < 0) {
        fprintf(stderr, "box: invalid mount config for type \"bind\": bind source path does not exist: %s.\n", source);
        return BOX_ENOTFOUND;
    }
    if ((strcmp(type, "bind") == 0 || strcmp(type, "volume") == 0) && source)
        return add_directory(spec, source, destination, options, true, err);
    return wrong(err, "mount", type);
}

static void append(char *out, size_t size, const char *option)
{
    snprintf(out + strlen(out), size - strlen(out), "%s%s", *out ? "," : "", option);
}

static int add_mount(box_spec *spec, const char *text, box_error **err)
{
    char *copy = strdup(text), *save = NULL, options[512] = "", one[128];
    const char *type = "volume", *source = NULL, *destination = NULL;
    int r = 0;

    if (!copy)
        return BOX_ENOMEM;
    for (char *field = strtok_r(copy, ",", &save); field && r >= 0; field = strtok_r(NULL, ",", &save)) {
        char *value = strchr(field, '=');
        if (value)
            *value++ = '\0';
        if (strcmp(field, "type") == 0 && value)
            type = value;
        else if ((strcmp(field, "source") == 0 || strcmp(field, "src") == 0) && value)
            source = value;
        else if ((strcmp(field, "destination") == 0 || strcmp(field, "dst") == 0 || strcmp(field, "target") == 0) && value)
            destination = value;
        else if ((strcmp(field, "readonly") == 0 || strcmp(field, "ro") == 0) && (!value || strcmp(value, "false") != 0))
            append(options, sizeof(options), "ro");
        else if (strcmp(field, "bind-propagation") == 0 && value)
            append(options, sizeof(options), value);
        else if (strcmp(field, "tmpfs-size") == 0 && value) {
            int64_t bytes;
            if (!parse_size(value, &bytes))
                r = wrong(err, "mount", text);
            snprintf(one, sizeof(one), "size=%lld", (long long)bytes);
            append(options, sizeof(options), one);
        } else if (strcmp(field, "tmpfs-mode") == 0 && value) {
            snprintf(one, sizeof(one), "mode=%s", value);
            append(options, sizeof(options), one);
        } else if (strcmp(field, "volume-nocopy") != 0 && strcmp(field, "readonly") != 0)
            r = wrong(err, "mount", text);
    }
    if (r >= 0)
        r = destination ? add_one_mount(spec, type, source, destination, options, err) : wrong(err, "mount", text);
    free(copy);
    return r;
}

static int add_tmpfs(box_spec *spec, const char *text, box_error **err)
{
    const char *colon = strchr(text, ':');
    char *destination = strndup(text, colon ? (size_t)(colon - text) : strlen(text));
    char options[512];

    if (!destination)
        return BOX_ENOMEM;
    snprintf(options, sizeof(options), "nosuid,nodev,noexec%s%s", colon ? "," : "", colon ? colon + 1 : "");
    int r = box_spec_add_mount(spec, "tmpfs", "tmpfs", destination, options, err);
    free(destination);
    return r;
}

/* ---- security ------------------------------------------------------------------------------------------------------------ */

static int load_seccomp(box_spec *spec, const char *path, box_error **err)
{
    struct box_capset caps;
    FILE *f = fopen(path, "re");
    char *text = f ? malloc(4 << 20) : NULL;
    int r = BOX_ENOTFOUND;

    if (!text) {
        fprintf(stderr, "box: opening seccomp profile (%s) failed: %s.\n", path, strerror(errno));
    } else {
        size_t n = fread(text, 1, 4 << 20, f);
        box_spec_get_capabilities(spec, &caps);
        box_seccomp *policy = box_seccomp_load_docker(text, n, caps.bounding, err);
        r = policy ? box_spec_set_seccomp(spec, policy, err) : box_error_code(err ? *err : NULL);
        box_seccomp_free(policy);
    }
    free(text);
    if (f)
        fclose(f);
    return r;
}

static int add_security(box_spec *spec, const char *option, bool *own_seccomp, box_error **err)
{
    const char *value = strpbrk(option, "=:");
    size_t n = value ? (size_t)(value++ - option) : strlen(option);

    if (strncmp(option, "no-new-privileges", n) == 0 && n == 17)
        return box_spec_set_no_new_privileges(spec, !value || strcmp(value, "false") != 0, err);
    if (strncmp(option, "seccomp", n) == 0 && n == 7 && value) {
        *own_seccomp = true;
        return strcmp(value, "unconfined") == 0 ? box_spec_set_seccomp(spec, NULL, err) : load_seccomp(spec, value, err);
    }
    if (strncmp(option, "apparmor", n) == 0 && n == 8 && value)
        return box_spec_set_apparmor(spec, strcmp(value, "unconfined") == 0 ? NULL : value, err);
    if (strncmp(option, "label", n) == 0 && n == 5 && value)
        return strcmp(value, "disable") == 0 ? 0 : box_spec_set_selinux(spec, value, err);
    if (strcmp(option, "unmask=ALL") == 0)
        return box_spec_clear_masked_paths(spec, err) < 0 ? BOX_ENOMEM : box_spec_clear_readonly_paths(spec, err);
    return wrong(err, "security-opt", option);
}

static int add_capabilities(box_spec *spec, const struct run_options *o, box_error **err)
{
    uint64_t mask;
    int r;

    if (!o->cap_add.n && !o->cap_drop.n)
        return 0;
    r = box_capability_adjust(box_capability_default(), o->cap_add.items, o->cap_add.n, o->cap_drop.items, o->cap_drop.n,
                              &mask, err);
    return r < 0 ? r : box_spec_set_capability_mask(spec, mask, err);
}

/* The filter lets through what the capabilities are for. */
static int match_seccomp(box_spec *spec, box_error **err)
{
    struct box_capset caps;

    if (!box_spec_get_seccomp(spec) || !box_spec_get_capabilities(spec, &caps))
        return 0;
    box_seccomp *policy = box_seccomp_new_default(caps.bounding, err);
    int r = policy ? box_spec_set_seccomp(spec, policy, err) : box_error_code(err ? *err : NULL);
    box_seccomp_free(policy);
    return r;
}

static int add_ulimit(box_spec *spec, const char *text, box_error **err)
{
    struct box_rlimit limit;
    int r = box_rlimit_parse(text, &limit, err);

    return r < 0 ? r : box_spec_set_rlimit(spec, limit.resource, limit.soft, limit.hard, err);
}

static int add_device(box_spec *spec, const char *text, box_error **err)
{
    char *copy = strdup(text), *save = NULL;

    if (!copy)
        return BOX_ENOMEM;
    const char *host = strtok_r(copy, ":", &save), *inside = strtok_r(NULL, ":", &save), *access_ = strtok_r(NULL, ":", &save);
    if (inside && inside[0] != '/' && !access_) {
        access_ = inside;
        inside = NULL;
    }
    int r = host ? box_spec_add_device(spec, host, inside, access_, err) : wrong(err, "device", text);
    free(copy);
    return r;
}

static int add_pair(box_spec *spec, const char *text, int (*setter)(box_spec *, const char *, const char *, box_error **),
                    box_error **err)
{
    const char *equals = strchr(text, '=');
    char *key = equals ? strndup(text, (size_t)(equals - text)) : strdup(text);
    int r = key ? setter(spec, key, equals ? equals + 1 : "", err) : BOX_ENOMEM;

    free(key);
    return r;
}

/* ---- namespaces ------------------------------------------------------------------------------------------------------------ */

static int share(box_spec *spec, enum box_spec_namespace kind, const char *flag, const char *value, box_error **err)
{
    if (!value || strcmp(value, "private") == 0 || strcmp(value, "shareable") == 0)
        return 0;
    return strcmp(value, "host") == 0 ? box_spec_share_namespace(spec, kind, err) : wrong(err, flag, value);
}

static int set_userns(box_spec *spec, const char *value, box_error **err)
{
    box_idmap *map = NULL;

    if (!value)
        return 0;
    if (strcmp(value, "host") == 0)
        return box_spec_share_namespace(spec, BOX_SPEC_USER_NAMESPACE, err);
    if (strcmp(value, "auto") != 0)
        return wrong(err, "userns", value);
    int r = box_idmap_new_subordinate(NULL, geteuid() ? BOX_IDMAP_SELF_IS_ROOT : 0, &map, err);
    if (r >= 0)
        r = box_spec_set_idmap(spec, map, err);
    box_idmap_free(map);
    return r;
}

static int set_network(box_spec *spec, const char *value, box_error **err)
{
    if (!value || strcmp(value, "none") == 0)
        return 0;
    if (strcmp(value, "host") == 0)
        return box_spec_share_namespace(spec, BOX_SPEC_NETWORK_NAMESPACE, err);
    fprintf(stderr, "box: network %s not found: none and host are what there is.\n", value);
    (void)err;
    return BOX_ENOTFOUND;
}

/* ---- all together ------------------------------------------------------------------------------------------------------------- */

static int apply_lists(box_spec *spec, const struct run_options *o, bool *own_seccomp, box_error **err)
{
    int r = add_environment(spec, &o->env_file, &o->env, err);

    for (size_t i = 0; i < o->group_add.n && r >= 0; i++)
        r = box_spec_add_group(spec, (gid_t)strtoul(o->group_add.items[i], NULL, 10), err);
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
    for (size_t i = 0; i < o->label.n && r >= 0; i++)
        r = add_pair(spec, o->label.items[i], box_spec_set_annotation, err);
    for (size_t i = 0; i < o->annotation.n && r >= 0; i++)
        r = add_pair(spec, o->annotation.items[i], box_spec_set_annotation, err);
    for (size_t i = 0; i < o->sysctl.n && r >= 0; i++)
        r = add_pair(spec, o->sysctl.items[i], box_spec_set_sysctl, err);
    return r;
}

static int set_shm(box_spec *spec, const char *text, box_error **err)
{
    int64_t bytes;
    char options[96];

    if (!text)
        return 0;
    if (!parse_size(text, &bytes))
        return wrong(err, "shm-size", text);
    int r = box_spec_remove_mount(spec, "/dev/shm", err);
    snprintf(options, sizeof(options), "nosuid,noexec,nodev,mode=1777,size=%lld", (long long)bytes);
    return r < 0 ? r : box_spec_add_mount(spec, "tmpfs", "shm", "/dev/shm", options, err);
}

static int apply(box_spec *spec, const struct run_options *o, box_error **err)
{
    bool own_seccomp = false;
    int r;

    if ((o->privileged && (r = box_spec_set_privileged(spec, err)) < 0) ||
        (o->hostname && (r = box_spec_set_hostname(spec, o->hostname, err)) < 0) ||
        (r = set_network(spec, o->network, err)) < 0 || (r = share(spec, BOX_SPEC_PID_NAMESPACE, "pid", o->pid, err)) < 0 ||
        (r = share(spec, BOX_SPEC_IPC_NAMESPACE, "ipc", o->ipc, err)) < 0 ||
        (r = share(spec, BOX_SPEC_UTS_NAMESPACE, "uts", o->uts, err)) < 0 || (r = set_userns(spec, o->userns, err)) < 0 ||
        (r = set_shm(spec, o->shm_size, err)) < 0 || (r = add_limits(box_spec_limits(spec), o, err)) < 0 ||
        (r = add_capabilities(spec, o, err)) < 0 || (r = apply_lists(spec, o, &own_seccomp, err)) < 0)
        return r;
    if (!own_seccomp && !o->privileged && (o->cap_add.n || o->cap_drop.n) && (r = match_seccomp(spec, err)) < 0)
        return r;
    if (o->oom_score_adj && (r = box_spec_set_oom_score_adj(spec, atoi(o->oom_score_adj), err)) < 0)
        return r;
    if (o->cgroup_parent && (r = box_spec_set_cgroup(spec, o->cgroup_parent, err)) < 0)
        return r;
    if (o->tty && ((r = box_spec_set_terminal(spec, true, err)) < 0 ||
                   (!box_spec_get_env(spec, "TERM") && (r = box_spec_set_env(spec, "TERM", "xterm", err)) < 0)))
        return r;
    if ((r = box_spec_set_root_readonly(spec, o->read_only, err)) < 0)
        return r;
    return o->init ? box_spec_set_init(spec, true, err) : 0;
}

box_spec *make_spec(const struct run_options *o, const box_image *image, char **command, box_error **err)
{
    box_spec *spec = box_spec_new();
    char *const entrypoint[] = {(char *)(uintptr_t)o->entrypoint, NULL};
    box_image_run run = {.entrypoint = o->entrypoint ? entrypoint : NULL, .args = command, .user = o->user, .workdir = o->workdir};

    /* Root by number where the image names nobody: so that its HOME is looked up as well. */
    if (!spec || box_image_apply_to_spec(image, spec, &run, err) < 0 ||
        (!box_spec_get_user_name(spec) && box_spec_set_user_name(spec, "0", err) < 0) || apply(spec, o, err) < 0) {
        box_spec_free(spec);
        return NULL;
    }
    return spec;
}
