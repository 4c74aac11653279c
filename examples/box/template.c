/* --format: a subset of Go's text templates, over JSON.
 *
 *     {{.Names}}  {{.State.Pid}}  {{json .}}  {{index .Config.Labels "a"}}  {{range .Mounts}}…{{end}}
 *     {{range $k, $v := .Config.Labels}}…{{end}}  {{if eq .State.Status "running"}}…{{else}}…{{end}}  {{with .X}}…{{end}}
 *     {{- … -}}  {{/ * a remark * /}}  {{.Names | upper}}
 *
 * Functions: json, len, index, join, split, lower, upper, title, truncate, println, print, printf (%s %v %d %q), eq, ne,
 * lt, le, gt, ge, and, or, not. There is no tree: an action is carried out as it is read, and skipped by reading. */
#include "box.h"

#include <ctype.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "rows.h"

#define MOST_DEPTH     64
#define MOST_ARGUMENTS 16
#define MOST_VARIABLES 64
#define MOST_VALUES    (1 << 20)

struct variable {
    const char *name;
    size_t length;
    json_object *value;
};

struct template {
    FILE *out;
    const char *at, *end;
    json_object *root, *dot;
    struct variable variables[MOST_VARIABLES];
    size_t n_variables;
    json_object *made; /* an array: what functions made lives as long as the run */
    int depth;
    bool trim; /* the last action ended in "-}}" */
    char error[256];
};

/* The value of a failed evaluation; null is a value like any other. */
static bool failed(struct template *t, const char *fmt, ...) BOX_PRINTF(2, 3);
static bool failed(struct template *t, const char *fmt, ...)
{
    va_list args;

    if (!t->error[0]) {
        va_start(args, fmt);
        vsnprintf(t->error, sizeof(t->error), fmt, args);
        va_end(args);
    }
    return false;
}

static json_object *keep(struct template *t, json_object *value)
{
    if (value && json_object_array_length(t->made) < MOST_VALUES && json_object_array_add(t->made, value) < 0)
        json_object_put(value);
    return value;
}

/* ---- values as text ---------------------------------------------------------------------------------------------------- */

/* As Go prints a value: [a b], map[k:v], <no value>. */
static void write_value(FILE *out, json_object *v, bool inner)
{
    size_t n = 0;

    switch (json_object_get_type(v)) {
    case json_type_null:
        fputs(inner ? "<nil>" : "<no value>", out);
        break;
    case json_type_object:
        fputs("map[", out);
        json_object_object_foreach(v, key, member) {
            if (strcmp(key, HIDDEN_LABELS) == 0)
                continue;
            fprintf(out, "%s%s:", n++ ? " " : "", key);
            write_value(out, member, true);
        }
        fputc(']', out);
        break;
    case json_type_array:
        fputc('[', out);
        for (; n < json_object_array_length(v); n++) {
            fputs(n ? " " : "", out);
            write_value(out, json_object_array_get_idx(v, n), true);
        }
        fputc(']', out);
        break;
    default:
        fputs(json_object_get_string(v), out);
    }
}

static bool is_true(json_object *v)
{
    switch (json_object_get_type(v)) {
    case json_type_null:
        return false;
    case json_type_object:
        return json_object_object_length(v) > 0;
    case json_type_array:
        return json_object_array_length(v) > 0;
    case json_type_string:
        return json_object_get_string_len(v) > 0;
    case json_type_boolean:
        return json_object_get_boolean(v);
    default:
        return json_object_get_double(v) < 0 || json_object_get_double(v) > 0;
    }
}

/* ---- functions ------------------------------------------------------------------------------------------------------------ */

static json_object *text(struct template *t, const char *s)
{
    return keep(t, json_object_new_string(s ? s : ""));
}

static json_object *written(struct template *t, json_object *const *args, size_t n, const char *between, const char *after)
{
    char *s = NULL;
    size_t length = 0;
    FILE *f = open_memstream(&s, &length);

    for (size_t i = 0; f && i < n; i++) {
        fputs(i ? between : "", f);
        write_value(f, args[i], true);
    }
    if (f) {
        fputs(after, f);
        fclose(f);
    }
    json_object *v = text(t, s);
    free(s);
    return v;
}

