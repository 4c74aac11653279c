/* Further processes in a container. */
#include "oci/oci.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libbox/cgroup.h>
#include "base/strings.h"
#include "kernel/cgroup.h"
#include "launch/plan.h"

#define PROCESS_MAX (4 << 20)

static uint32_t namespaces_of(const box_spec *spec)
{
    uint32_t flags = 0;

    for (int kind = 0; kind < SPEC_NS_KINDS; kind++)
        if (spec->namespaces[kind].present)
            flags |= (uint32_t)spec_namespace_info[kind].clone_flag;
    return flags;
}

/* By way of the first process; checked after the fact to have been that process still. */
static int open_root(struct oci_container *c, box_error **err)
{
    char path[40];
    enum oci_status status;

    snprintf(path, sizeof(path), "/proc/%d/root", (int)c->pid);
    _close_ int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return box_fail_sys(err, "open", path, "open the container's root");
    int r = oci_require_alive(c, &status, err);
    return r < 0 ? r : box_take_fd(&fd);
}

/* ---- the cgroup ---------------------------------------------------------------------------------------------------- */

static int controllers_of(const char *list, size_t length, unsigned *mask, box_error **err)
{
    char name[64];

    for (const char *end = list + length; list <= end;) {
        const char *comma = memchr(list, ',', (size_t)(end - list));
        size_t n = (size_t)((comma ? comma : end) - list);
        if (n == 0 || n >= sizeof(name))
            return box_fail(err, BOX_EINVAL, "invalid --cgroup argument: an empty or very long controller's name");
        memcpy(name, list, n);
        name[n] = '\0';
        unsigned one = box_controller_from_name(name);
        if (!one)
            return box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = name},
                                 "invalid --cgroup argument: no such controller");
        *mask |= one;
        list += n + 1;
    }
    return 0;
}

/* A handle of its own, so that the container's stays as it is. Each argument as runc has it: "[controllers:]path". */
static int choose_cgroup(struct oci_container *c, char *const *cgroups, box_cgroup **own, box_error **err)
{
    if (!cgroups || !cgroups[0])
        return 0;
    if (!c->cgroup_location)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESTATE, .subject = c->id},
                             "the container has no cgroup that a process could be put below");
    *own = box_cgroup_open(NULL, c->cgroup_location, err);
    if (!*own)
        return err && *err ? box_error_code(*err) : BOX_ESYSTEM;
    for (size_t i = 0; cgroups[i]; i++) {
        const char *colon = strchr(cgroups[i], ':');
        unsigned mask = 0;
        if (!colon && cgroups[1])
            return box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = cgroups[i]},
                                 "invalid --cgroup argument: one of several must name its controllers");
        int r = colon ? controllers_of(cgroups[i], (size_t)(colon - cgroups[i]), &mask, err) : 0;
        if (r >= 0)
            r = cgroup_descend(*own, colon ? colon + 1 : cgroups[i], mask, err);
        if (r < 0)
            return box_fail_wrap(err, r, "container %s", c->id);
    }
    return 0;
}

/* ---- the start ----------------------------------------------------------------------------------------------------- */

static int launch(struct oci_container *c, const box_spec *process, const box_stdio *io, box_cgroup *cgroup,
                  box_process **started, box_error **err)
{
    struct plan_options plan_options = PLAN_OPTIONS_INIT;
    struct start_options start = START_OPTIONS_INIT;
    _cleanup_(box_plan) box_plan *plan = NULL;
    box_spec copy = *process;
    _close_ int tasks = -1, monitor = -1;
    int both[2] = {-1, -1};
    _close_ int root = open_root(c, err);

    if (root < 0)
        return root;
    int r = oci_rdt_join(c, both, err);
    tasks = start.tasks[0] = both[0];
    monitor = start.tasks[1] = both[1];
    if (r < 0)
        return r;
    plan_options.rdt = true;
    copy.root = c->spec->root;
    copy.limits = NULL;
    copy.cgroups_path = NULL;
    copy.init = false;
    plan_options.root_fd = root;
    plan_options.chroot = c->root_mount != 0;
    plan_options.join = namespaces_of(c->spec);
    plan_options.no_waiter = true; /* an engine's shim adopts it and waits for it */
    r = box_plan_new_with(&copy, &plan_options, &plan, err);
    if (r < 0)
        return r;
    start.io = io;
    start.join_pidfd = c->pidfd;
    start.cgroup = cgroup ? cgroup : oci_cgroup(c, NULL);
    start.id = c->id;
    start.bundle = c->bundle;
    return box_plan_start_with(plan, &start, started, err);
}

