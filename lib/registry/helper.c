/* Running a credential helper: "docker-credential-NAME get|store|erase", with the key or a JSON document on its
 * standard input and a JSON document on its standard output.
 * https://github.com/docker/docker-credential-helpers
 *
 * The name comes from a configuration of the user's own, and is one component of letters and digits (config.c), so
 * that it names a program of PATH and nothing else. A helper may ask its user for a password, so it gets two
 * minutes; what it writes is bounded. */
#include "registry/helper.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "kernel/spawn.h"
#include "registry/text.h"

#define HELPER_MS     120000
#define HELPER_OUTPUT (256u << 10)
#define TOKEN_USER    "<token>"

extern char **environ;

/* The program's path; NULL with *err set. */
static char *find_program(const char *name, box_error **err)
{
    const char *path = getenv("PATH");
    _strv_ char **dirs = box_strv_split(path && *path ? path : "/usr/local/bin:/usr/bin:/bin", ':');

    for (size_t i = 0; dirs && dirs[i]; i++) {
        /* "" and relative ones would be what lies in the working directory. */
        _free_ char *program = dirs[i][0] == '/' ? box_strf("%s/docker-credential-%s", dirs[i], name) : NULL;
        if (program && access(program, X_OK) == 0)
            return box_take(program);
    }
    _free_ char *program = box_strf("docker-credential-%s", name);
    struct box_fail_info info = {.code = BOX_ENOPROGRAM,
                                 .subject = program,
                                 .remedy = "install it, or take credsStore and credHelpers out of config.json"};
    box_fail_with(err, &info, "the credential helper that the configuration names is not in PATH");
    return NULL;
}

static int fail_said(const char *program, const struct box_spawn_result *result, box_error **err)
{
    const char *said = result->n_out ? result->out : result->n_err ? result->err : "";
    size_t length = result->n_out ? result->n_out : result->n_err;
    _buffer_ struct box_buffer text = {0};
    char ending[64];
    struct box_fail_info info = {.code = BOX_EPERMISSION, .subject = program};

    while (length && said[length - 1] == '\n')
        length--;
    if (length)
        box_text_append_clean(&text, said, length, 300);
    else
        box_buffer_puts(&text, box_spawn_describe(&result->status, ending, sizeof(ending)));
    return box_fail_with(err, &info, "the credential helper failed: %s", box_buffer_ok(&text) ? text.data : "");
}

/* In a host that ignores SIGCHLD the status may be lost: then the output tells, since `get` writes a document and
 * the others write nothing unless they fail. */
static bool succeeded(const struct box_spawn_result *result, const char *verb)
{
    if (result->status.known)
        return result->status.code == 0;
    return strcmp(verb, "get") == 0 ? result->n_out && result->out[0] == '{' : !result->n_out;
}

/* Runs it. *missing is set when it says that it has no such login, which is then no failure. */
static int run(const struct box_call *call, const char *name, const char *verb, const char *input, char **output,
               bool *missing, box_error **err)
{
    _cleanup_spawn_result_ struct box_spawn_result result = {.status.code = -1};
    struct box_deadline until = box_deadline_sooner(call->deadline, box_deadline_in_ms(HELPER_MS));
    struct box_spawn how = BOX_SPAWN_INIT;
    _free_ char *program = find_program(name, err);
    if (!program)
        return BOX_ENOPROGRAM;
    const char *const argv[] = {program, verb, NULL};
    const struct box_spawn_io io = {.input = input,
                                    .n_input = strlen(input),
                                    .limit = HELPER_OUTPUT,
                                    .timeout_ms = box_deadline_left_ms(until),
                                    .cancel_fd = call->cancel_fd};

    how.path = program;
    how.argv = argv;
    how.envp = (const char *const *)environ;
    int r = box_spawn_run(&how, &io, &result, err);
    if (r < 0)
        return r;
    if (!succeeded(&result, verb)) {
        *missing = result.out && strstr(result.out, "credentials not found");
        return *missing ? 0 : fail_said(program, &result, err);
    }
    if (result.out_cut)
        return box_fail(err, BOX_ELIMIT, "%s wrote more than %u bytes", program, HELPER_OUTPUT);
    if (output) {
        *output = result.out;
        result.out = NULL;
    }
    return 0;
}

static int read_login(const char *output, const char *name, struct box_login *login, box_error **err)
{
    const struct box_json_limits limits = {.size = HELPER_OUTPUT, .depth = 8};
    _cleanup_(box_error) box_error *own = NULL;
    _cleanup_(json_object) json_object *document =
        box_json_parse(output, strlen(output), &limits, NULL, err ? err : &own);
    const struct box_json_at root = BOX_JSON_ROOT(document);
    const char *user = "", *secret = "";

    int r = document ? box_json_as_object(&root, err) : box_error_code(err ? *err : own);
    if (r == 0)
        r = box_json_get_string(&root, "Username", BOX_JSON_OPTIONAL, &user, err);
    if (r == 0)
        r = box_json_get_string(&root, "Secret", BOX_JSON_OPTIONAL, &secret, err);
    if (r < 0)
        return box_fail_wrap(err, r, "docker-credential-%s", name);
    if (strlen(secret) > BOX_SECRET_MAX || strlen(user) > BOX_SECRET_MAX)
        return box_fail(err, BOX_ELIMIT, "docker-credential-%s: longer than a login can be", name);
    if (!*user && !*secret)
        return 0;
    bool token = strcmp(user, TOKEN_USER) == 0;
    if (!token && !(login->user = strdup(user)))
        return box_fail_nomem(err);
    char **slot = token ? &login->identity : &login->password;
    *slot = strdup(secret);
    return *slot ? 0 : box_fail_nomem(err);
}

int box_helper_get(const struct box_call *call, const char *name, const char *key, struct box_login *login,
                   box_error **err)
{
    _secret_ char *output = NULL;
    bool missing = false;
    int r = run(call, name, "get", key, &output, &missing, err);

    return r < 0 || missing ? r : read_login(output, name, login, err);
}

int box_helper_store(const struct box_call *call, const char *name, const char *key, const char *user,
                     const char *secret, box_error **err)
{
    _cleanup_(json_object) json_object *document = json_object_new_object();
    bool missing = false;
    int r = document ? box_json_put_string(document, "ServerURL", key, err) : box_fail_nomem(err);

    if (r == 0)
        r = box_json_put_string(document, "Username", user ? user : TOKEN_USER, err);
    if (r == 0)
        r = box_json_put_string(document, "Secret", secret, err);
    if (r < 0)
        return r;
    const char *text = json_object_to_json_string_ext(document, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    r = text ? run(call, name, "store", text, NULL, &missing, err) : box_fail_nomem(err);
    return r == 0 && missing ? box_fail(err, BOX_EPERMISSION, "docker-credential-%s did not store the login", name) : r;
}

int box_helper_erase(const struct box_call *call, const char *name, const char *key, box_error **err)
{
    bool missing = false;
    int r = run(call, name, "erase", key, NULL, &missing, err);

    return r == 0 && missing ? box_fail(err, BOX_ENOTFOUND, "docker-credential-%s keeps no login for %s", name, key) : r;
}
