/* top: the processes of a container, read from /proc; with options, what ps(1) says of them. */
#include "box.h"

#include <ctype.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "rows.h"

/* ---- in the columns of `ps -ef` ----------------------------------------------------------------------------------------- */

static char *read_text(pid_t pid, const char *name, size_t *n)
{
    char path[64], *text = NULL;

    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    FILE *f = fopen(path, "re"), *out = f ? open_memstream(&text, n) : NULL;
    for (int c; out && *n < 65536 && (c = fgetc(f)) != EOF;) {
        fputc(c, out);
        fflush(out);
    }
    if (out)
        fclose(out);
    if (f)
        fclose(f);
    return text;
}

/* Arguments with spaces between them; of a process without any, its name in brackets. */
static char *command_of(pid_t pid, const char *name)
{
    size_t n = 0;
    char *text = read_text(pid, "cmdline", &n);

    while (text && n && text[n - 1] == '\0')
        n--;
    for (size_t i = 0; text && i < n; i++)
        if (text[i] == '\0' || (unsigned char)text[i] < ' ')
            text[i] = ' ';
    if (text && n)
        return text;
    free(text);
    return print("[%s]", name);
}

static const char *terminal_of(unsigned device, char out[32])
{
    if (!device)
        return "?";
    if (major(device) >= 136 && major(device) <= 143)
        snprintf(out, 32, "pts/%u", (major(device) - 136) * 256 + minor(device));
    else
        snprintf(out, 32, "tty%u", minor(device));
    return out;
}

static time_t boot_time(void)
{
    struct timespec real, boot;

    clock_gettime(CLOCK_REALTIME, &real);
    clock_gettime(CLOCK_BOOTTIME, &boot);
    return real.tv_sec - boot.tv_sec;
}

static void start_text(time_t started, char out[16])
{
    struct tm tm;

    localtime_r(&started, &tm);
    strftime(out, 16, time(NULL) - started < 86400 ? "%H:%M" : "%b%d", &tm);
}

static void add_process(FILE *out, pid_t pid)
{
    size_t n = 0;
    unsigned long long used[2], start;
    int parent, device;
    char *text = read_text(pid, "stat", &n), path[32], tty[32], stime[16], *open = text ? strchr(text, '(') : NULL,
         *close = text ? strrchr(text, ')') : NULL;
    struct stat st;

    snprintf(path, sizeof(path), "/proc/%d", (int)pid);
    if (!open || !close || stat(path, &st) < 0 ||
        sscanf(close + 1, " %*c %d %*d %*d %d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d %llu", &parent, &device,
               &used[0], &used[1], &start) != 5) {
        free(text);
        return; /* it has ended meanwhile */
    }
    long hz = sysconf(_SC_CLK_TCK);
    unsigned long long seconds = (used[0] + used[1]) / (unsigned long long)hz;
    time_t started = boot_time() + (time_t)(start / (unsigned long long)hz), age = time(NULL) - started;
    struct passwd *user = getpwuid(st.st_uid);
    *close = '\0';
    char *command = command_of(pid, open + 1);
    start_text(started, stime);
    if (user && strlen(user->pw_name) <= 8)
        fprintf(out, "%s\t", user->pw_name);
    else
        fprintf(out, "%u\t", (unsigned)st.st_uid);
    fprintf(out, "%d\t%d\t%llu\t%s\t%s\t%02llu:%02llu:%02llu\t%s\n", (int)pid, parent,
            age > 0 ? seconds * 100 / (unsigned long long)age : 0, stime, terminal_of((unsigned)device, tty), seconds / 3600,
            seconds / 60 % 60, seconds % 60, command ? command : "");
    free(command);
    free(text);
}

static int print_processes(const pid_t *pids, size_t n)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);

    if (!out)
        return EXIT_BOX;
    fprintf(out, "UID\tPID\tPPID\tC\tSTIME\tTTY\tTIME\tCMD\n");
    for (size_t i = 0; i < n; i++)
        add_process(out, pids[i]);
    fclose(out);
    print_columns(text, 20);
    free(text);
    return 0;
}

