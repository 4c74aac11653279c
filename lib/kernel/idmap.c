/* Id maps: ranges, their checks and their texts. Public face: libbox/idmap.h. Writing them is in
 * idmap_write.c, subordinate ids are in idmap_subid.c. */
#include "kernel/idmap.h"

#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "kernel/number.h"

#define ID_END     UINT64_C(0xffffffff) /* one past the last id: (uid_t)-1 is no id */
#define KIND_OK(k) ((k) == BOX_IDMAP_UID || (k) == BOX_IDMAP_GID)

static const char *kind_name(enum box_idmap_kind kind)
{
    return kind == BOX_IDMAP_UID ? "uid" : "gid";
}

box_idmap *box_idmap_new(box_error **err)
{
    box_idmap *map = calloc(1, sizeof(*map));

    if (!map)
        box_fail_nomem(err);
    return map;
}

void box_idmap_free(box_idmap *map)
{
    if (!map)
        return;
    free(map->kind[0].ranges);
    free(map->kind[1].ranges);
    free(map);
}

box_idmap *box_idmap_copy(const box_idmap *map, box_error **err)
{
    _cleanup_(box_idmap) box_idmap *copy = box_idmap_new(err);

    for (int k = 0; copy && k < 2; k++) {
        if (map->kind[k].n == 0)
            continue;
        size_t size = map->kind[k].n * sizeof(box_idmap_range);
        if (!(copy->kind[k].ranges = malloc(size))) {
            box_fail_nomem(err);
            return NULL;
        }
        memcpy(copy->kind[k].ranges, map->kind[k].ranges, size);
        copy->kind[k].n = map->kind[k].n;
    }
    return box_take(copy);
}

static bool overlap(uint32_t a, uint32_t n_a, uint32_t b, uint32_t n_b)
{
    return a < (uint64_t)b + n_b && b < (uint64_t)a + n_a;
}

static int fail_range(enum box_idmap_kind kind, box_idmap_range r, int code, const char *what,
                      box_error **err)
{
    char subject[64];

    snprintf(subject, sizeof(subject), "%s %u:%u:%u", kind_name(kind), r.inside, r.outside, r.count);
    return box_fail_with(err, &(struct box_fail_info){.code = code, .subject = subject}, "id map: %s", what);
}

static int check_range(const box_idmap *map, enum box_idmap_kind kind, box_idmap_range new, box_error **err)
{
    if (new.count == 0)
        return fail_range(kind, new, BOX_ESPEC, "an empty range", err);
    if ((uint64_t) new.inside + new.count > ID_END || (uint64_t) new.outside + new.count > ID_END)
        return fail_range(kind, new, BOX_ESPEC, "a range that runs past the last id, 4294967294", err);
    if (map->kind[kind].n >= BOX_IDMAP_MAX)
        return fail_range(kind, new, BOX_ELIMIT, "more than 340 ranges", err);
    for (size_t i = 0; i < map->kind[kind].n; i++) {
        const box_idmap_range *old = &map->kind[kind].ranges[i];

        if (overlap(old->inside, old->count, new.inside, new.count))
            return fail_range(kind, new, BOX_ESPEC, "a range that overlaps another one inside", err);
        if (overlap(old->outside, old->count, new.outside, new.count))
            return fail_range(kind, new, BOX_ESPEC, "a range that overlaps another one outside", err);
    }
    return 0;
}

int box_idmap_add(box_idmap *map, enum box_idmap_kind kind, uint32_t inside, uint32_t outside, uint32_t count,
                  box_error **err)
{
    box_idmap_range new = {inside, outside, count};

    if (!KIND_OK(kind))
        return box_fail(err, BOX_EINVAL, "%d is no kind of id", (int)kind);
    int r = check_range(map, kind, new, err);
    if (r < 0)
        return r;
    box_idmap_range *grown = reallocarray(map->kind[kind].ranges, map->kind[kind].n + 1, sizeof(*grown));
    if (!grown)
        return box_fail_nomem(err);
    map->kind[kind].ranges = grown;
    grown[map->kind[kind].n++] = new;
    return 0;
}

/* "1 2 3", "1:2:3" or "1-2-3", n bytes of it. */
static int parse_range(const char *at, size_t n, box_idmap_range *range)
{
    uint32_t *const fields[] = {&range->inside, &range->outside, &range->count};
    const char *end = at + n;

    for (size_t i = 0; i < BOX_ARRAY(fields); i++) {
        uint64_t value;
        size_t digits = 0;

        while (at < end && (*at == ' ' || *at == '\t'))
            at++;
        while (at + digits < end && at[digits] >= '0' && at[digits] <= '9')
            digits++;
        if (box_number_u64(at, digits, &value) < 0 || value > UINT32_MAX)
            return -EINVAL;
        *fields[i] = (uint32_t)value;
        at += digits;
        if (i < 2 && (at == end || !strchr(":- \t", *at)))
            return -EINVAL;
        if (i < 2)
            at++;
    }
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    return at == end ? 0 : -EINVAL;
}

