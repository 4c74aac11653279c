/* The error object. One allocation holds the struct and every string, so that an error is either whole or the static
 * out-of-memory one; nothing in between can exist. */
#include "base/fail.h"

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

struct box_error {
    int code;
    int errnum;
    const char *stage;
    const char *call;
    const char *subject;
    const char *remedy;
    const char *detail;
    const char *message;
};

static const struct box_error out_of_memory = {
    .code = BOX_ENOMEM,
    .errnum = ENOMEM,
    .stage = "",
    .call = "",
    .subject = "",
    .remedy = "",
    .detail = "out of memory",
    .message = "out of memory",
};

static const char *const code_names[] = {
    "BOX_OK",         "BOX_ENOMEM",     "BOX_EINVAL",   "BOX_ESPEC",        "BOX_EPARSE",  "BOX_ENOTFOUND",
    "BOX_EEXISTS",    "BOX_EBUSY",      "BOX_ESTATE",   "BOX_EPERMISSION",  "BOX_EUNSUPPORTED", "BOX_ELIMIT",
    "BOX_ESYSTEM",    "BOX_ETIMEOUT",   "BOX_ECANCELLED", "BOX_EDIGEST",    "BOX_ECORRUPT", "BOX_ESTART",
    "BOX_ENOEXEC",    "BOX_ENOPROGRAM", "BOX_EESCAPE",  "BOX_ELIBRARY",     "BOX_ENOSPACE", "BOX_ECHILD",
};

int box_error_code(const box_error *err)
{
    return err ? err->code : BOX_OK;
}

int box_error_errno(const box_error *err)
{
    return err ? err->errnum : 0;
}

const char *box_error_stage(const box_error *err)
{
    return err ? err->stage : "";
}

const char *box_error_call(const box_error *err)
{
    return err ? err->call : "";
}

const char *box_error_subject(const box_error *err)
{
    return err ? err->subject : "";
}

const char *box_error_remedy(const box_error *err)
{
    return err ? err->remedy : "";
}

const char *box_error_message(const box_error *err)
{
    return err ? err->message : "no error";
}

const char *box_error_code_name(int code)
{
    if (code > 0 || (size_t)-code >= BOX_ARRAY(code_names))
        return "BOX_E?";
    return code_names[-code];
}

void box_error_free(box_error *err)
{
    if (err != &out_of_memory)
        free(err);
}

const char *box_version(void)
{
    return BOX_VERSION;
}

int box_code_from_errno(int errnum)
{
    switch (errnum) {
    case ENOMEM:
        return BOX_ENOMEM;
    case EPERM:
    case EACCES:
        return BOX_EPERMISSION;
    case ENOENT:
        return BOX_ENOTFOUND;
    case EEXIST:
        return BOX_EEXISTS;
    case EBUSY:
        return BOX_EBUSY;
    case ENOSPC:
    case EDQUOT:
        return BOX_ENOSPACE;
    case ENOSYS:
    case EOPNOTSUPP:
        return BOX_EUNSUPPORTED;
    case ETIMEDOUT:
        return BOX_ETIMEOUT;
    default:
        return BOX_ESYSTEM;
    }
}

int box_fail_nomem(box_error **err)
{
    if (err)
        *err = (box_error *)&out_of_memory;
    return BOX_ENOMEM;
}

/* A bump pointer over the one allocation. */
static const char *put(char **at, const char *s)
{
    size_t n = strlen(s) + 1;
    char *start = *at;

    memcpy(start, s, n);
    *at += n;
    return start;
}

static const char *or_empty(const char *s)
{
    return s ? s : "";
}

static int make(box_error **err, const struct box_fail_info *info, const char *detail)
{
    const char *stage = or_empty(info->stage), *call = or_empty(info->call);
    const char *subject = or_empty(info->subject), *remedy = or_empty(info->remedy);
    const char *reason = "";
    char reason_buffer[128];
    int code = info->code ? info->code : box_code_from_errno(info->errnum);

    if (!err)
        return code;
    if (info->errnum)
        reason = strerror_r(info->errnum, reason_buffer, sizeof(reason_buffer));

    /* "stage: detail: subject: call: reason (remedy)", leaving out what is empty. */
    size_t strings = strlen(stage) + strlen(call) + strlen(subject) + strlen(remedy) + strlen(detail);
    size_t total = sizeof(struct box_error) + 2 * strings + strlen(reason) + 32;
    struct box_error *e = malloc(total);
    if (!e)
        return box_fail_nomem(err);

    char *at = (char *)(e + 1);
    e->code = code;
    e->errnum = info->errnum;
    e->stage = put(&at, stage);
    e->call = put(&at, call);
    e->subject = put(&at, subject);
    e->remedy = put(&at, remedy);
    e->detail = put(&at, detail);
    e->message = at;

    const char *parts[] = {stage, detail, subject, call, reason};
    bool first = true;
    for (size_t i = 0; i < BOX_ARRAY(parts); i++) {
        /* The subject is often in the sentence already. */
        if (!*parts[i] || (parts[i] == subject && strstr(detail, subject)))
            continue;
        if (!first)
            at = stpcpy(at, ": ");
        at = stpcpy(at, parts[i]);
        first = false;
    }
    if (*remedy) {
        at = stpcpy(at, " (");
        at = stpcpy(at, remedy);
        at = stpcpy(at, ")");
    }
    *at = '\0';

    *err = e;
    return code;
}

BOX_PRINTF(3, 0)
static int vfail(box_error **err, const struct box_fail_info *info, const char *fmt, va_list args)
{
    char local[512];
    va_list again;

    if (!err)
        return make(NULL, info, "");
    va_copy(again, args);
    int n = vsnprintf(local, sizeof(local), fmt, args);
    _free_ char *longer = NULL;
    if (n >= (int)sizeof(local)) {
        longer = malloc((size_t)n + 1);
        if (longer)
            vsnprintf(longer, (size_t)n + 1, fmt, again);
    }
    va_end(again);
    return make(err, info, longer ? longer : local);
}

int box_fail(box_error **err, int code, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    int r = vfail(err, &(struct box_fail_info){.code = code}, fmt, args);
    va_end(args);
    return r;
}

int box_fail_sys(box_error **err, const char *call, const char *subject, const char *fmt, ...)
{
    struct box_fail_info info = {.errnum = errno, .call = call, .subject = subject};
    va_list args;

    va_start(args, fmt);
    int r = vfail(err, &info, fmt, args);
    va_end(args);
    return r;
}

int box_fail_with(box_error **err, const struct box_fail_info *info, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    int r = vfail(err, info, fmt, args);
    va_end(args);
    return r;
}

int box_fail_wrap(box_error **err, int code, const char *fmt, ...)
{
    char prefix[512];
    va_list args;

    if (!err || !*err || *err == &out_of_memory)
        return code;
    va_start(args, fmt);
    vsnprintf(prefix, sizeof(prefix), fmt, args);
    va_end(args);

    box_error *inner = *err;
    char stage[1024];
    snprintf(stage, sizeof(stage), "%s%s%s", prefix, *inner->stage ? ": " : "", inner->stage);
    struct box_fail_info info = {inner->code, inner->errnum, stage, inner->call, inner->subject, inner->remedy};
    box_error *outer = NULL;
    make(&outer, &info, inner->detail);
    if (outer != &out_of_memory) {
        *err = outer;
        box_error_free(inner);
    }
    return code;
}
