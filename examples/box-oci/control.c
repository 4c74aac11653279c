/* What is done to, and asked of, containers that exist. */
#include "oci.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int signal_number(const char *name)
{
    char *end;
    long n = strtol(name, &end, 10);

    if (*name && !*end)
        return n >= 0 && n < NSIG ? (int)n : -1; /* 0 asks whether it lives */
    if (strncasecmp(name, "SIG", 3) == 0)
        name += 3;
    for (int i = 1; i < NSIG; i++)
        if (sigabbrev_np(i) && strcasecmp(sigabbrev_np(i), name) == 0)
            return i;
    if (strncasecmp(name, "RTMIN+", 6) == 0 && SIGRTMIN + atoi(name + 6) <= SIGRTMAX)
        return SIGRTMIN + atoi(name + 6);
    return -1;
}

/* A verb with flags and one id. */
static int one_id(int argc, char **argv, const struct flag *flags)
{
    static const struct flag none[] = {{0}};
    int first = read_flags(argc, argv, flags ? flags : none);

    if (first >= 0 && argc - first != 1)
        return fail_text("\"%s\" requires exactly 1 argument: the id of the container", argv[0]), -1;
    return first < 0 || !containers() ? -1 : first;
}

int verb_start(int argc, char **argv)
{
    box_error *err = NULL;
    int first = one_id(argc, argv, NULL);

    return first < 0 ? 1 : box_oci_start(containers(), argv[first], &err) < 0 ? fail(err) : 0;
}

int verb_pause(int argc, char **argv)
{
    box_error *err = NULL;
    int first = one_id(argc, argv, NULL);

    return first < 0 ? 1 : box_oci_pause(containers(), argv[first], &err) < 0 ? fail(err) : 0;
}

int verb_resume(int argc, char **argv)
{
    box_error *err = NULL;
    int first = one_id(argc, argv, NULL);

    return first < 0 ? 1 : box_oci_resume(containers(), argv[first], &err) < 0 ? fail(err) : 0;
}

int verb_kill(int argc, char **argv)
{
    bool all = false;
    const struct flag flags[] = {{"all", 'a', FLAG_BOOL, &all}, {0}};
    box_error *err = NULL;
    int first = read_flags(argc, argv, flags), number = SIGTERM;

    /* "kill ID SIGNAL --all" is what some engines say. */
    if (first >= 0 && argc - first == 3 && strcmp(argv[argc - 1], "--all") == 0)
        all = true, argc--;
    if (first >= 0 && (argc - first < 1 || argc - first > 2))
        return fail_text("\"kill\" requires the id of the container, and at most a signal");
    if (first < 0 || !containers())
        return 1;
    if (argc - first == 2 && (number = signal_number(argv[first + 1])) < 0)
        return fail_text("unknown signal \"%s\"", argv[first + 1]);
    return box_oci_kill(containers(), argv[first], number, all, &err) < 0 ? fail(err) : 0;
}

int verb_delete(int argc, char **argv)
{
    bool force = false;
    const struct flag flags[] = {{"force", 'f', FLAG_BOOL, &force}, {0}};
    box_error *err = NULL;
    int first = one_id(argc, argv, flags);

    return first < 0 ? 1 : box_oci_delete(containers(), argv[first], force, &err) < 0 ? fail(err) : 0;
}

/* ---- state, list, ps -------------------------------------------------------------------------------------------------- */

static void put_time(FILE *out, int64_t ns)
{
    time_t seconds = ns / 1000000000;
    char text[40];
    struct tm tm;

    gmtime_r(&seconds, &tm);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    fprintf(out, "%s.%09dZ", text, (int)(ns % 1000000000));
}

static const char *owner_name(uid_t uid)
{
    struct passwd *user = getpwuid(uid);

    return user ? user->pw_name : "";
}

static void put_info(const box_oci_info *info)
{
    printf("\"id\":\"%s\",\"pid\":%d,\"status\":\"%s\",\"bundle\":", info->id, (int)info->pid, info->status);
    put_json(stdout, info->bundle);
    printf(",\"rootfs\":");
    put_json(stdout, info->rootfs);
    printf(",\"created\":\"");
    put_time(stdout, info->created);
    printf("\",\"owner\":\"%s\"", owner_name(info->owner));
}

/* The specification's document, and what runc says beside it. */
int verb_state(int argc, char **argv)
{
    box_error *err = NULL;
    char *json = NULL;
    box_oci_info info = {0};
    int first = one_id(argc, argv, NULL);

    if (first < 0)
        return 1;
    if (box_oci_state(containers(), argv[first], &json, &err) < 0 || box_oci_get_info(containers(), argv[first], &info, &err) < 0)
        return fail(err);
    json[strlen(json) - 1] = '\0'; /* its last brace */
    printf("%s,\"rootfs\":", json);
    put_json(stdout, info.rootfs);
    printf(",\"created\":\"");
    put_time(stdout, info.created);
    printf("\",\"owner\":\"%s\"}\n", owner_name(info.owner));
    box_oci_info_clear(&info);
    free(json);
    return 0;
}

