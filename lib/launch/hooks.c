/* Hooks of the host's side, and the state that all hooks read. See launch/hooks.h, and runtime.md, config.md ("POSIX-
 * platform Hooks") and config-linux.md ("containerProcessState") of the OCI runtime specification.
 *
 * A hook is a program of the host's that the spec names by its path: trusted, as the spec is. It runs with the arguments
 * and the environment that the spec gives and nothing else, and is killed when its time is over. */
#include "launch/hooks.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/strings.h"
#include "kernel/spawn.h"

#define SAID_MAX 400

static const char *const kind_names[SPEC_HOOK_KINDS] = {"prestart",       "createRuntime", "createContainer",
                                                        "startContainer", "poststart",     "poststop"};

const char *hooks_kind_name(enum spec_hook_kind kind)
{
    return kind_names[kind];
}

bool hooks_any(const box_spec *spec)
{
    for (size_t kind = 0; kind < SPEC_HOOK_KINDS; kind++)
        if (spec->hooks[kind].n)
            return true;
    return false;
}

bool hooks_of_stage(const box_spec *spec)
{
    return spec->hooks[SPEC_HOOK_CREATE_CONTAINER].n || spec->hooks[SPEC_HOOK_START_CONTAINER].n;
}

static int keep(const box_spec *spec, box_spec *kept, box_error **err)
{
    int r = 0;

    for (int kind = 0; kind < SPEC_HOOK_KINDS; kind++)
        for (size_t i = 0; i < spec->hooks[kind].n && r >= 0; i++) {
            const struct spec_hook *h = &spec->hooks[kind].list[i];
            r = box_spec_add_hook(kept, (enum box_spec_hook)kind, h->path, h->args, h->env, h->has_timeout ? h->timeout : 0,
                                  err);
        }
    for (size_t i = 0; i < spec->n_annotations && r >= 0; i++)
        r = box_spec_set_annotation(kept, spec->annotations[i].key, spec->annotations[i].value, err);
    if (r >= 0 && spec->root.path && spec->root.path[0] == '/')
        r = box_spec_set_root(kept, spec->root.path, err);
    return r;
}

int hooks_keep(const box_spec *spec, box_spec **kept, box_error **err)
{
    box_spec *copy = box_spec_new_empty();
    int r = copy ? keep(spec, copy, err) : box_fail_nomem(err);

    if (r < 0)
        box_spec_free(copy);
    else
        *kept = copy;
    return r;
}

/* ---- the state --------------------------------------------------------------------------------------------------- */

static int put_annotations(json_object *o, const box_spec *spec, box_error **err)
{
    json_object *map = spec->n_annotations ? json_object_new_object() : NULL;
    int r = spec->n_annotations ? box_json_put(o, "annotations", map, err) : 0;

    for (size_t i = 0; i < spec->n_annotations && r >= 0; i++)
        r = box_json_put_string(map, spec->annotations[i].key, spec->annotations[i].value, err);
    return r;
}

static int put_state(json_object *o, const box_spec *spec, const struct hook_state *state, box_error **err)
{
    const char *bundle = state->bundle ? state->bundle : spec->root.path ? spec->root.path : "/";
    char id[32];
    int r;

    snprintf(id, sizeof(id), "libbox-%d", (int)state->pid);
    if ((r = box_json_put_string(o, "ociVersion", "1.3.0", err)) < 0 ||
        (r = box_json_put_string(o, "id", state->id ? state->id : id, err)) < 0 ||
        (r = box_json_put_string(o, "status", state->status, err)) < 0 ||
        (strcmp(state->status, "stopped") != 0 && (r = box_json_put_i64(o, "pid", state->pid, err)) < 0) ||
        (r = box_json_put_string(o, "bundle", bundle, err)) < 0)
        return r;
    return put_annotations(o, spec, err);
}

static int text_of(json_object *o, char **text, box_error **err)
{
    const char *json = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);

    *text = json ? strdup(json) : NULL;
    return *text ? 0 : box_fail_nomem(err);
}

int hooks_state_text(const box_spec *spec, const struct hook_state *state, char **text, box_error **err)
{
    _cleanup_(json_object) json_object *o = json_object_new_object();
    int r = o ? put_state(o, spec, state, err) : box_fail_nomem(err);

    return r < 0 ? r : text_of(o, text, err);
}

/* ---- running them ------------------------------------------------------------------------------------------------ */

/* What a failed one wrote, as one line. */
static void said(const struct box_spawn_result *result, char *out, size_t size)
{
    const char *text = result->n_err ? result->err : result->n_out ? result->out : "";
    size_t n = 0;

    for (; text[n] && n + 1 < size; n++)
        out[n] = (unsigned char)text[n] < ' ' ? ' ' : text[n];
    while (n && out[n - 1] == ' ')
        n--;
    out[n] = '\0';
}

