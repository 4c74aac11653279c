/* "user[:group]" to numbers, by the passwd and group files of an image.
 *
 * The order: the text is taken apart; the passwd file gives id, main group, home and shell; the group file
 * gives the named group, or all groups that list the user. Each file is read once, into memory, and looked at
 * line by line. A line that is not of the right form is passed over, unless it is the line that was asked
 * for: then a wrong number in it is an error, since guessing would start the program as somebody else. */
#include "spec/users.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/strings.h"
#include "spec/users_files.h"

/* The highest id there is; 4294967295 is "no change" to the kernel. */
#define ID_MAX 4294967294u

#define PASSWD "/etc/passwd"
#define GROUP  "/etc/group"

/* A user or a group as it was asked for. */
struct wanted {
    char *name;  /* the text itself */
    bool number; /* digits only: an id, which need not be in the file */
    uint32_t id;
};

static bool all_digits(const char *text)
{
    return *text && text[strspn(text, "0123456789")] == '\0';
}

static int wanted_parse(const char *text, const char *what, struct wanted *wanted, box_error **err)
{
    uint64_t id = 0;

    if (all_digits(text)) {
        int r = box_parse_u64(text, what, 0, ID_MAX, &id, err);
        if (r < 0)
            return r;
        wanted->number = true;
    }
    wanted->id = (uint32_t)id;
    wanted->name = strdup(text);
    return wanted->name ? 0 : box_fail_nomem(err);
}

static bool field_is_id(const char *field, uint32_t *id)
{
    uint64_t value;

    if (!all_digits(field) || box_parse_u64(field, "", 0, ID_MAX, &value, NULL) < 0)
        return false;
    *id = (uint32_t)value;
    return true;
}

/* ---- Lines ---- */

/* Hands out the lines of a file one by one, each ended by a NUL put in place of its newline. Lines that are
 * too long or hold a NUL are left out. */
static char *next_line(char **at, char *end)
{
    while (*at < end) {
        char *line = *at;
        char *newline = memchr(line, '\n', (size_t)(end - line));
        size_t n = (size_t)((newline ? newline : end) - line);

        *at = newline ? newline + 1 : end;
        line[n] = '\0'; /* a buffer has room for a NUL at its end */
        if (n > 0 && n <= BOX_USERS_LINE_MAX && strlen(line) == n && line[0] != '#')
            return line;
    }
    return NULL;
}

/* Cuts a line at its colons into exactly n fields. */
static bool cut(char *line, char **fields, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        fields[i] = line;
        line = strchr(line, ':');
        if ((line == NULL) != (i == n - 1))
            return false;
        if (line)
            *line++ = '\0';
    }
    return true;
}

/* ---- passwd ---- */

static int bad_line(const char *file, const char *name, box_error **err)
{
    struct box_fail_info info = {.code = BOX_EPARSE, .subject = name};

    return box_fail_with(err, &info, "the line of \"%s\" in the image's %s is malformed", name, file);
}

static int take_user(char **fields, struct box_users_found *found, box_error **err)
{
    if (!field_is_id(fields[2], &found->uid) || !field_is_id(fields[3], &found->gid))
        return bad_line(PASSWD, fields[0], err);
    found->name = strdup(fields[0]);
    found->home = strdup(fields[5][0] == '/' ? fields[5] : "/");
    found->shell = strdup(fields[6]);
    return found->name && found->home && found->shell ? 0 : box_fail_nomem(err);
}

static int not_there(const char *what, const char *name, const char *file, box_error **err)
{
    struct box_fail_info info = {.code = BOX_ENOTFOUND,
                                 .subject = name,
                                 .remedy = "give it by number, or by a name that the image has"};

    return box_fail_with(err, &info, "no %s \"%s\" in the image's %s", what, name, file);
}

static int find_user(const struct users_root *root, const struct wanted *user, struct box_users_found *found,
                     box_error **err)
{
    _buffer_ struct box_buffer content = {0};
    int r = box_users_read_file(root, PASSWD, &content, err);
    char *at = content.data, *end = at ? at + content.length : NULL, *line;

    if (r < 0)
        return r;
    while ((line = next_line(&at, end))) {
        char *fields[7];
        uint32_t uid;
        size_t name_length = strcspn(line, ":");
        bool named = !user->number && strncmp(line, user->name, name_length) == 0 && !user->name[name_length];

        if (!cut(line, fields, BOX_ARRAY(fields))) {
            if (named)
                return bad_line(PASSWD, user->name, err);
            continue;
        }
        if (named || (user->number && field_is_id(fields[2], &uid) && uid == user->id))
            return take_user(fields, found, err);
    }
    if (!user->number)
        return not_there("user", user->name, PASSWD, err);
    found->uid = user->id;
    found->home = strdup("/");
    found->shell = strdup("");
    return found->home && found->shell ? 0 : box_fail_nomem(err);
}

/* ---- group ---- */

/* A group given by number is taken as it is; by name it must be in the file. */
static int find_group(const struct users_root *root, const struct wanted *group, uint32_t *gid,
                      box_error **err)
{
    if (group->number) {
        *gid = group->id;
        return 0;
    }
    _buffer_ struct box_buffer content = {0};
    int r = box_users_read_file(root, GROUP, &content, err);
    char *at = content.data, *end = at ? at + content.length : NULL, *line;

    if (r < 0)
        return r;
    while ((line = next_line(&at, end))) {
        char *fields[4];
        size_t n = strcspn(line, ":");

        if (strncmp(line, group->name, n) != 0 || group->name[n])
            continue;
        return cut(line, fields, BOX_ARRAY(fields)) && field_is_id(fields[2], gid)
                   ? 0
                   : bad_line(GROUP, group->name, err);
    }
    return not_there("group", group->name, GROUP, err);
}