static json_object *as_json(struct template *t, json_object *value)
{
    char *s = NULL;
    size_t length = 0;
    FILE *f = open_memstream(&s, &length);

    if (f) {
        write_json(f, value, 0, 0);
        fclose(f);
    }
    json_object *v = text(t, s);
    free(s);
    return v;
}

static json_object *changed_case(struct template *t, const char *name, json_object *value)
{
    char *s = strdup(value ? json_object_get_string(value) : "");

    for (char *p = s; p && *p; p++)
        *p = (char)(*name == 'u' || (*name == 't' && (p == s || p[-1] == ' ')) ? toupper((unsigned char)*p)
                    : *name == 'l'                                            ? tolower((unsigned char)*p)
                                                                              : *p);
    json_object *v = text(t, s);
    free(s);
    return v;
}

static bool member(struct template *t, json_object *of, const char *name, json_object **out)
{
    if (json_object_is_type(of, json_type_object)) {
        if (json_object_object_get_ex(of, name, out))
            return true;
        return failed(t, "map has no entry for key \"%s\"", name);
    }
    if (!of)
        return failed(t, "nil pointer evaluating interface {}.%s", name);
    return failed(t, "can't evaluate field %s in type %s", name, json_type_to_name(json_object_get_type(of)));
}

static bool indexed(struct template *t, json_object *const *args, size_t n, json_object **out)
{
    json_object *v = args[0];

    for (size_t i = 1; i < n; i++) {
        if (json_object_is_type(v, json_type_array)) {
            int64_t at = json_object_get_int64(args[i]);
            if (at < 0 || (size_t)at >= json_object_array_length(v))
                return failed(t, "error calling index: index out of range: %lld", (long long)at);
            v = json_object_array_get_idx(v, (size_t)at);
        } else if (json_object_is_type(v, json_type_object)) {
            json_object *next = NULL;
            json_object_object_get_ex(v, json_object_get_string(args[i]), &next);
            v = next;
        } else {
            return failed(t, "error calling index: index of untyped nil");
        }
    }
    /* What a map does not have is empty rather than "<no value>", as in a Go map of strings. */
    *out = v || n < 2 ? v : text(t, "");
    return true;
}

static int order(json_object *a, json_object *b)
{
    if (json_object_is_type(a, json_type_string) || json_object_is_type(b, json_type_string))
        return strcmp(a ? json_object_get_string(a) : "", b ? json_object_get_string(b) : "");
    double x = json_object_get_double(a), y = json_object_get_double(b);
    return x < y ? -1 : x > y;
}

static json_object *joined(struct template *t, json_object *list, const char *between)
{
    size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    json_object **items = calloc(n + 1, sizeof(json_object *));

    for (size_t i = 0; items && i < n; i++)
        items[i] = json_object_array_get_idx(list, i);
    json_object *v = items ? written(t, items, n, between, "") : text(t, "");
    free(items);
    return v;
}

static json_object *split(struct template *t, const char *s, const char *at)
{
    json_object *list = keep(t, json_object_new_array());

    for (const char *next; list && s; s = next ? next + strlen(at) : NULL) {
        next = *at ? strstr(s, at) : NULL;
        json_object_array_add(list, json_object_new_string_len(s, (int)(next ? (size_t)(next - s) : strlen(s))));
    }
    return list;
}

static json_object *print_f(struct template *t, json_object *const *args, size_t n)
{
    char *s = NULL;
    size_t length = 0, next = 1;
    FILE *f = open_memstream(&s, &length);

    for (const char *p = json_object_get_string(args[0]); f && p && *p; p++) {
        if (*p != '%' || !p[1]) {
            fputc(*p, f);
        } else if (*++p == '%') {
            fputc('%', f);
        } else if (next < n) {
            if (*p == 'q')
                write_json_string(f, json_object_get_string(args[next++]));
            else
                write_value(f, args[next++], true);
        } else {
            fprintf(f, "%%!%c(MISSING)", *p);
        }
    }
    if (f)
        fclose(f);
    json_object *v = text(t, s);
    free(s);
    return v;
}

static int64_t length_of(json_object *v)
{
    return json_object_is_type(v, json_type_array)    ? (int64_t)json_object_array_length(v)
           : json_object_is_type(v, json_type_object) ? json_object_object_length(v)
           : json_object_is_type(v, json_type_string) ? json_object_get_string_len(v)
                                                      : 0;
}

