/* create, run, exec: what starts something. */
#include "oci.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

box_oci *containers(void)
{
    static box_oci *oci;
    box_error *err = NULL;
    bool systemd = globals.systemd || (globals.cgroup_manager && strcmp(globals.cgroup_manager, "systemd") == 0);

    if (!oci && box_oci_open(globals.root, systemd ? BOX_OCI_SYSTEMD_CGROUP : 0, &oci, &err) < 0)
        fail(err);
    return oci;
}

static unsigned listen_fds(void)
{
    const char *text = getenv("LISTEN_FDS");
    long n = text ? strtol(text, NULL, 10) : 0;

    return n > 0 && n < 1000 ? (unsigned)n : 0;
}

struct create {
    const char *bundle, *config, *console, *pid_file;
    unsigned preserve;
    bool no_pivot, no_keyring, detach, keep, no_subreaper;
};

static int read_create(int argc, char **argv, struct create *c)
{
    const struct flag flags[] = {
        {"bundle", 'b', FLAG_TEXT, &c->bundle},
        {"config", 'f', FLAG_TEXT, &c->config},
        {"console-socket", 0, FLAG_TEXT, &c->console},
        {"pid-file", 0, FLAG_TEXT, &c->pid_file},
        {"preserve-fds", 0, FLAG_NUMBER, &c->preserve},
        {"no-pivot", 0, FLAG_BOOL, &c->no_pivot},
        {"no-new-keyring", 0, FLAG_BOOL, &c->no_keyring},
        {"detach", 'd', FLAG_BOOL, &c->detach},
        {"keep", 0, FLAG_BOOL, &c->keep},
        {"no-subreaper", 0, FLAG_BOOL, &c->no_subreaper},
        {0},
    };
    int first = read_flags(argc, argv, flags);

    if (first >= 0 && argc - first != 1)
        return fail_text("\"%s\" requires exactly 1 argument: the id of the container", argv[0]), -1;
    return first < 0 || !containers() ? -1 : first;
}

static void warn(void *data, const char *text)
{
    (void)data;
    warn_text("%s", text);
}

static box_oci_options options_of(const struct create *c)
{
    box_oci_options o = BOX_OCI_OPTIONS_INIT;

    o.warn = warn;
    o.bundle = c->bundle;
    o.config = c->config;
    o.console_socket = c->console;
    o.pid_file = c->pid_file;
    o.listen_fds = listen_fds();
    o.preserve_fds = c->preserve + o.listen_fds;
    o.no_pivot = c->no_pivot;
    o.no_new_keyring = c->no_keyring;
    return o;
}

int verb_create(int argc, char **argv)
{
    struct create c = {0};
    box_error *err = NULL;
    int first = read_create(argc, argv, &c);

    if (first < 0)
        return 1;
    box_oci_options o = options_of(&c);
    return box_oci_create(containers(), argv[first], &o, &err) < 0 ? fail(err) : 0;
}

static bool wants_terminal(const struct create *c)
{
    char *beside = NULL;
    box_spec *spec = NULL;
    bool terminal = false;

    if (asprintf(&beside, "%s/config.json", c->bundle ? c->bundle : ".") < 0)
        return false;
    if (box_spec_load(c->config ? c->config : beside, &spec, NULL) >= 0)
        terminal = box_spec_get_terminal(spec);
    box_spec_free(spec);
    free(beside);
    return terminal;
}

/* The container goes with its program, unless it is to be kept. */
static int stay(const char *id, const struct create *c, int master)
{
    box_oci_info info = {0};
    box_error *err = NULL;
    int code = 1, pidfd = box_oci_pidfd(containers(), id, NULL);

    if (box_oci_get_info(containers(), id, &info, &err) < 0)
        return fail(err);
    /* One that has ended already has no pid in its state any more; it is still ours to wait for. */
    attend(info.pid, pidfd, master);
    code = reap(info.pid ? info.pid : -1);
    box_oci_info_clear(&info);
    if (!c->keep && box_oci_delete(containers(), id, true, &err) < 0)
        fail(err);
    return code;
}

int verb_run(int argc, char **argv)
{
    struct create c = {0};
    box_error *err = NULL;
    char *path = NULL;
    int console = -1, master = -1, first = read_create(argc, argv, &c);

    if (first < 0)
        return 1;
    box_oci_options o = options_of(&c);
    if (!c.detach && !c.console && wants_terminal(&c)) {
        console = open_console(&path);
        if (console < 0)
            return fail_text("cannot make a console socket: %s", strerror(errno));
        o.console_socket = path;
    }
    int r = box_oci_create(containers(), argv[first], &o, &err);
    if (r >= 0 && console >= 0)
        master = accept_console(console);
    close_console(console, path);
    if (r >= 0 && (r = box_oci_start(containers(), argv[first], &err)) < 0)
        box_oci_delete(containers(), argv[first], true, NULL);
    if (r < 0)
        return fail(err);
    return c.detach ? 0 : stay(argv[first], &c, master);
}

/* ---- exec ---------------------------------------------------------------------------------------------------------- */

struct exec {
    const char *console, *cwd, *user, *process, *pid_file, *label, *apparmor;
    struct list env, caps, gids, cgroups;
    unsigned preserve;
    bool tty, detach, no_new_privileges, ignore_paused;
};

