/* Subordinate ids of a user. Interface and reasons: kernel/idmap_subid.h.
 *
 * Order: the user (its name, uid and gid) from passwd; its ranges from subuid and subgid, where both files
 * name the *user*; then the map, laid out as the flags say. */
#include "kernel/idmap_subid.h"

#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "kernel/idmap.h"
#include "kernel/number.h"
#include "kernel/smallfile.h"

#define FIELDS_MAX 7

struct field {
    const char *at;
    size_t n;
};

/* Splits a line at ":". Returns how many fields there are; past `max` they are counted but not kept. */
static size_t split(const char *line, size_t n, struct field *fields, size_t max)
{
    size_t count = 0;
    const char *end = line + n;

    for (;;) {
        const char *colon = memchr(line, ':', (size_t)(end - line));
        const char *stop = colon ? colon : end;

        if (count < max)
            fields[count] = (struct field){line, (size_t)(stop - line)};
        count++;
        if (!colon)
            return count;
        line = colon + 1;
    }
}

static bool is(struct field f, const char *text)
{
    return text && strlen(text) == f.n && memcmp(f.at, text, f.n) == 0;
}

/* A number that is an id, or a count of ids. */
static bool get_id(struct field f, uint32_t *id)
{
    uint64_t value;

    if (box_number_u64(f.at, f.n, &value) < 0 || value > UINT32_MAX)
        return false;
    *id = (uint32_t)value;
    return true;
}

/* The next line of a text, without its newline. */
static bool next_line(const char **at, const char *end, const char **line, size_t *n)
{
    if (*at >= end)
        return false;
    const char *newline = memchr(*at, '\n', (size_t)(end - *at));
    *line = *at;
    *n = (size_t)((newline ? newline : end) - *at);
    *at = newline ? newline + 1 : end;
    return true;
}

static int add_range(struct box_subid_range **ranges, size_t *n, struct box_subid_range new, box_error **err)
{
    struct box_subid_range *grown = reallocarray(*ranges, *n + 1, sizeof(*grown));

    if (!grown)
        return box_fail_nomem(err);
    *ranges = grown;
    grown[(*n)++] = new;
    return 0;
}

static int fail_line(const char *file, unsigned long number, const char *what, box_error **err)
{
    char subject[300];

    snprintf(subject, sizeof(subject), "%s:%lu", file, number);
    return box_fail_with(err, &(struct box_fail_info){.code = BOX_EPARSE, .subject = subject}, "%s", what);
}

int box_subid_parse(const char *file, const char *text, size_t length, const char *name, uint32_t uid,
                    struct box_subid_range **ranges, size_t *n, box_error **err)
{
    _free_ struct box_subid_range *found = NULL;
    const char *at = text, *line;
    char number[16];
    size_t n_line, n_found = 0;

    snprintf(number, sizeof(number), "%u", uid);
    for (unsigned long i = 1; next_line(&at, text + length, &line, &n_line); i++) {
        struct field f[3];
        struct box_subid_range range;
        size_t n_fields = split(line, n_line, f, BOX_ARRAY(f));

        if (!is(f[0], name) && !is(f[0], number))
            continue;
        if (n_fields != 3 || !get_id(f[1], &range.start) || !get_id(f[2], &range.count))
            return fail_line(file, i, "not of the form user:first id:count", err);
        if ((uint64_t)range.start + range.count > UINT32_MAX)
            return fail_line(file, i, "the range runs past the last id, 4294967294", err);
        int r = range.count ? add_range(&found, &n_found, range, err) : 0;
        if (r < 0)
            return r;
    }
    *ranges = box_take(found);
    *n = n_found;
    return 0;
}

static int fill_user(const char *file, unsigned long number, const struct field *f,
                     struct box_subid_user *user, box_error **err)
{
    if (!get_id(f[2], &user->uid) || !get_id(f[3], &user->gid))
        return fail_line(file, number, "a user without a proper uid and gid", err);
    user->name = strndup(f[0].at, f[0].n);
    return user->name ? 0 : box_fail_nomem(err);
}

int box_subid_user(const char *file, const char *text, size_t length, const char *who, uint32_t uid,
                   struct box_subid_user *user, box_error **err)
{
    const char *at = text, *line;
    size_t n_line;
    bool by_number = !who || get_id((struct field){who, strlen(who)}, &uid);

    *user = (struct box_subid_user){.uid = uid};
    for (unsigned long i = 1; next_line(&at, text + length, &line, &n_line); i++) {
        struct field f[FIELDS_MAX];
        uint32_t line_uid;

        if (split(line, n_line, f, FIELDS_MAX) != FIELDS_MAX || f[0].n == 0)
            continue;
        if (by_number ? get_id(f[2], &line_uid) && line_uid == uid : is(f[0], who))
            return fill_user(file, i, f, user, err);
    }
    if (by_number)
        return 0;
    return box_fail_with(err, &(struct box_fail_info){.code = BOX_ENOTFOUND, .subject = who},
                         "%s knows no such user", file);
}

/* ---- The map
 * ------------------------------------------------------------------------------------------------ */