static bool compare(const char *name, json_object *const *args, size_t n)
{
    if (strcmp(name, "eq") == 0) {
        for (size_t i = 1; i < n; i++)
            if (order(args[0], args[i]) == 0)
                return true;
        return false;
    }
    int o = order(args[0], args[1]);
    return strcmp(name, "ne") == 0 ? o != 0 : name[1] == 't' ? (name[0] == 'l' ? o < 0 : o > 0) : (name[0] == 'l' ? o <= 0 : o >= 0);
}

static const struct {
    const char *name;
    size_t least;
} functions[] = {{"json", 1},  {"len", 1},   {"index", 1},   {"join", 2}, {"split", 2}, {"lower", 1}, {"upper", 1}, {"title", 1},
                 {"truncate", 2}, {"println", 0}, {"print", 0}, {"printf", 1}, {"eq", 2}, {"ne", 2}, {"lt", 2}, {"le", 2},
                 {"gt", 2},    {"ge", 2},    {"and", 1},     {"or", 1},   {"not", 1}};

static bool call(struct template *t, const char *name, json_object *const *args, size_t n, json_object **out)
{
    size_t i = 0;

    while (i < sizeof(functions) / sizeof(*functions) && strcmp(functions[i].name, name) != 0)
        i++;
    if (i == sizeof(functions) / sizeof(*functions))
        return failed(t, "function \"%s\" not defined", name);
    if (n < functions[i].least)
        return failed(t, "wrong number of args for %s: want at least %zu got %zu", name, functions[i].least, n);
    if (strcmp(name, "json") == 0)
        *out = as_json(t, args[0]);
    else if (strcmp(name, "len") == 0)
        *out = keep(t, json_object_new_int64(length_of(args[0])));
    else if (strcmp(name, "index") == 0)
        return indexed(t, args, n, out);
    else if (strcmp(name, "join") == 0)
        *out = joined(t, args[0], json_object_get_string(args[1]));
    else if (strcmp(name, "split") == 0)
        *out = split(t, json_object_get_string(args[0]), json_object_get_string(args[1]));
    else if (strcmp(name, "lower") == 0 || strcmp(name, "upper") == 0 || strcmp(name, "title") == 0)
        *out = changed_case(t, name, args[0]);
    else if (strcmp(name, "truncate") == 0) {
        int64_t most = json_object_get_int64(args[1]), length = json_object_get_string_len(args[0]);
        *out = keep(t, json_object_new_string_len(args[0] ? json_object_get_string(args[0]) : "", (int)(length < most ? length : most)));
    } else if (strcmp(name, "println") == 0)
        *out = written(t, args, n, " ", "\n");
    else if (strcmp(name, "print") == 0)
        *out = written(t, args, n, "", "");
    else if (strcmp(name, "printf") == 0)
        *out = print_f(t, args, n);
    else if (strcmp(name, "not") == 0)
        *out = keep(t, json_object_new_boolean(!is_true(args[0])));
    else if (strcmp(name, "and") == 0 || strcmp(name, "or") == 0) {
        bool until = *name == 'o';
        for (i = 0; i + 1 < n && is_true(args[i]) != until; i++)
            ;
        *out = args[i];
    } else
        *out = keep(t, json_object_new_boolean(compare(name, args, n)));
    return true;
}

/* ---- pipelines ---------------------------------------------------------------------------------------------------------------- */

static void skip_space(struct template *t)
{
    while (t->at < t->end && isspace((unsigned char)*t->at))
        t->at++;
}

static bool at_end(struct template *t)
{
    skip_space(t);
    return t->at >= t->end || strncmp(t->at, "}}", 2) == 0 || strncmp(t->at, "-}}", 3) == 0;
}

static size_t word(const char *p, const char *end)
{
    size_t n = 0;

    while (p + n < end && (isalnum((unsigned char)p[n]) || p[n] == '_'))
        n++;
    return n;
}

static bool quoted(struct template *t, json_object **out)
{
    char mark = *t->at++, buffer[1024];
    size_t n = 0;

    for (; t->at < t->end && *t->at != mark; t->at++) {
        char c = *t->at;
        if (c == '\\' && mark == '"' && t->at + 1 < t->end) {
            c = *++t->at;
            c = c == 'n' ? '\n' : c == 't' ? '\t' : c;
        }
        if (n + 1 < sizeof(buffer))
            buffer[n++] = c;
    }
    if (t->at >= t->end)
        return failed(t, "unterminated quoted string");
    t->at++;
    buffer[n] = '\0';
    *out = text(t, buffer);
    return true;
}

