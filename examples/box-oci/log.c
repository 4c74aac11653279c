/* Errors: to --log in the form that engines read, and to standard error in one line. */
#include "oci.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void put_json(FILE *out, const char *text)
{
    putc('"', out);
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p == '"' || *p == '\\')
            fprintf(out, "\\%c", *p);
        else if (*p < ' ')
            fprintf(out, "\\u%04x", *p);
        else
            putc(*p, out);
    }
    putc('"', out);
}

static void write_log(const char *level, const char *text)
{
    char now[40], *line = NULL;
    size_t length = 0;
    time_t seconds = time(NULL);
    struct tm tm;

    if (globals.log_fd < 0)
        return;
    FILE *out = open_memstream(&line, &length);
    if (!out)
        return;
    gmtime_r(&seconds, &tm);
    strftime(now, sizeof(now), "%Y-%m-%dT%H:%M:%SZ", &tm);
    if (globals.log_format && strcmp(globals.log_format, "json") == 0)
        fprintf(out, "{\"level\":\"%s\",\"msg\":", level);
    else
        fprintf(out, "time=\"%s\" level=%s msg=", now, level);
    put_json(out, text);
    if (globals.log_format && strcmp(globals.log_format, "json") == 0)
        fprintf(out, ",\"time\":\"%s\"}", now);
    putc('\n', out);
    /* In one write, since several runtimes may share a log. */
    if (fclose(out) == 0 && write(globals.log_fd, line, length) < 0)
        fprintf(stderr, "box-oci: %s: %s\n", globals.log, strerror(errno));
    free(line);
}

static void say(const char *level, bool aloud, const char *fmt, va_list args)
{
    char *text = NULL;

    if (vasprintf(&text, fmt, args) < 0)
        return;
    write_log(level, text);
    if (aloud)
        fprintf(stderr, "%s\n", text);
    free(text);
}

int fail_text(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    say("error", true, fmt, args);
    va_end(args);
    return 1;
}

void warn_text(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    say("warning", globals.log_fd < 0, fmt, args);
    va_end(args);
}

void debug_text(const char *fmt, ...)
{
    va_list args;

    if (!globals.debug)
        return;
    va_start(args, fmt);
    say("debug", globals.log_fd < 0, fmt, args);
    va_end(args);
}

/* Engines tell a missing program from one that may not be run by these words of runc's. A hook's is not the container's. */
int fail(box_error *err)
{
    bool hook = strncmp(box_error_message(err), "hooks.", 6) == 0;

    if (box_error_code(err) == BOX_ENOPROGRAM && !hook)
        fail_text("exec: %s: executable file not found in $PATH: %s", box_error_subject(err), box_error_message(err));
    else if (box_error_code(err) == BOX_ENOEXEC && !hook)
        fail_text("exec: %s: permission denied: %s", box_error_subject(err), box_error_message(err));
    else
        fail_text("%s", box_error_message(err));
    box_error_free(err);
    return 1;
}
