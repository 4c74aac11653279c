/* login and logout. */
#include "registry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define SECRET_MOST 65536

/* The domain that a person means: "https://index.docker.io/v1/", "host:5000/", nothing. To be freed. */
static char *domain_of(const char *server)
{
    static const char *const hub[] = {"index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"};

    if (!server)
        return strdup("docker.io");
    if (strncmp(server, "https://", 8) == 0)
        server += 8;
    else if (strncmp(server, "http://", 7) == 0)
        server += 7;
    char *domain = strndup(server, strcspn(server, "/"));
    for (size_t i = 0; domain && i < sizeof(hub) / sizeof(*hub); i++)
        if (strcmp(domain, hub[i]) == 0) {
            free(domain);
            return strdup("docker.io");
        }
    return domain;
}

/* One line from a stream, without its end; NULL at the end or when it is too long. To be freed. */
static char *read_line(FILE *in)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t n = getline(&line, &room, in);

    if (n < 0 || n > SECRET_MOST) {
        free(line);
        return NULL;
    }
    line[strcspn(line, "\r\n")] = 0;
    return line;
}

/* Asks at the terminal; `hidden` does not show what is typed. */
static char *ask(const char *what, bool hidden)
{
    struct termios before, silent;
    bool changed = hidden && tcgetattr(STDIN_FILENO, &before) == 0;

    fprintf(stderr, "%s: ", what);
    if (changed) {
        silent = before;
        silent.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    }
    char *line = read_line(stdin);
    if (changed) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fputc('\n', stderr);
    }
    return line;
}

/* All of standard input, without line ends at its end. */
static char *read_secret(void)
{
    char *text = calloc(1, SECRET_MOST + 1);
    size_t n = text ? fread(text, 1, SECRET_MOST, stdin) : 0;

    while (n && (text[n - 1] == '\n' || text[n - 1] == '\r'))
        text[--n] = 0;
    return text;
}

struct login {
    const char *user, *password;
    bool from_stdin;
};

/* What the flags leave open is asked for; strings to be freed. 0, or an exit code. */
static int complete(const struct login *given, char **user, char **password)
{
    *user = *password = NULL;
    if (given->from_stdin && given->password)
        return fail_text("--password and --password-stdin are mutually exclusive."), 1;
    if (given->from_stdin && !given->user)
        return fail_text("Must provide --username with --password-stdin."), 1;
    if (given->password)
        fprintf(stderr, "WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n");
    if (!isatty(STDIN_FILENO) && !given->from_stdin && (!given->user || !given->password))
        return fail_text("Cannot perform an interactive login from a non TTY device."), 1;
    *user = given->user ? strdup(given->user) : ask("Username", false);
    if (*user && **user)
        *password = given->password ? strdup(given->password) : given->from_stdin ? read_secret() : ask("Password", true);
    if (!*user || !**user || !*password || !**password)
        return fail_text("username or password is empty."), 1;
    return 0;
}

static int login(const char *domain, const char *user, const char *password, bool insecure)
{
    box_registry *registry = open_registry(domain, insecure);
    char *token = NULL, *path = config_path();
    box_error *err = NULL;
    int r = -1;

    if (registry) {
        r = box_registry_login(registry, domain, user, password, &token, &err);
        if (r == 0)
            r = box_credentials_store(path, domain, user, token ? token : password, token != NULL, &err);
        if (r < 0)
            fail(err);
    }
    if (r == 0)
        printf("Login Succeeded\n");
    if (token)
        explicit_bzero(token, strlen(token));
    free(token);
    free(path);
    box_registry_free(registry);
    return r < 0;
}

int verb_login(int argc, char **argv)
{
    struct login given = {0};
    const char *verify = NULL;
    const struct flag flags[] = {
        {'u', "username", FLAG_TEXT, &given.user, "NAME"},
        {'p', "password", FLAG_TEXT, &given.password, "PASSWORD, which others can see"},
        {0, "password-stdin", FLAG_BOOL, &given.from_stdin, "Read it from standard input"},
        {0, "tls-verify", FLAG_TEXT, &verify, "false: this registry may be spoken to without TLS"},
        {0},
    };
    int first = read_flags(argc, argv, flags, true, "login [OPTIONS] [SERVER]");
    char *user, *password;

    if (first < 0)
        return EXIT_BOX;
    if (first + 1 < argc)
        return fail_text("'login' requires at most 1 argument."), 1;
    char *domain = domain_of(first < argc ? argv[first] : NULL);
    int code = domain ? complete(&given, &user, &password) : fail_text("out of memory");
    if (domain && code == 0)
        code = login(domain, user, password, verify && strcmp(verify, "false") == 0);
    if (domain && password)
        explicit_bzero(password, strlen(password));
    if (domain) {
        free(user);
        free(password);
    }
    free(domain);
    return code;
}

int verb_logout(int argc, char **argv)
{
    const struct flag flags[] = {{0}};
    int first = read_flags(argc, argv, flags, true, "logout [SERVER]"), code = 0;
    char *path = config_path();
    box_error *err = NULL;

    if (first < 0)
        return EXIT_BOX;
    char *domain = domain_of(first < argc ? argv[first] : NULL);
    const char *shown = domain && strcmp(domain, "docker.io") == 0 ? "https://index.docker.io/v1/" : domain;
    if (!domain) {
        code = fail_text("out of memory");
    } else if (box_credentials_erase(path, domain, &err) == 0) {
        printf("Removing login credentials for %s\n", shown);
    } else if (box_error_code(err) == BOX_ENOTFOUND) {
        printf("Not logged in to %s\n", shown);
        box_error_free(err);
    } else {
        code = (fail(err), 1);
    }
    free(domain);
    free(path);
    return code;
}