static bool pipeline(struct template *t, json_object **out);

static bool variable(struct template *t, json_object **out)
{
    size_t n = word(++t->at, t->end);

    *out = t->root;
    for (size_t i = t->n_variables; n && i-- > 0;) {
        if (t->variables[i].length == n && strncmp(t->variables[i].name, t->at, n) == 0) {
            *out = t->variables[i].value;
            t->at += n;
            return true;
        }
    }
    return n ? failed(t, "undefined variable \"$%.*s\"", (int)n, t->at) : true;
}

/* ".A.B" after a value; of rows, `.Label "key"` looks into the labels. */
static bool fields(struct template *t, json_object **v)
{
    while (t->at < t->end && *t->at == '.') {
        char name[128];
        size_t n = word(t->at + 1, t->end);
        if (!n) {
            t->at++;
            return true;
        }
        snprintf(name, sizeof(name), "%.*s", (int)n, t->at + 1);
        t->at += n + 1;
        if (!member(t, *v, name, v))
            return false;
    }
    return true;
}

static bool operand(struct template *t, json_object **out)
{
    char *end;

    skip_space(t);
    if (*t->at == '"' || *t->at == '`')
        return quoted(t, out);
    if (*t->at == '.') {
        *out = t->dot;
        return fields(t, out);
    }
    if (*t->at == '$')
        return variable(t, out) && fields(t, out);
    if (*t->at == '(') {
        t->at++;
        if (++t->depth > MOST_DEPTH)
            return failed(t, "too deep");
        if (!pipeline(t, out))
            return false;
        t->depth--;
        skip_space(t);
        if (t->at >= t->end || *t->at != ')')
            return failed(t, "unclosed left paren");
        t->at++;
        return fields(t, out);
    }
    if (isdigit((unsigned char)*t->at) || *t->at == '-') {
        *out = keep(t, json_object_new_int64(strtoll(t->at, &end, 0)));
        t->at = end > t->at ? end : t->at + 1;
        return true;
    }
    size_t n = word(t->at, t->end);
    bool yes = n == 4 && strncmp(t->at, "true", 4) == 0;
    if (!yes && !(n == 5 && strncmp(t->at, "false", 5) == 0) && !(n == 3 && strncmp(t->at, "nil", 3) == 0))
        return failed(t, "unexpected \"%.*s\" in operand", (int)(n ? n : 1), t->at);
    *out = n == 3 ? NULL : keep(t, json_object_new_boolean(yes));
    t->at += n;
    return true;
}

static bool is_function(struct template *t, char *name, size_t size)
{
    size_t n = word(t->at, t->end);

    if (!n || isdigit((unsigned char)*t->at) || n >= size)
        return false;
    snprintf(name, size, "%.*s", (int)n, t->at);
    if (strcmp(name, "true") == 0 || strcmp(name, "false") == 0 || strcmp(name, "nil") == 0)
        return false;
    t->at += n;
    return true;
}

/* One command; what came down the pipe is its last argument. */
static bool command(struct template *t, json_object *piped, bool has_piped, json_object **out)
{
    json_object *args[MOST_ARGUMENTS];
    char name[64];
    size_t n = 0;

    skip_space(t);
    const char *start = t->at;
    bool label = word(start + 1, t->end) == 5 && strncmp(start, ".Label", 6) == 0 && isspace((unsigned char)start[6]);
    if (label) {
        t->at += 6;
        if (!operand(t, &args[1]) || !member(t, t->dot, HIDDEN_LABELS, &args[0]))
            return false;
        if (json_object_is_type(args[0], json_type_string)) { /* the titles of a table: the label's own */
            *out = args[1];
            return true;
        }
        return indexed(t, args, 2, out);
    }
    bool function = is_function(t, name, sizeof(name));
    if (!function && !operand(t, out))
        return false;
    while (!at_end(t) && *t->at != '|' && *t->at != ')') {
        if (n + 1 >= MOST_ARGUMENTS)
            return failed(t, "too many arguments");
        if (!operand(t, &args[n++]))
            return false;
    }
    if (has_piped)
        args[n++] = piped;
    if (function)
        return call(t, name, args, n, out);
    return n ? failed(t, "can't give argument to non-function %.*s", (int)(t->at - start), start) : true;
}