/* To those that the container's document gives. */
static int add_groups(box_spec *spec, const struct list *texts, box_error **err)
{
    size_t n = 0;
    const gid_t *own = box_spec_get_groups(spec, &n);
    gid_t *groups = calloc(n + texts->n, sizeof(*groups));
    int r = groups ? 0 : (fail_text("out of memory"), BOX_ENOMEM);

    if (r >= 0 && n)
        memcpy(groups, own, n * sizeof(*groups));
    for (size_t i = 0; r >= 0 && i < texts->n; i++) {
        char *end;
        unsigned long gid = strtoul(texts->items[i], &end, 10);
        if (texts->items[i][0] < '0' || texts->items[i][0] > '9' || *end || gid > UINT32_MAX - 1)
            r = (fail_text("--additional-gids: \"%s\" is not the number of a group", texts->items[i]), BOX_EINVAL);
        else
            groups[n + i] = (gid_t)gid;
    }
    if (r >= 0)
        r = box_spec_set_groups(spec, groups, n + texts->n, err);
    free(groups);
    return r;
}

/* "uid[:gid]"; names are looked up in the container's own files. Without an error set, it has been told already. */
static int change(box_spec *spec, const struct exec *x, char **command, box_error **err)
{
    int r = box_spec_set_args(spec, command, err);

    if (r >= 0)
        r = box_spec_set_terminal(spec, x->tty, err);
    if (r >= 0 && x->cwd)
        r = box_spec_set_cwd(spec, x->cwd, err);
    if (r >= 0 && x->user)
        r = box_spec_set_user_name(spec, x->user, err);
    if (r >= 0 && x->gids.n)
        r = add_groups(spec, &x->gids, err);
    for (size_t i = 0; r >= 0 && i < x->env.n; i++) {
        const char *equals = strchr(x->env.items[i], '=');
        char *name = strndup(x->env.items[i], equals ? (size_t)(equals - x->env.items[i]) : strlen(x->env.items[i]));
        r = name ? box_spec_set_env(spec, name, equals ? equals + 1 : "", err) : BOX_ENOMEM;
        free(name);
    }
    for (size_t i = 0; r >= 0 && i < x->caps.n; i++)
        r = box_spec_add_capability(spec, x->caps.items[i], err);
    if (r >= 0 && x->label)
        r = box_spec_set_selinux(spec, x->label, err);
    if (r >= 0 && x->apparmor)
        r = box_spec_set_apparmor(spec, x->apparmor, err);
    if (r >= 0 && x->no_new_privileges)
        r = box_spec_set_no_new_privileges(spec, true, err);
    return r;
}

static int read_exec(int argc, char **argv, struct exec *x)
{
    const struct flag flags[] = {
        {"console-socket", 0, FLAG_TEXT, &x->console},
        {"cwd", 0, FLAG_TEXT, &x->cwd},
        {"env", 'e', FLAG_LIST, &x->env},
        {"tty", 't', FLAG_BOOL, &x->tty},
        {"user", 'u', FLAG_TEXT, &x->user},
        {"additional-gids", 'g', FLAG_LIST, &x->gids},
        {"process", 'p', FLAG_TEXT, &x->process},
        {"detach", 'd', FLAG_BOOL, &x->detach},
        {"pid-file", 0, FLAG_TEXT, &x->pid_file},
        {"process-label", 0, FLAG_TEXT, &x->label},
        {"apparmor", 0, FLAG_TEXT, &x->apparmor},
        {"no-new-privs", 0, FLAG_BOOL, &x->no_new_privileges},
        {"cap", 'c', FLAG_LIST, &x->caps},
        {"preserve-fds", 0, FLAG_NUMBER, &x->preserve},
        {"cgroup", 0, FLAG_LIST, &x->cgroups},
        {"ignore-paused", 0, FLAG_BOOL, &x->ignore_paused},
        {0},
    };
    int first = read_flags(argc, argv, flags);

    if (first >= 0 && (argc - first < 1 || (argc - first < 2 && !x->process)))
        return fail_text("\"exec\" requires the id of the container, and a command or --process"), -1;
    return first < 0 || !containers() ? -1 : first;
}

int verb_exec(int argc, char **argv)
{
    struct exec x = {0};
    box_spec *spec = NULL;
    box_process *process = NULL;
    box_oci_options o = BOX_OCI_OPTIONS_INIT;
    box_error *err = NULL;
    int first = read_exec(argc, argv, &x);

    if (first < 0)
        return 1;
    const char *id = argv[first];
    int r = x.process ? box_oci_parse_process(containers(), id, x.process, &spec, &err) : box_oci_spec(containers(), id, &spec, &err);
    if (r >= 0 && !x.process)
        r = change(spec, &x, argv + first + 1, &err);
    o.warn = warn;
    o.ignore_paused = x.ignore_paused;
    o.console_socket = x.console;
    o.pid_file = x.pid_file;
    o.preserve_fds = x.preserve;
    o.cgroups = (char *const *)(void *)x.cgroups.items;
    if (r >= 0 && x.detach && !x.console && box_spec_get_terminal(spec)) /* its terminal would be gone as soon as it is there */
        r = (fail_text("cannot allocate a terminal: box-oci does not stay, and there is no console socket"), BOX_EINVAL);
    if (r >= 0)
        r = box_oci_exec(containers(), id, spec, &o, &process, &err);
    box_spec_free(spec);
    if (r < 0)
        return err ? fail(err) : 0, 255;
    if (x.detach) {
        box_process_detach(process);
        box_process_free(process);
        return 0;
    }
    attend(box_process_pid(process), box_process_pidfd(process), x.console ? -1 : box_process_take_pty_fd(process));
    r = box_process_wait(process, -1, &err);
    int code = r < 0 ? (fail(err), 255) : box_process_ending(process)->code;
    box_process_free(process);
    return code < 0 ? 255 : code;
}