int box_oci_exec(box_oci *oci, const char *id, const box_spec *process, const box_oci_options *options,
                 box_process **started, box_error **err)
{
    const box_oci_options defaults = BOX_OCI_OPTIONS_INIT;
    _oci_container_ struct oci_container c = OCI_CONTAINER_INIT;
    _cleanup_(box_spec) box_spec *own = NULL;
    _cleanup_(box_cgroup) box_cgroup *cgroup = NULL;
    box_stdio *io = NULL;
    box_process *p = NULL;
    enum oci_status status;

    options = options ? options : &defaults;
    if (!process || !started || options->version != 1)
        return box_fail(err, BOX_EINVAL, "box_oci_exec: a process and a place for it are needed, and options of version 1");
    int r = oci_open(oci, id, &c, err);
    if (r < 0 || (r = oci_require_alive(&c, &status, err)) < 0 || (r = oci_load_spec(&c, err)) < 0)
        return r;
    if (status == OCI_PAUSED && !options->ignore_paused)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESTATE, .subject = id, .remedy = "resume it first"},
                             "cannot exec in a paused container: %s", id);
    if ((r = choose_cgroup(&c, options->cgroups, &cgroup, err)) < 0 || (r = box_spec_clone(process, &own, err)) < 0)
        return r;
    if (options->no_new_keyring)
        own->new_keyring = false;
    if ((r = oci_limit_capabilities(own, options, false, err)) < 0)
        return r;
    _close_ int console = -1;
    if ((r = oci_console_connect(own, options->console_socket, false, &console, err)) < 0)
        return r;
    if ((r = oci_streams(own, options, &io, err)) >= 0)
        r = launch(&c, own, io, cgroup, &p, err);
    if (r >= 0 && console >= 0) {
        r = oci_console_send(console, box_process_pty_fd(p), err);
        int master = box_process_take_pty_fd(p);
        if (master >= 0)
            close(master);
    }
    if (r >= 0)
        r = oci_write_pid(options->pid_file, box_process_pid(p), err);
    box_stdio_free(io);
    if (r < 0)
        box_process_free(p);
    else
        *started = p;
    return r < 0 ? r : 0;
}

/* ---- OCI's own fragments ------------------------------------------------------------------------------------------- */

/* A fragment becomes a document, so that one reader holds it against the same tables. */
static int parse_fragment(const char *before, const char *text, size_t length, const char *after, box_spec **spec, box_error **err)
{
    _free_ char *document = NULL;

    if (length > PROCESS_MAX)
        return box_fail(err, BOX_ELIMIT, "a document of more than %d bytes", PROCESS_MAX);
    if (asprintf(&document, "{\"ociVersion\":\"1.3.0\",%s%.*s%s}", before, (int)length, text, after) < 0) {
        document = NULL;
        return box_fail_nomem(err);
    }
    return box_spec_parse(document, strlen(document), spec, err);
}

int box_oci_parse_process(box_oci *oci, const char *id, const char *path, box_spec **process, box_error **err)
{
    _cleanup_(box_spec) box_spec *spec = NULL, *fragment = NULL;
    _free_ char *text = NULL;
    size_t length = 0;

    if (!path || !process)
        return box_fail(err, BOX_EINVAL, "box_oci_parse_process: arguments must not be NULL");
    int r = box_oci_spec(oci, id, &spec, err);
    if (r >= 0)
        r = box_file_read(AT_FDCWD, path, PROCESS_MAX, &text, &length, err);
    if (r >= 0)
        r = parse_fragment("\"process\":", text, length, "", &fragment, err);
    if (r < 0)
        return r;
    struct spec_process own = spec->process;
    spec->process = fragment->process;
    fragment->process = own;
    *process = box_take(spec);
    return 0;
}

int box_oci_parse_resources(const char *text, size_t length, box_limits **limits, box_error **err)
{
    _cleanup_(box_spec) box_spec *fragment = NULL;

    if (!text || !limits)
        return box_fail(err, BOX_EINVAL, "box_oci_parse_resources: arguments must not be NULL");
    int r = parse_fragment("\"linux\":{\"resources\":", text, length, "}", &fragment, err);
    if (r < 0)
        return r;
    *limits = fragment->limits ? box_take(fragment->limits) : box_limits_new(err);
    return *limits ? 0 : err && *err ? box_error_code(*err) : BOX_ENOMEM;
}