/* ---- with options of ps(1) -------------------------------------------------------------------------------------------------- */

/* Options such as "-ef" choose processes of their own, so ps tells of all, and the lines of others are left out. */
static char *run_ps(char *const *options)
{
    char *args[64] = {(char *)(uintptr_t)"ps"}, *text = NULL, buffer[4096];
    int pipes[2], status = 0;
    size_t length = 0;
    ssize_t got;

    for (size_t i = 0; options[i] && i < 62; i++)
        args[i + 1] = options[i];
    if (pipe2(pipes, O_CLOEXEC) < 0)
        return NULL;
    pid_t pid = fork();
    if (pid == 0) {
        dup2(pipes[1], STDOUT_FILENO);
        execvp(args[0], args);
        fprintf(stderr, "box: top with options needs the program ps (package procps).\n");
        _exit(127);
    }
    close(pipes[1]);
    FILE *out = open_memstream(&text, &length);
    while (pid > 0 && out && (got = read(pipes[0], buffer, sizeof(buffer))) > 0)
        fwrite(buffer, 1, (size_t)got, out);
    close(pipes[0]);
    if (out)
        fclose(out);
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static size_t column_of_pid(const char *heads)
{
    for (size_t c = 0; *heads && *heads != '\n'; c++) {
        heads += strspn(heads, " ");
        size_t n = strcspn(heads, " \n");
        if (n == 3 && strncmp(heads, "PID", 3) == 0)
            return c;
        heads += n;
    }
    return SIZE_MAX;
}

static bool is_ours(const char *line, size_t column, const pid_t *pids, size_t n)
{
    for (; column; column--) {
        line += strspn(line, " ");
        line += strcspn(line, " \n");
    }
    long pid = strtol(line, NULL, 10);
    for (size_t i = 0; i < n; i++)
        if (pids[i] == pid)
            return true;
    return false;
}

/* The last column is what is left of a line. */
static void add_line(FILE *out, const char *line, size_t columns)
{
    for (size_t c = 0; c < columns; c++) {
        line += strspn(line, " ");
        size_t n = c + 1 < columns ? strcspn(line, " \n") : strcspn(line, "\n");
        fprintf(out, "%s%.*s", c ? "\t" : "", (int)n, line);
        line += n;
    }
    fputc('\n', out);
}

static int print_ps(char *const *options, const pid_t *pids, size_t n)
{
    char *said = run_ps(options), *text = NULL;
    size_t length = 0, columns = 0, pid = said ? column_of_pid(said) : 0;

    if (!said)
        return 1;
    if (pid == SIZE_MAX) {
        free(said);
        return fail_text("couldn't find PID field in ps output: the options must show it."), 1;
    }
    for (const char *p = said + strspn(said, " "); *p && *p != '\n'; p += strspn(p, " "), columns++)
        p += strcspn(p, " \n");
    FILE *out = open_memstream(&text, &length);
    for (char *line = said; out && *line; line += strcspn(line, "\n"), line += *line == '\n')
        if (line == said || is_ours(line, pid, pids, n))
            add_line(out, line, columns);
    if (out)
        fclose(out);
    print_columns(text, 20);
    free(text);
    free(said);
    return 0;
}

int verb_top(int argc, char **argv)
{
    box_error *err = NULL;
    pid_t *pids = NULL;
    size_t n = 0;

    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        printf("Usage: box top CONTAINER [ps OPTIONS]\n");
        return 0;
    }
    if (argc < 2)
        return wrong_count(argv[0], "requires at least 1 argument");
    box_container *c = open_container(argv[1]);
    if (!c)
        return 1;
    int code = box_container_pids(c, &pids, &n, &err) < 0 ? (fail(err), 1)
               : argc > 2                                 ? print_ps(argv + 2, pids, n)
                                                          : print_processes(pids, n);
    free(pids);
    box_container_free(c);
    return code;
}