static bool pipeline(struct template *t, json_object **out)
{
    if (!command(t, NULL, false, out))
        return false;
    while (skip_space(t), t->at < t->end && *t->at == '|') {
        t->at++;
        if (!command(t, *out, true, out))
            return false;
    }
    return true;
}

/* ---- text and actions -------------------------------------------------------------------------------------------------------------- */

enum stop { STOP_END, STOP_ELSE, STOP_FINISHED, STOP_FAILED };
static enum stop run(struct template *t, bool live);

static bool keyword(struct template *t, const char *name)
{
    skip_space(t);
    size_t n = strlen(name);
    if (word(t->at, t->end) != n || strncmp(t->at, name, n) != 0)
        return false;
    t->at += n;
    return true;
}

static bool close_action(struct template *t)
{
    skip_space(t);
    t->trim = t->at < t->end && *t->at == '-';
    if (t->trim)
        t->at++;
    if (t->at + 2 > t->end || strncmp(t->at, "}}", 2) != 0)
        return failed(t, "unexpected \"%.10s\" in command", t->at < t->end ? t->at : "EOF");
    t->at += 2;
    return true;
}

static void skip_action(struct template *t)
{
    for (char mark = 0; t->at < t->end && (mark || strncmp(t->at, "}}", 2) != 0); t->at++) {
        if (mark ? *t->at == mark : *t->at == '"' || *t->at == '`')
            mark = (char)(mark ? 0 : *t->at);
        else if (mark == '"' && *t->at == '\\' && t->at + 1 < t->end)
            t->at++;
    }
    if (t->at > t->end)
        t->at = t->end;
    if (t->at[-1] == '-')
        t->at--;
}

/* "$k, $v :=" or "$v :=" before a pipeline. */
static size_t declarations(struct template *t, struct variable *out)
{
    const char *before = t->at;
    size_t n = 0;

    while (n < 2 && (skip_space(t), *t->at == '$')) {
        out[n].name = ++t->at;
        out[n].length = word(t->at, t->end);
        t->at += out[n++].length;
        skip_space(t);
        if (*t->at == ',')
            t->at++;
    }
    if (n && strncmp(t->at, ":=", 2) == 0) {
        t->at += 2;
        return n;
    }
    t->at = before;
    return 0;
}

static bool declare(struct template *t, struct variable v, json_object *value)
{
    if (t->n_variables == MOST_VARIABLES)
        return failed(t, "too many variables");
    v.value = value;
    t->variables[t->n_variables++] = v;
    return true;
}

/* if and with: one branch or the other. `with` makes the value the dot. */
static enum stop branch(struct template *t, bool live, bool with)
{
    struct variable names[2];
    json_object *value = NULL, *dot = t->dot;
    size_t variables = t->n_variables;

    if (live) {
        size_t n = declarations(t, names);
        if (!pipeline(t, &value) || (n && !declare(t, names[0], value)))
            return STOP_FAILED;
    } else {
        skip_action(t);
    }
    bool yes = live && is_true(value);
    if (!close_action(t))
        return STOP_FAILED;
    if (with && yes)
        t->dot = value;
    enum stop s = run(t, yes);
    t->dot = dot;
    if (s == STOP_ELSE) {
        if (keyword(t, "if")) { /* "else if": its end is this one's */
            s = branch(t, live && !yes, false);
            t->n_variables = variables;
            return s;
        }
        s = close_action(t) ? run(t, live && !yes) : STOP_FAILED;
    }
    t->n_variables = variables;
    if (s == STOP_FINISHED)
        failed(t, "unexpected EOF");
    return s == STOP_END && close_action(t) ? STOP_END : STOP_FAILED;
}

static bool one_round(struct template *t, const struct variable *names, size_t n, json_object *key, json_object *value, enum stop *s)
{
    size_t variables = t->n_variables;

    if ((n == 2 && !declare(t, names[0], key)) || (n && !declare(t, names[n - 1], value)))
        return false;
    t->dot = value;
    *s = run(t, true);
    t->n_variables = variables;
    return *s == STOP_END || *s == STOP_ELSE;
}

static enum stop range(struct template *t, bool live)
{
    struct variable names[2];
    json_object *list = NULL, *dot = t->dot;
    enum stop s = STOP_END;
    size_t n = 0, rounds = 0;

