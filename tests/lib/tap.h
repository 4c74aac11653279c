/* Helpers for tests that are C programs of their own (integration, hostile, threaded). Header only, and safe
 * to call from several threads: results are counted atomically and written by one write(2) each.
 *
 *     ok(fd >= 0, "the container's fd is there: %s", strerror(errno));
 *     is_int(status, 0, "exit status");
 *     is_str(name, "web", "name");
 *     skip("no cgroup v2 here: %s", why);            one result, skipped
 *     skip_all("needs root");                        the whole program
 *     return done_testing();                         last line of main: writes the plan, gives the exit
 * status
 */
#ifndef TESTS_TAP_H
#define TESTS_TAP_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int tap_count_, tap_failed_;

#define TAP_PRINTF_(f, a) __attribute__((unused, format(printf, f, a)))

/* One line, whole, in one write; a newline inside the text would start a result of its own. */
__attribute__((unused)) static void tap_line_(const char *head, const char *fmt, va_list ap)
{
    char line[2048];
    int at = snprintf(line, sizeof line - 1, "%s", head);
    int n = vsnprintf(line + at, sizeof line - 1 - (size_t)at, fmt, ap);
    size_t len = strlen(line);
    (void)n;
    for (size_t i = 0; i < len; i++)
        if (line[i] == '\n')
            line[i] = ' ';
    line[len++] = '\n';
    if (write(STDOUT_FILENO, line, len) < 0)
        abort();
}

TAP_PRINTF_(1, 2) static void diag(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    tap_line_("# ", fmt, ap);
    va_end(ap);
}

TAP_PRINTF_(2, 3) static int ok(int good, const char *fmt, ...)
{
    char head[64];
    int n = __atomic_add_fetch(&tap_count_, 1, __ATOMIC_RELAXED);
    if (!good)
        __atomic_add_fetch(&tap_failed_, 1, __ATOMIC_RELAXED);
    snprintf(head, sizeof head, "%sok %d - ", good ? "" : "not ", n);
    va_list ap;
    va_start(ap, fmt);
    tap_line_(head, fmt, ap);
    va_end(ap);
    return good;
}

__attribute__((unused)) static int is_int(long long got, long long wanted, const char *text)
{
    if (ok(got == wanted, "%s", text))
        return 1;
    diag("%s: got %lld, wanted %lld", text, got, wanted);
    return 0;
}

__attribute__((unused)) static int is_str(const char *got, const char *wanted, const char *text)
{
    int same = got && wanted ? strcmp(got, wanted) == 0 : got == wanted;
    if (ok(same, "%s", text))
        return 1;
    diag("%s: got \"%s\", wanted \"%s\"", text, got ? got : "(null)", wanted ? wanted : "(null)");
    return 0;
}

TAP_PRINTF_(1, 2) static void skip(const char *fmt, ...)
{
    char head[64];
    int n = __atomic_add_fetch(&tap_count_, 1, __ATOMIC_RELAXED);
    snprintf(head, sizeof head, "ok %d # SKIP ", n);
    va_list ap;
    va_start(ap, fmt);
    tap_line_(head, fmt, ap);
    va_end(ap);
}

TAP_PRINTF_(1, 2) static void skip_all(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    tap_line_("1..0 # SKIP ", fmt, ap);
    va_end(ap);
    exit(0);
}

__attribute__((unused)) static int done_testing(void)
{
    char line[32];
    int n = snprintf(line, sizeof line, "1..%d\n", tap_count_);
    if (write(STDOUT_FILENO, line, (size_t)n) < 0)
        return 1;
    return tap_failed_ ? 1 : 0;
}

#endif