int verb_list(int argc, char **argv)
{
    const char *format = "table";
    bool quiet = false;
    const struct flag flags[] = {{"format", 'f', FLAG_TEXT, &format}, {"quiet", 'q', FLAG_BOOL, &quiet}, {0}};
    box_error *err = NULL;
    char **ids = NULL;
    bool any = false;

    if (read_flags(argc, argv, flags) < 0 || !containers())
        return 1;
    bool json = strcmp(format, "json") == 0;
    if (!json && strcmp(format, "table") != 0)
        return fail_text("invalid format option");
    if (box_oci_list(containers(), &ids, &err) < 0)
        return fail(err);
    if (!json && !quiet)
        printf("%-40s %-10s %-10s %-40s %-32s %s\n", "ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER");
    for (char **id = ids; *id; id++) {
        box_oci_info info = {0};
        if (box_oci_get_info(containers(), *id, &info, NULL) < 0) /* gone meanwhile */
            continue;
        if (quiet) {
            printf("%s\n", info.id);
        } else if (json) {
            printf("%s{\"ociVersion\":\"1.3.0\",", any ? "," : "[");
            put_info(&info);
            printf("}");
        } else {
            printf("%-40s %-10d %-10s %-40s ", info.id, (int)info.pid, info.status, info.bundle);
            put_time(stdout, info.created);
            printf("   %s\n", owner_name(info.owner));
        }
        any = true;
        box_oci_info_clear(&info);
    }
    if (json && !quiet)
        printf("%s\n", any ? "]" : "null");
    box_strings_free(ids);
    return 0;
}

/* Runs ps and shows the lines of the container's processes. */
static int show_ps(const pid_t *pids, size_t n, int argc, char **argv)
{
    char line[4096], *own[] = {"ps", "-ef", NULL}, *args[64] = {"ps"};
    int ends[2], column = -1;
    bool heading = true;

    for (int i = 0; i < argc && i < 62; i++)
        args[i + 1] = argv[i];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return fail_text("pipe: %s", strerror(errno));
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execvp("ps", argc ? args : own);
        _exit(127);
    }
    close(ends[1]);
    FILE *in = fdopen(ends[0], "r");
    while (in && fgets(line, sizeof(line), in)) {
        char copy[sizeof(line)], *rest = copy, *word;
        int at = 0;
        bool shown = heading;
        memcpy(copy, line, sizeof(line));
        for (; (word = strtok_r(rest, " \n", &rest)); at++) {
            if (heading && strcmp(word, "PID") == 0)
                column = at;
            for (size_t i = 0; !heading && at == column && i < n; i++)
                shown |= atoi(word) == pids[i];
        }
        heading = false;
        if (shown)
            fputs(line, stdout);
    }
    if (in)
        fclose(in);
    waitpid(child, NULL, 0);
    return column < 0 ? fail_text("couldn't find PID field in ps output") : 0;
}

int verb_ps(int argc, char **argv)
{
    const char *format = "table";
    const struct flag flags[] = {{"format", 'f', FLAG_TEXT, &format}, {0}};
    box_error *err = NULL;
    pid_t *pids = NULL;
    size_t n = 0;
    int first = read_flags(argc, argv, flags), code = 0;

    if (first >= 0 && argc - first < 1)
        return fail_text("\"ps\" requires the id of the container");
    if (first < 0 || !containers())
        return 1;
    if (box_oci_pids(containers(), argv[first], &pids, &n, &err) < 0)
        return fail(err);
    if (strcmp(format, "json") == 0) {
        for (size_t i = 0; i < n; i++)
            printf("%c%d", i ? ',' : '[', (int)pids[i]);
        printf("%s]\n", n ? "" : "[");
    } else {
        code = show_ps(pids, n, argc - first - 1, argv + first + 1);
    }
    free(pids);
    return code;
}

/* Podman asks for the help of this command, and takes an exit status of 0 for a yes. */
int verb_checkpoint(int argc, char **argv)
{
    (void)argc;
    return fail_text("%s is not supported: box-oci cannot save the state of processes, or bring it back (CRIU)", argv[0]);
}

/* ---- features, spec ------------------------------------------------------------------------------------------------ */

int verb_features(int argc, char **argv)
{
    static const struct flag none[] = {{0}};
    box_error *err = NULL;
    char *json = NULL;

    if (read_flags(argc, argv, none) < 0)
        return 1;
    if (box_oci_features(&json, &err) < 0)
        return fail(err);
    printf("%s\n", json);
    free(json);
    return 0;
}

int verb_spec(int argc, char **argv)
{
    const char *bundle = ".";
    bool rootless = false;
    const struct flag flags[] = {{"bundle", 'b', FLAG_TEXT, &bundle}, {"rootless", 0, FLAG_BOOL, &rootless}, {0}};
    box_error *err = NULL;
    char *json = NULL, *path = NULL;

    if (read_flags(argc, argv, flags) < 0)
        return 1;
    if (box_oci_template(rootless, &json, &err) < 0)
        return fail(err);
    if (asprintf(&path, "%s/config.json", bundle) < 0)
        return 1;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    ssize_t n = fd < 0 ? -1 : write(fd, json, strlen(json));
    if (n != (ssize_t)strlen(json))
        return fail_text("%s: %s", path, fd < 0 && errno == EEXIST ? "file exists. Remove it first" : strerror(errno));
    close(fd);
    free(path);
    free(json);
    return 0;
}