static bool has_member(const char *members, const char *name)
{
    size_t length = strlen(name);

    while (*members) {
        size_t n = strcspn(members, ",");
        if (n == length && memcmp(members, name, n) == 0)
            return true;
        members += n + (members[n] == ',');
    }
    return false;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static void sort_out_groups(struct box_users_found *found)
{
    size_t kept = 0;

    if (found->n_groups == 0)
        return;
    qsort(found->groups, found->n_groups, sizeof(*found->groups), by_number);
    for (size_t i = 0; i < found->n_groups; i++)
        if (found->groups[i] != found->gid && (kept == 0 || found->groups[kept - 1] != found->groups[i]))
            found->groups[kept++] = found->groups[i];
    found->n_groups = kept;
}

/* All groups that list the user as a member. */
static int find_memberships(const struct users_root *root, struct box_users_found *found, box_error **err)
{
    _buffer_ struct box_buffer content = {0};
    int r = box_users_read_file(root, GROUP, &content, err);
    char *at = content.data, *end = at ? at + content.length : NULL, *line;
    size_t capacity = 0;

    if (r < 0)
        return r;
    while ((line = next_line(&at, end))) {
        char *fields[4];
        uint32_t gid, *added;

        if (!cut(line, fields, BOX_ARRAY(fields)) || !has_member(fields[3], found->name) ||
            !field_is_id(fields[2], &gid))
            continue;
        if (found->n_groups >= BOX_USERS_GROUPS_MAX) {
            struct box_fail_info info = {.code = BOX_ELIMIT, .subject = found->name};
            return box_fail_with(err, &info, "user \"%s\" is in more than %u groups of the image",
                                 found->name, BOX_USERS_GROUPS_MAX);
        }
        added = box_array_add(&found->groups, &found->n_groups, &capacity);
        if (!added)
            return box_fail_nomem(err);
        *added = gid;
    }
    sort_out_groups(found);
    return 0;
}

/* ---- The text ---- */

void box_users_found_clear(struct box_users_found *found)
{
    free(found->groups);
    free(found->name);
    free(found->home);
    free(found->shell);
    *found = (struct box_users_found){0};
}

static int text_fail(const char *text, const char *why, box_error **err)
{
    struct box_fail_info info = {.code = BOX_EPARSE, .subject = text, .remedy = "write it as user[:group]"};

    return box_fail_with(err, &info, "\"%s\" is no user: %s", text, why);
}

/* Takes "user[:group]" apart; *group is "" when there is none. */
static int split(const char *text, char **user, char **group, box_error **err)
{
    const char *colon = strchr(text, ':');

    if (colon && strchr(colon + 1, ':'))
        return text_fail(text, "it has two colons", err);
    if (colon && !colon[1])
        return text_fail(text, "there is nothing after the colon", err);
    if (text[strcspn(text, "\n,")])
        return text_fail(text, "it has a character that no name has", err);
    *user = colon ? strndup(text, (size_t)(colon - text)) : strdup(text);
    *group = strdup(colon ? colon + 1 : "");
    return *user && *group ? 0 : box_fail_nomem(err);
}

static int lookup(const struct users_root *root, const char *text, struct box_users_found *found,
                  box_error **err)
{
    _free_ char *user_text = NULL, *group_text = NULL, *user_name = NULL, *group_name = NULL;
    struct wanted user = {0}, group = {0};
    int r;

    text = text ? text : "";
    r = split(text, &user_text, &group_text, err);
    if (r == 0)
        r = wanted_parse(*user_text ? user_text : "0", "user", &user, err);
    user_name = user.name;
    if (r == 0)
        r = wanted_parse(group_text, "group", &group, err);
    group_name = group.name;
    if (r == 0)
        r = find_user(root, &user, found, err);
    if (r == 0 && *group_text)
        return find_group(root, &group, &found->gid, err);
    if (r == 0 && found->name)
        return find_memberships(root, found, err);
    return r;
}

static int lookup_or_clear(const struct users_root *root, const char *text, struct box_users_found *found,
                           box_error **err)
{
    *found = (struct box_users_found){0};
    int r = lookup(root, text, found, err);
    if (r < 0)
        box_users_found_clear(found);
    return r;
}

int box_users_lookup(int rootfd, const char *text, struct box_users_found *found, box_error **err)
{
    return lookup_or_clear(&(struct users_root){.rootfd = rootfd}, text, found, err);
}

int box_users_lookup_layers(const int *layers, size_t n_layers, const char *text,
                            struct box_users_found *found, box_error **err)
{
    return lookup_or_clear(&(struct users_root){-1, layers, n_layers}, text, found, err);
}

static int group_lookup(const struct users_root *root, const char *text, uint32_t *gid, box_error **err)
{
    struct wanted group = {0};

    if (!*text || text[strcspn(text, ":,\n")]) {
        struct box_fail_info info = {.code = BOX_EPARSE, .subject = text};
        return box_fail_with(err, &info, "\"%s\" is no group", text);
    }
    int r = wanted_parse(text, "group", &group, err);
    if (r == 0)
        r = find_group(root, &group, gid, err);
    free(group.name);
    return r;
}

int box_users_group(int rootfd, const char *text, uint32_t *gid, box_error **err)
{
    return group_lookup(&(struct users_root){.rootfd = rootfd}, text, gid, err);
}

int box_users_group_layers(const int *layers, size_t n_layers, const char *text, uint32_t *gid,
                           box_error **err)
{
    return group_lookup(&(struct users_root){-1, layers, n_layers}, text, gid, err);
}