static int load(const char *etc, const char *name, char *path, size_t size, char **text, bool may_miss,
                box_error **err)
{
    snprintf(path, size, "%s/%s", etc, name);
    int r = box_smallfile_load(path, text);
    if (r == -ENOENT && may_miss) {
        *text = calloc(1, 1);
        return *text ? 0 : box_fail_nomem(err);
    }
    if (r < 0) {
        errno = -r;
        return box_fail_sys(err, "open", path, "read subordinate ids");
    }
    return 0;
}

static int fail_no_range(const char *path, const struct box_subid_user *user, box_error **err)
{
    char who[64], remedy[600];

    snprintf(who, sizeof(who), "%u", user->uid);
    snprintf(remedy, sizeof(remedy),
             "add a line such as \"%.64s:100000:65536\" to %.256s, or: usermod --add-sub%ss "
             "100000-165535 %.64s",
             user->name ? user->name : who, path, path[strlen(path) - 3] == 'u' ? "uid" : "gid",
             user->name ? user->name : who);
    return box_fail_with(err,
                         &(struct box_fail_info){.code = BOX_ENOTFOUND, .subject = path, .remedy = remedy},
                         "user %s has no subordinate ids", user->name ? user->name : who);
}

/* Puts the subordinate ids inside from `next` up, around the id `skip` when that is taken by the user's own.
 */
static int lay_out(box_idmap *map, enum box_idmap_kind kind, const struct box_subid_range *ranges, size_t n,
                   uint64_t next, uint64_t skip, box_error **err)
{
    for (size_t i = 0; i < n; i++) {
        struct box_subid_range left = ranges[i];

        while (left.count > 0) {
            if (next == skip)
                next++;
            uint32_t count = left.count;
            if (next < skip && skip - next < count)
                count = (uint32_t)(skip - next);
            if (next > UINT32_MAX)
                return box_fail(err, BOX_ESPEC, "more subordinate ids than there are ids");
            int r = box_idmap_add(map, kind, (uint32_t)next, left.start, count, err);
            if (r < 0)
                return r;
            next += count;
            left.start += count;
            left.count -= count;
        }
    }
    return 0;
}

static int add_kind(box_idmap *map, enum box_idmap_kind kind, const char *etc,
                    const struct box_subid_user *user, unsigned flags, box_error **err)
{
    char path[4096];
    _free_ char *text = NULL;
    _free_ struct box_subid_range *ranges = NULL;
    size_t n = 0;
    uint32_t own = kind == BOX_IDMAP_UID ? user->uid : user->gid;
    int r = load(etc, kind == BOX_IDMAP_UID ? "subuid" : "subgid", path, sizeof(path), &text, true, err);

    if (r == 0)
        r = box_subid_parse(path, text, strlen(text), user->name, user->uid, &ranges, &n, err);
    if (r == 0 && n == 0)
        r = fail_no_range(path, user, err);
    if (r == 0 && flags & BOX_IDMAP_SELF_IS_ROOT) {
        if ((r = box_idmap_add(map, kind, 0, own, 1, err)) == 0)
            r = lay_out(map, kind, ranges, n, 1, UINT64_MAX, err);
    } else if (r == 0 && flags & BOX_IDMAP_SELF_IS_SELF) {
        if ((r = box_idmap_add(map, kind, own, own, 1, err)) == 0)
            r = lay_out(map, kind, ranges, n, 0, own, err);
    } else if (r == 0) {
        r = lay_out(map, kind, ranges, n, 0, UINT64_MAX, err);
    }
    return r;
}

int box_idmap_from_subid(const char *etc, const char *who, unsigned flags, box_idmap **map, box_error **err)
{
    char path[4096];
    _free_ char *text = NULL;
    struct box_subid_user user;
    _cleanup_(box_idmap) box_idmap *m = box_idmap_new(err);
    int r = m ? load(etc, "passwd", path, sizeof(path), &text, true, err) : BOX_ENOMEM;

    if (r == 0)
        r = box_subid_user(path, text, strlen(text), who, geteuid(), &user, err);
    if (r < 0)
        return r;
    _free_ char *name = user.name;
    /* The gid of one's own that newgidmap(1) and the kernel accept is the effective one. */
    if (user.uid == geteuid())
        user.gid = getegid();
    else if (!name && flags)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ENOTFOUND, .subject = path},
                             "no user has uid %u, so its group is not known", user.uid);
    if ((r = add_kind(m, BOX_IDMAP_UID, etc, &user, flags, err)) < 0 ||
        (r = add_kind(m, BOX_IDMAP_GID, etc, &user, flags, err)) < 0)
        return r;
    *map = box_take(m);
    return 0;
}

int box_idmap_new_subordinate(const char *user, unsigned flags, box_idmap **map, box_error **err)
{
    const unsigned both = BOX_IDMAP_SELF_IS_ROOT | BOX_IDMAP_SELF_IS_SELF;

    if ((flags & ~both) || (flags & both) == both)
        return box_fail(err, BOX_EINVAL, "flags %#x mean nothing here", flags);
    return box_idmap_from_subid("/etc", user, flags, map, err);
}