    if (live) {
        n = declarations(t, names);
        if (!pipeline(t, &list))
            return STOP_FAILED;
    } else {
        skip_action(t);
    }
    if (!close_action(t))
        return STOP_FAILED;
    const char *body = t->at;
    bool trim = t->trim, good = true;
    if (json_object_is_type(list, json_type_array)) {
        for (; good && rounds < json_object_array_length(list); rounds++) {
            t->at = body, t->trim = trim;
            good = one_round(t, names, n, keep(t, json_object_new_int64((int64_t)rounds)), json_object_array_get_idx(list, rounds), &s);
        }
    } else if (json_object_is_type(list, json_type_object)) {
        json_object_object_foreach(list, key, value) {
            t->at = body, t->trim = trim;
            if (good)
                good = one_round(t, names, n, text(t, key), value, &s);
            rounds++;
        }
    }
    t->dot = dot;
    if (!good)
        return STOP_FAILED;
    if (!rounds)
        s = run(t, false);
    if (s == STOP_ELSE)
        s = close_action(t) ? run(t, live && !rounds) : STOP_FAILED;
    if (s == STOP_FINISHED)
        failed(t, "unexpected EOF");
    return s == STOP_END && close_action(t) ? STOP_END : STOP_FAILED;
}

/* What stands in "{{ }}"; STOP_FINISHED here means: go on. */
static enum stop action(struct template *t, bool live)
{
    struct variable names[2];
    json_object *value = NULL;

    if (t->at < t->end && *t->at == '-' && isspace((unsigned char)t->at[1]))
        t->at++;
    skip_space(t);
    if (strncmp(t->at, "/*", 2) == 0) {
        skip_action(t);
        return close_action(t) ? STOP_FINISHED : STOP_FAILED;
    }
    if (keyword(t, "end"))
        return STOP_END;
    if (keyword(t, "else"))
        return STOP_ELSE;
    bool is_if = keyword(t, "if"), is_with = !is_if && keyword(t, "with");
    if (is_if || is_with)
        return branch(t, live, is_with) == STOP_END ? STOP_FINISHED : STOP_FAILED;
    if (keyword(t, "range"))
        return range(t, live) == STOP_END ? STOP_FINISHED : STOP_FAILED;
    if (!live) {
        skip_action(t);
    } else {
        if (at_end(t)) {
            failed(t, "missing value for command");
            return STOP_FAILED;
        }
        size_t n = declarations(t, names);
        if (!pipeline(t, &value) || (n && !declare(t, names[0], value)))
            return STOP_FAILED;
        if (!n)
            write_value(t->out, value, false);
    }
    return close_action(t) ? STOP_FINISHED : STOP_FAILED;
}

static void put_text(struct template *t, const char *from, const char *to, bool live)
{
    while (t->trim && from < to && isspace((unsigned char)*from))
        from++;
    t->trim = false;
    if (to + 4 <= t->end && to[2] == '-' && isspace((unsigned char)to[3]))
        while (to > from && isspace((unsigned char)to[-1]))
            to--;
    if (live)
        fwrite(from, 1, (size_t)(to - from), t->out);
}

static enum stop run(struct template *t, bool live)
{
    enum stop s = STOP_FINISHED;

    if (++t->depth > MOST_DEPTH) {
        failed(t, "too deep");
        return STOP_FAILED;
    }
    while (s == STOP_FINISHED && t->at < t->end) {
        const char *open = strstr(t->at, "{{");
        if (!open)
            open = t->end;
        put_text(t, t->at, open, live);
        t->at = open;
        if (open == t->end)
            break;
        t->at += 2;
        s = action(t, live);
    }
    t->depth--;
    return s;
}

bool expand_template(FILE *out, const char *format, json_object *value)
{
    struct template *t = calloc(1, sizeof(*t));

    if (!t || !(t->made = json_object_new_array())) {
        free(t);
        return false;
    }
    t->out = out;
    t->at = format;
    t->end = format + strlen(format);
    t->root = t->dot = value;
    enum stop s = run(t, true);
    if (s != STOP_FINISHED)
        failed(t, s == STOP_END ? "unexpected {{end}}" : s == STOP_ELSE ? "unexpected {{else}}" : "bad template");
    bool good = !t->error[0];
    if (!good)
        fprintf(stderr, "box: template parsing error: %s: %s.\n", format, t->error);
    json_object_put(t->made);
    free(t);
    return good;
}