int box_idmap_parse(box_idmap *map, enum box_idmap_kind kind, const char *text, box_error **err)
{
    if (!KIND_OK(kind))
        return box_fail(err, BOX_EINVAL, "%d is no kind of id", (int)kind);
    size_t before = map->kind[kind].n;
    int r = 0;

    for (const char *at = text; *at && r == 0;) {
        size_t n = strcspn(at, ",#\n");
        box_idmap_range range;

        if (n > 0 && parse_range(at, n, &range) < 0)
            r = box_fail_with(err, &(struct box_fail_info){.code = BOX_EPARSE, .subject = text},
                              "a range of ids is three numbers: inside, outside, count");
        else if (n > 0)
            r = box_idmap_add(map, kind, range.inside, range.outside, range.count, err);
        at += n;
        at += *at != '\0';
    }
    if (r < 0)
        map->kind[kind].n = before;
    return r;
}

static int new_with(box_idmap_range uid, box_idmap_range gid, box_idmap **map, box_error **err)
{
    _cleanup_(box_idmap) box_idmap *m = box_idmap_new(err);
    int r;

    if (!m)
        return BOX_ENOMEM;
    if ((r = box_idmap_add(m, BOX_IDMAP_UID, uid.inside, uid.outside, uid.count, err)) < 0 ||
        (r = box_idmap_add(m, BOX_IDMAP_GID, gid.inside, gid.outside, gid.count, err)) < 0)
        return r;
    *map = box_take(m);
    return 0;
}

int box_idmap_new_single(uint32_t inside_uid, uint32_t inside_gid, box_idmap **map, box_error **err)
{
    return new_with((box_idmap_range){inside_uid, geteuid(), 1}, (box_idmap_range){inside_gid, getegid(), 1},
                    map, err);
}

int box_idmap_new_identity(box_idmap **map, box_error **err)
{
    const box_idmap_range all = {0, 0, (uint32_t)ID_END};

    return new_with(all, all, map, err);
}

size_t box_idmap_count(const box_idmap *map, enum box_idmap_kind kind)
{
    return KIND_OK(kind) ? map->kind[kind].n : 0;
}

int box_idmap_get(const box_idmap *map, enum box_idmap_kind kind, size_t index, box_idmap_range *range)
{
    if (index >= box_idmap_count(map, kind))
        return BOX_EINVAL;
    *range = map->kind[kind].ranges[index];
    return 0;
}

bool box_idmap_equal(const box_idmap *a, const box_idmap *b)
{
    for (int k = 0; k < 2; k++) {
        if (a->kind[k].n != b->kind[k].n)
            return false;
        if (a->kind[k].n &&
            memcmp(a->kind[k].ranges, b->kind[k].ranges, a->kind[k].n * sizeof(box_idmap_range)) != 0)
            return false;
    }
    return true;
}

uint64_t box_idmap_extent(const box_idmap *map, enum box_idmap_kind kind)
{
    uint64_t next = 0;
    bool moved = true;

    while (KIND_OK(kind) && moved) {
        moved = false;
        for (size_t i = 0; i < map->kind[kind].n; i++)
            if (map->kind[kind].ranges[i].inside == next) {
                next += map->kind[kind].ranges[i].count;
                moved = true;
            }
    }
    return next;
}

bool box_idmap_to_outside(const box_idmap *map, enum box_idmap_kind kind, uint32_t inside, uint32_t *outside)
{
    for (size_t i = 0; i < box_idmap_count(map, kind); i++) {
        const box_idmap_range *r = &map->kind[kind].ranges[i];

        if (inside >= r->inside && inside - r->inside < r->count) {
            *outside = r->outside + (inside - r->inside);
            return true;
        }
    }
    return false;
}

bool box_idmap_to_inside(const box_idmap *map, enum box_idmap_kind kind, uint32_t outside, uint32_t *inside)
{
    for (size_t i = 0; i < box_idmap_count(map, kind); i++) {
        const box_idmap_range *r = &map->kind[kind].ranges[i];

        if (outside >= r->outside && outside - r->outside < r->count) {
            *inside = r->inside + (outside - r->outside);
            return true;
        }
    }
    return false;
}

int box_idmap_format(const box_idmap *map, enum box_idmap_kind kind, char **text, box_error **err)
{
    const size_t line = sizeof("4294967295 4294967295 4294967295\n");
    size_t size = box_idmap_count(map, kind) * line + 1, at = 0;
    char *buffer = malloc(size);

    if (!buffer)
        return box_fail_nomem(err);
    buffer[0] = '\0';
    for (size_t i = 0; i < box_idmap_count(map, kind); i++) {
        const box_idmap_range *r = &map->kind[kind].ranges[i];

        at += (size_t)snprintf(buffer + at, size - at, "%u %u %u\n", r->inside, r->outside, r->count);
    }
    *text = buffer;
    return 0;
}