static int run_one(const struct spec_hook *hook, const char *field, const char *state, box_error **err)
{
    const char *own[] = {hook->path, NULL};
    struct box_spawn how = BOX_SPAWN_INIT;
    struct box_spawn_io io = {.input = state, .n_input = strlen(state), .limit = SAID_MAX, .timeout_ms = -1};
    _cleanup_spawn_result_ struct box_spawn_result result = {0};
    char ended[64], text[SAID_MAX + 1];

    how.path = hook->path;
    how.argv = hook->args && hook->args[0] ? (const char *const *)hook->args : own;
    how.envp = (const char *const *)hook->env;
    how.new_session = true;
    if (hook->has_timeout)
        io.timeout_ms = hook->timeout > INT_MAX / 1000 ? INT_MAX : hook->timeout * 1000;
    int r = box_spawn_run(&how, &io, &result, err);
    if (r < 0)
        return box_fail_wrap(err, r, "%s", field);
    if (result.status.known && !result.status.signal && result.status.code == 0)
        return 0;
    said(&result, text, sizeof(text));
    return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESTART, .subject = field}, "hook %s %s%s%s", hook->path,
                         box_spawn_describe(&result.status, ended, sizeof(ended)), *text ? ": " : "", text);
}

static int run_kind(const box_spec *spec, enum spec_hook_kind kind, const struct hook_state *state, bool all, box_error **err)
{
    _free_ char *text = NULL;
    const struct spec_hooks *hooks = &spec->hooks[kind];
    int r = hooks->n ? hooks_state_text(spec, state, &text, err) : 0;

    for (size_t i = 0; i < hooks->n && r >= 0; i++) {
        char field[64];
        snprintf(field, sizeof(field), "hooks.%s[%zu]", kind_names[kind], i);
        int one = run_one(&hooks->list[i], field, text, err);
        r = all ? 0 : one;
    }
    return r;
}

int hooks_run(const box_spec *spec, enum spec_hook_kind kind, const struct hook_state *state, box_error **err)
{
    return run_kind(spec, kind, state, false, err);
}

void hooks_run_all(const box_spec *spec, enum spec_hook_kind kind, const struct hook_state *state)
{
    run_kind(spec, kind, state, true, NULL);
}

/* ---- the seccomp agent -------------------------------------------------------------------------------------------- */

static int agent_text(const box_spec *spec, const char *metadata, const struct hook_state *state, char **text, box_error **err)
{
    _cleanup_(json_object) json_object *o = json_object_new_object();
    json_object *inner = json_object_new_object(), *fds = json_object_new_array();
    int r = box_json_put(o, "state", inner, err), f = box_json_put(o, "fds", fds, err);

    if (r < 0 || f < 0)
        return BOX_ENOMEM;
    if ((r = box_json_append(fds, json_object_new_string("seccompFd"), err)) < 0 ||
        (r = box_json_put_string(o, "ociVersion", "1.3.0", err)) < 0 || (r = box_json_put_i64(o, "pid", state->pid, err)) < 0 ||
        (metadata && (r = box_json_put_string(o, "metadata", metadata, err)) < 0) ||
        (r = put_state(inner, spec, state, err)) < 0)
        return r;
    return text_of(o, text, err);
}

static int send_with(int socket, const char *text, int fd)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    size_t left = strlen(text);
    struct iovec iov = {(void *)(uintptr_t)text, left};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};

    control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
    while (left) {
        ssize_t n = sendmsg(socket, &message, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        left -= (size_t)n;
        iov = (struct iovec){(char *)iov.iov_base + n, left};
        message.msg_control = NULL; /* once */
        message.msg_controllen = 0;
    }
    return 0;
}

int listener_hand_over(const box_spec *spec, const char *path, const char *metadata, const struct hook_state *state,
                       int listener, box_error **err)
{
    static const char field[] = "linux.seccomp.listenerPath";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _free_ char *text = NULL;

    if (strlen(path) >= sizeof(address.sun_path))
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ELIMIT, .subject = path},
                             "%s: a socket's path has at most %zu bytes", field, sizeof(address.sun_path) - 1);
    memcpy(address.sun_path, path, strlen(path) + 1);
    int r = agent_text(spec, metadata, state, &text, err);
    if (r < 0)
        return r;
    _close_ int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s < 0 || connect(s, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return box_fail_sys(err, s < 0 ? "socket" : "connect", path, "%s: reach the seccomp agent", field);
    if (send_with(s, text, listener) < 0)
        return box_fail_sys(err, "sendmsg", path, "%s: hand the listener over", field);
    return 0;
}
