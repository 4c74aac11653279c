/* A container as JSON, in the shape that `docker inspect` gives. */
#include "container/container.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "base/strings.h"
#include "kernel/cgroup_limits.h"

/* A document that is being made: the first failure sticks, so that the lists below read as lists. */
struct maker {
    json_object *object;
    box_error **err;
    int r;
};

static void text(struct maker *m, const char *key, const char *value)
{
    if (m->r >= 0)
        m->r = box_json_put_string(m->object, key, value ? value : "", m->err);
}

static void number(struct maker *m, const char *key, int64_t value)
{
    if (m->r >= 0)
        m->r = box_json_put_i64(m->object, key, value, m->err);
}

static void boolean(struct maker *m, const char *key, bool value)
{
    if (m->r >= 0)
        m->r = box_json_put_bool(m->object, key, value, m->err);
}

static void nothing(struct maker *m, const char *key)
{
    if (m->r >= 0)
        m->r = json_object_object_add(m->object, key, NULL) < 0 ? box_fail_nomem(m->err) : 0;
}

static void strings(struct maker *m, const char *key, char *const *list)
{
    if (m->r >= 0)
        m->r = box_json_put_strings(m->object, key, list, m->err);
}

static struct maker child(struct maker *m)
{
    struct maker c = {m->r >= 0 ? json_object_new_object() : NULL, m->err, m->r};

    if (m->r >= 0 && !c.object)
        c.r = box_fail_nomem(m->err);
    return c;
}

static void put(struct maker *m, const char *key, struct maker *c)
{
    if (c->r < 0) {
        json_object_put(c->object);
        m->r = c->r;
    } else if (m->r >= 0) {
        m->r = box_json_put(m->object, key, c->object, m->err);
    }
}

/* RFC 3339 with nanoseconds; Docker's zero time for what has not happened. */
static void moment(struct maker *m, const char *key, int64_t ns)
{
    char buffer[64];
    struct tm tm;
    time_t seconds = (time_t)(ns / 1000000000);

    if (!ns) {
        text(m, key, "0001-01-01T00:00:00Z");
        return;
    }
    gmtime_r(&seconds, &tm);
    size_t n = strftime(buffer, sizeof(buffer), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(buffer + n, sizeof(buffer) - n, ".%09lldZ", (long long)(ns % 1000000000));
    text(m, key, buffer);
}

static void put_state(struct maker *m, box_container *c)
{
    struct maker s = child(m);
    enum box_container_state state = box_container_state(c);
    const struct box_ending *e = &c->ending;

    text(&s, "Status", box_container_state_name(state));
    boolean(&s, "Running", state == BOX_CONTAINER_RUNNING || state == BOX_CONTAINER_PAUSED);
    boolean(&s, "Paused", state == BOX_CONTAINER_PAUSED);
    boolean(&s, "Restarting", false);
    boolean(&s, "OOMKilled", state == BOX_CONTAINER_EXITED && e->kind == BOX_ENDING_OOM);
    boolean(&s, "Dead", state == BOX_CONTAINER_REMOVING);
    number(&s, "Pid", box_container_pid(c));
    number(&s, "ExitCode", state == BOX_CONTAINER_EXITED ? e->code : 0);
    text(&s, "Error", "");
    text(&s, "Ending", state == BOX_CONTAINER_EXITED ? e->text : "");
    if (e->syscall_name)
        text(&s, "Syscall", e->syscall_name);
    moment(&s, "StartedAt", box_container_started(c));
    moment(&s, "FinishedAt", box_container_finished(c));
    put(m, "State", &s);
}

static int64_t limit(const box_limits *limits, enum box_limit which)
{
    int64_t value = 0;

    return limits && box_limits_get(limits, which, &value) == 1 ? value : 0;
}

static void put_capabilities(struct maker *m, const box_spec *spec)
{
    uint64_t all = box_capability_default(), now = spec->process.capabilities.bounding;
    struct {
        const char *key;
        uint64_t mask;
    } rows[] = {{"CapAdd", now & ~all}, {"CapDrop", all & ~now}};

    for (size_t i = 0; i < BOX_ARRAY(rows) && spec->process.has_capabilities; i++) {
        _strv_ char **names = NULL;
        for (unsigned cap = 0; cap < 64; cap++)
            if ((rows[i].mask >> cap & 1) && box_capability_name(cap) && box_strv_append(&names, box_capability_name(cap)) < 0)
                m->r = box_fail_nomem(m->err);
        strings(m, rows[i].key, names);
    }
}

/* An object with one member. */
static void put_pair_of(struct maker *m, const char *key, const char *name, const char *value)
{
    struct maker o = child(m);

    text(&o, name, value);
    put(m, key, &o);
}

static void put_host_config(struct maker *m, const box_container *c)
{
    struct maker h = child(m);
    const box_spec *spec = c->spec;
    const box_limits *limits = spec->limits;
    int64_t quota = limit(limits, BOX_LIMIT_CPU_QUOTA), period = limit(limits, BOX_LIMIT_CPU_PERIOD);

    number(&h, "Memory", limit(limits, BOX_LIMIT_MEMORY_MAX));
    number(&h, "MemoryReservation", limit(limits, BOX_LIMIT_MEMORY_LOW));
    number(&h, "MemorySwap", limit(limits, BOX_LIMIT_MEMORY_AND_SWAP));
    number(&h, "NanoCpus", quota > 0 ? (int64_t)((double)quota / (double)(period > 0 ? period : 100000) * 1e9 + 0.5) : 0);
    number(&h, "CpuShares", limit(limits, BOX_LIMIT_CPU_SHARES));
    number(&h, "CpuQuota", quota);
    number(&h, "CpuPeriod", period);
    text(&h, "CpusetCpus", limits && limits->cpus ? limits->cpus : "");
    number(&h, "PidsLimit", limit(limits, BOX_LIMIT_PIDS_MAX));
    put_capabilities(&h, spec);
    boolean(&h, "AutoRemove", c->flags & BOX_CONTAINER_AUTO_REMOVE);
    boolean(&h, "ReadonlyRootfs", spec->root.readonly);
    boolean(&h, "Init", spec->init);
    boolean(&h, "Privileged", spec->process.has_capabilities && !spec->seccomp &&
                                  spec->process.capabilities.bounding == box_capability_all());
    text(&h, "CpusetMems", limits && limits->mems ? limits->mems : "");
    number(&h, "BlkioWeight", limit(limits, BOX_LIMIT_IO_WEIGHT));
    put_pair_of(&h, "RestartPolicy", "Name", "no");
    put_pair_of(&h, "LogConfig", "Type", "local");
    number(&h, "OomScoreAdj", spec->process.has_oom_score_adj ? spec->process.oom_score_adj : 0);
    text(&h, "IpcMode", spec->namespaces[SPEC_NS_IPC].present ? "private" : "host");
    text(&h, "UTSMode", spec->namespaces[SPEC_NS_UTS].present ? "" : "host");
    text(&h, "UsernsMode", "");
    text(&h, "CgroupnsMode", spec->namespaces[SPEC_NS_CGROUP].present ? "private" : "host");
    text(&h, "NetworkMode", spec->namespaces[SPEC_NS_NETWORK].present ? "none" : "host");
    text(&h, "PidMode", spec->namespaces[SPEC_NS_PID].present ? "" : "host");
    text(&h, "CgroupParent", "/libbox");
    strings(&h, "MaskedPaths", spec->masked_paths);
    strings(&h, "ReadonlyPaths", spec->readonly_paths);
    put(m, "HostConfig", &h);
}

static void put_graph(struct maker *m, const box_container *c)
{
    struct maker g = child(m), data = child(&g);

    text(&g, "Name", c->spec->root.kind == SPEC_ROOT_OVERLAY ? "overlay" : "directory");
    if (c->spec->root.kind == SPEC_ROOT_OVERLAY) {
        _free_ char *lower = box_strv_join(c->spec->root.lower, ":");
        text(&data, "LowerDir", lower);
        text(&data, "UpperDir", c->spec->root.upper);
        text(&data, "WorkDir", c->spec->root.work);
    } else {
        text(&data, "RootDir", c->spec->root.path);
    }
    put(&g, "Data", &data);
    put(m, "GraphDriver", &g);
}

static bool readonly_option(char *const *options)
{
    return box_strv_contains(options, "ro");
}

/* "volume" and its name for a directory of the store's volumes. */
static void put_mount(struct maker *o, const box_container *c, const struct spec_mount *mount)
{
    _free_ char *volumes = box_strf("%s/volumes/", c->root);
    const char *inside = volumes && mount->source && strncmp(mount->source, volumes, strlen(volumes)) == 0
                             ? mount->source + strlen(volumes)
                             : NULL;
    _free_ char *name = inside ? strndup(inside, strcspn(inside, "/")) : NULL;

    text(o, "Type", name ? "volume" : "bind");
    text(o, "Name", name);
    text(o, "Source", mount->source);
    text(o, "Destination", mount->destination);
    text(o, "Driver", name ? "local" : "");
    text(o, "Mode", "");
    boolean(o, "RW", !readonly_option(mount->options));
    text(o, "Propagation", name ? "" : "rprivate");
}

static void put_mounts(struct maker *m, const box_container *c)
{
    json_object *list = m->r >= 0 ? json_object_new_array() : NULL;
    _free_ char *own = box_strf("%s/containers/", c->root);

    for (size_t i = 0; list && m->r >= 0 && i < c->spec->n_mounts; i++) {
        const struct spec_mount *mount = &c->spec->mounts[i];
        bool bind = (mount->type && strcmp(mount->type, "bind") == 0) || box_strv_contains(mount->options, "rbind") ||
                    box_strv_contains(mount->options, "bind");
        if (!bind || (own && mount->source && strncmp(mount->source, own, strlen(own)) == 0))
            continue; /* what the runtime itself mounts is not listed */
        struct maker o = child(m);
        put_mount(&o, c, mount);
        if (o.r < 0)
            m->r = o.r, json_object_put(o.object);
        else
            m->r = box_json_append(list, o.object, m->err);
    }
    if (m->r >= 0)
        m->r = list ? box_json_put(m->object, "Mounts", list, m->err) : box_fail_nomem(m->err);
    else
        json_object_put(list);
}

static void put_config(struct maker *m, const box_container *c)
{
    struct maker k = child(m), labels = child(&k);
    const struct spec_process *p = &c->spec->process;
    char user[32];

    snprintf(user, sizeof(user), "%u:%u", p->user.uid, p->user.gid);
    text(&k, "Hostname", c->spec->hostname);
    text(&k, "Domainname", c->spec->domainname);
    text(&k, "User", p->user.name ? p->user.name : p->user.uid || p->user.gid ? user : "");
    boolean(&k, "Tty", p->terminal);
    boolean(&k, "OpenStdin", c->flags & BOX_CONTAINER_OPEN_STDIN);
    boolean(&k, "StdinOnce", false);
    nothing(&k, "Entrypoint");
    nothing(&k, "Volumes");
    strings(&k, "Env", p->env);
    strings(&k, "Cmd", p->args);
    text(&k, "Image", c->image_name ? c->image_name : "");
    text(&k, "WorkingDir", p->cwd ? p->cwd : "/");
    text(&k, "StopSignal", c->stop_signal ? c->stop_signal : "SIGTERM");
    number(&k, "StopTimeout", c->stop_timeout);
    for (size_t i = 0; i < c->spec->n_annotations; i++)
        text(&labels, c->spec->annotations[i].key, c->spec->annotations[i].value);
    put(&k, "Labels", &labels);
    put(m, "Config", &k);
}

/* The files that are mounted in its /etc. */
static void put_own_files(struct maker *m, const box_container *c)
{
    static const char *const files[][2] = {{"ResolvConfPath", "resolv.conf"}, {"HostnamePath", "hostname"}, {"HostsPath", "hosts"}};

    for (size_t i = 0; i < BOX_ARRAY(files); i++) {
        _free_ char *path = box_strf("%s/containers/%s/%s", c->root, c->id, files[i][1]);
        text(m, files[i][0], c->image_id ? path : "");
    }
}

static void put_network(struct maker *m, const box_container *c)
{
    struct maker n = child(m), ports = child(&n), networks = child(&n), one = child(&networks);

    put(&n, "Ports", &ports);
    text(&n, "IPAddress", "");
    text(&n, "Gateway", "");
    text(&n, "MacAddress", "");
    text(&one, "IPAddress", "");
    put(&networks, c->spec->namespaces[SPEC_NS_NETWORK].present ? "none" : "host", &one);
    put(&n, "Networks", &networks);
    put(m, "NetworkSettings", &n);
}

int box_container_inspect(box_container *c, char **json, box_error **err)
{
    if (!c || !json)
        return box_fail(err, BOX_EINVAL, "box_container_inspect: arguments must not be NULL");
    int r = box_container_refresh(c, err);
    if (r < 0)
        return r;
    _cleanup_(json_object) json_object *root = json_object_new_object();
    if (!root)
        return box_fail_nomem(err);
    struct maker m = {root, err, 0};
    _free_ char *name = box_strf("/%s", c->name);
    char *const *args = c->spec->process.args;

    text(&m, "Id", c->id);
    moment(&m, "Created", c->created);
    text(&m, "Path", args ? args[0] : "");
    strings(&m, "Args", args && args[0] ? args + 1 : args);
    put_state(&m, c);
    text(&m, "Image", c->image_id);
    put_own_files(&m, c);
    text(&m, "LogPath", c->log_path);
    text(&m, "Name", name);
    number(&m, "RestartCount", 0);
    text(&m, "Platform", "linux");
    text(&m, "Driver", c->spec->root.kind == SPEC_ROOT_OVERLAY ? "overlay" : "directory");
    text(&m, "MountLabel", c->spec->mount_label);
    text(&m, "ProcessLabel", c->spec->process.selinux_label);
    nothing(&m, "ExecIDs");
    text(&m, "AppArmorProfile", c->spec->process.apparmor_profile);
    put_host_config(&m, c);
    put_graph(&m, c);
    put_mounts(&m, c);
    put_config(&m, c);
    put_network(&m, c);
    if (m.r < 0)
        return m.r;
    const char *out = json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);
    if (!out || !(*json = strdup(out)))
        return box_fail_nomem(err);
    return 0;
}
