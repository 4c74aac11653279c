/* Mount option strings to system call arguments.
 *
 * Order: libmount splits the string; each name is looked up in one table; the table's row says which
 * field of the result changes and how. Names that are in no row are the file system's own and are passed on
 * as they came. Options that ask mount(8) for something libbox does not do (loop devices, encryption) are
 * refused by name, so that nobody believes they were honoured; options that only steer mount(8) itself
 * (noauto, nofail, x-...) are dropped.
 */
#include "kernel/mount_options.h"

#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include <libmount.h>

#include "base/fail.h"

/* Debian 12's headers have both; older ones lack them. */
#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif
#define BOX_ST_RELATIME    4096ul
#define BOX_ST_NOSYMFOLLOW 8192ul

/* The longest option string that is looked at: hostile input must not make us copy without end. */
#define BOX_OPTIONS_MAX (1u << 20)

enum row_kind { ATTR, ATTR_REC, SB, PROPAGATION, PROPAGATION_REC, FLAG, IDMAP, IGNORED, REFUSED };

struct row {
    const char *name;
    enum row_kind kind;
    bool off;      /* the negative form: clears instead of sets */
    uint64_t bits; /* ATTR: BOX_ATTR_*; SB, PROPAGATION: MS_*; FLAG: offset of a bool; IDMAP: enum
                      box_mount_idmap */
    unsigned long sb;
};

#define FIELD(f) offsetof(struct box_mount_options, f)

static const struct row rows[] = {
    {"defaults", IGNORED},
    /* the mount */
    {"ro", ATTR, false, BOX_ATTR_RDONLY, MS_RDONLY},
    {"rw", ATTR, true, BOX_ATTR_RDONLY, MS_RDONLY},
    {"nosuid", ATTR, false, BOX_ATTR_NOSUID},
    {"suid", ATTR, true, BOX_ATTR_NOSUID},
    {"nodev", ATTR, false, BOX_ATTR_NODEV},
    {"dev", ATTR, true, BOX_ATTR_NODEV},
    {"noexec", ATTR, false, BOX_ATTR_NOEXEC},
    {"exec", ATTR, true, BOX_ATTR_NOEXEC},
    {"nosymfollow", ATTR, false, BOX_ATTR_NOSYMFOLLOW},
    {"symfollow", ATTR, true, BOX_ATTR_NOSYMFOLLOW},
    {"nodiratime", ATTR, false, BOX_ATTR_NODIRATIME},
    {"diratime", ATTR, true, BOX_ATTR_NODIRATIME},
    {"noatime", ATTR, false, BOX_ATTR_NOATIME},
    {"atime", ATTR, true, BOX_ATTR_NOATIME},
    {"strictatime", ATTR, false, BOX_ATTR_STRICTATIME},
    {"nostrictatime", ATTR, true, BOX_ATTR_STRICTATIME},
    {"relatime", ATTR, false, BOX_ATTR_RELATIME},
    {"norelatime", ATTR, true, BOX_ATTR_RELATIME},
    /* the mount and every one below it */
    {"rro", ATTR_REC, false, BOX_ATTR_RDONLY},
    {"rrw", ATTR_REC, true, BOX_ATTR_RDONLY},
    {"rnosuid", ATTR_REC, false, BOX_ATTR_NOSUID},
    {"rsuid", ATTR_REC, true, BOX_ATTR_NOSUID},
    {"rnodev", ATTR_REC, false, BOX_ATTR_NODEV},
    {"rdev", ATTR_REC, true, BOX_ATTR_NODEV},
    {"rnoexec", ATTR_REC, false, BOX_ATTR_NOEXEC},
    {"rexec", ATTR_REC, true, BOX_ATTR_NOEXEC},
    {"rnosymfollow", ATTR_REC, false, BOX_ATTR_NOSYMFOLLOW},
    {"rsymfollow", ATTR_REC, true, BOX_ATTR_NOSYMFOLLOW},
    {"rnodiratime", ATTR_REC, false, BOX_ATTR_NODIRATIME},
    {"rdiratime", ATTR_REC, true, BOX_ATTR_NODIRATIME},
    {"rnoatime", ATTR_REC, false, BOX_ATTR_NOATIME},
    {"ratime", ATTR_REC, true, BOX_ATTR_NOATIME},
    {"rstrictatime", ATTR_REC, false, BOX_ATTR_STRICTATIME},
    {"rnostrictatime", ATTR_REC, true, BOX_ATTR_STRICTATIME},
    {"rrelatime", ATTR_REC, false, BOX_ATTR_RELATIME},
    {"rnorelatime", ATTR_REC, true, BOX_ATTR_RELATIME},
    /* the super block */
    {"sync", SB, false, MS_SYNCHRONOUS},
    {"async", SB, true, MS_SYNCHRONOUS},
    {"dirsync", SB, false, MS_DIRSYNC},
    {"mand", SB, false, MS_MANDLOCK},
    {"nomand", SB, true, MS_MANDLOCK},
    {"lazytime", SB, false, MS_LAZYTIME},
    {"nolazytime", SB, true, MS_LAZYTIME},
    {"iversion", SB, false, MS_I_VERSION},
    {"noiversion", SB, true, MS_I_VERSION},
    {"silent", SB, false, MS_SILENT},
    {"loud", SB, true, MS_SILENT},
    /* propagation */
    {"shared", PROPAGATION, false, MS_SHARED},
    {"slave", PROPAGATION, false, MS_SLAVE},
    {"private", PROPAGATION, false, MS_PRIVATE},
    {"unbindable", PROPAGATION, false, MS_UNBINDABLE},
    {"rshared", PROPAGATION_REC, false, MS_SHARED},
    {"rslave", PROPAGATION_REC, false, MS_SLAVE},
    {"rprivate", PROPAGATION_REC, false, MS_PRIVATE},
    {"runbindable", PROPAGATION_REC, false, MS_UNBINDABLE},
    /* what to do */
    {"bind", FLAG, false, FIELD(bind)},
    {"rbind", FLAG, false, FIELD(rbind)},
    {"remount", FLAG, false, FIELD(remount)},
    {"tmpcopyup", FLAG, false, FIELD(tmpcopyup)},
    {"src-nofollow", FLAG, false, FIELD(src_nofollow)},
    {"dest-nofollow", FLAG, false, FIELD(dest_nofollow)},
    {"copy-symlink", FLAG, false, FIELD(copy_symlink)},
    {"idmap", IDMAP, false, BOX_MOUNT_IDMAP},
    {"ridmap", IDMAP, false, BOX_MOUNT_IDMAP_REC},
    /* for mount(8) alone */
    {"auto", IGNORED},
    {"noauto", IGNORED},
    {"nofail", IGNORED},
    {"_netdev", IGNORED},
    {"comment", IGNORED},
    {"loop", REFUSED},
    {"encryption", REFUSED},
};

static const struct row *find_row(const char *name, size_t n)
{
    for (size_t i = 0; i < BOX_ARRAY(rows); i++)
        if (strncmp(rows[i].name, name, n) == 0 && rows[i].name[n] == '\0')
            return &rows[i];
    return NULL;
}

static bool is_atime(uint64_t bits)
{
    return bits == BOX_ATTR_NOATIME || bits == BOX_ATTR_STRICTATIME || bits == BOX_ATTR_RELATIME;
}

/* The three ways to keep access times are one value in two bits, so setting one replaces another, and "not
 * noatime" means the kernel's default, relatime, unless another value was asked for in the meantime. */
static void apply_atime(uint64_t *set, uint64_t *clear, const struct row *row)
{
    uint64_t now = *set & BOX_ATTR__ATIME;

    if (row->off && now != row->bits && now != 0)
        return;
    *set &= ~(uint64_t)BOX_ATTR__ATIME;
    *clear |= BOX_ATTR__ATIME;
    if (!row->off)
        *set |= row->bits;
}

static void apply_attr(uint64_t *set, uint64_t *clear, const struct row *row)
{
    if (is_atime(row->bits)) {
        apply_atime(set, clear, row);
    } else if (row->off) {
        *set &= ~row->bits;
        *clear |= row->bits;
    } else {
        *set |= row->bits;
        *clear &= ~row->bits;
    }
}

static void apply_sb(struct box_mount_options *o, unsigned long bits, bool off)
{
    if (off) {
        o->sb_flags &= ~bits;
        o->sb_clear |= bits;
    } else {
        o->sb_flags |= bits;
        o->sb_clear &= ~bits;
    }
}

static void apply_propagation(struct box_mount_options *o, const struct row *row)
{
    bool rec = row->kind == PROPAGATION_REC;

    if (o->propagation == MS_SLAVE && row->bits == MS_SHARED) {
        o->propagation_then = MS_SHARED;
        o->propagation_then_rec = rec;
        return;
    }
    o->propagation = (unsigned long)row->bits;
    o->propagation_rec = rec;
    o->propagation_then = 0;
    o->propagation_then_rec = false;
}

/* An option of which the caller may have quoted the value: the quotes are the string's, not the value's. */
static void unquote(const char **value, size_t *n)
{
    if (*value && *n >= 2 && (*value)[0] == '"' && (*value)[*n - 1] == '"') {
        *value += 1;
        *n -= 2;
    }
}

static int add_param(struct box_mount_options *o, const char *name, size_t n_name, const char *value,
                     size_t n_value, box_error **err)
{
    struct box_mount_param *grown = reallocarray(o->params, o->n_params + 1, sizeof(o->params[0]));

    if (!grown)
        return box_fail_nomem(err);
    o->params = grown;
    _free_ char *key = strndup(name, n_name);
    _free_ char *copy = value ? strndup(value, n_value) : NULL;
    if (!key || (value && !copy))
        return box_fail_nomem(err);
    o->params[o->n_params++] = (struct box_mount_param){box_take(key), box_take(copy)};
    return 0;
}

static int refuse_value(const char *name, size_t n, box_error **err)
{
    _free_ char *subject = strndup(name, n);

    if (!subject)
        return box_fail_nomem(err);
    return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESPEC, .subject = subject},
                         "this mount option takes no value");
}

static int refuse(const struct row *row, box_error **err)
{
    return box_fail_with(err,
                         &(struct box_fail_info){.code = BOX_ESPEC,
                                                 .subject = row->name,
                                                 .remedy = "set up the block device first and mount that"},
                         "libbox does not set up loop or encrypted devices");
}

static int apply_idmap(struct box_mount_options *o, const struct row *row, const char *value, size_t n_value,
                       box_error **err)
{
    o->idmap = (enum box_mount_idmap)row->bits;
    free(o->idmap_maps);
    o->idmap_maps = NULL;
    if (value && !(o->idmap_maps = strndup(value, n_value)))
        return box_fail_nomem(err);
    return 0;
}

static int apply_row(struct box_mount_options *o, const struct row *row, const char *value, size_t n_value,
                     box_error **err)
{
    if (value && row->kind != IDMAP && row->kind != IGNORED && row->kind != REFUSED)
        return refuse_value(row->name, strlen(row->name), err);
    switch (row->kind) {
    case ATTR:
        apply_attr(&o->attr_set, &o->attr_clear, row);
        if (row->sb)
            apply_sb(o, row->sb, row->off);
        return 0;
    case ATTR_REC:
        apply_attr(&o->rec_attr_set, &o->rec_attr_clear, row);
        return 0;
    case SB:
        apply_sb(o, (unsigned long)row->bits, row->off);
        return 0;
    case PROPAGATION:
    case PROPAGATION_REC:
        apply_propagation(o, row);
        return 0;
    case FLAG:
        *(bool *)((char *)o + row->bits) = true;
        if (row->bits == FIELD(rbind))
            o->bind = true;
        return 0;
    case IDMAP:
        return apply_idmap(o, row, value, n_value, err);
    case IGNORED:
        return 0;
    case REFUSED:
        return refuse(row, err);
    }
    return 0;
}

static bool for_mount8_alone(const char *name, size_t n)
{
    return n > 2 && (name[0] == 'x' || name[0] == 'X') && name[1] == '-';
}

/* libmount takes a quote that is never closed as closed by the end, which swallows the options after it. */
static bool quotes_are_closed(const char *options)
{
    bool open = false;

    for (; *options; options++)
        open ^= *options == '"';
    return !open;
}

static int malformed(const char *options, box_error **err)
{
    return box_fail_with(err, &(struct box_fail_info){.code = BOX_EPARSE, .subject = options},
                         "malformed mount options (an option without a name, or a quote that is not closed)");
}

static int parse_into(struct box_mount_options *o, const char *options, box_error **err)
{
    if (strlen(options) > BOX_OPTIONS_MAX)
        return box_fail(err, BOX_ELIMIT, "a mount option string of more than %u bytes", BOX_OPTIONS_MAX);
    if (!quotes_are_closed(options))
        return malformed(options, err);
    _free_ char *copy = strdup(options);
    if (!copy)
        return box_fail_nomem(err);
    char *at = copy, *name, *raw;
    size_t n_name, n_value;
    int r;

    while ((r = mnt_optstr_next_option(&at, &name, &n_name, &raw, &n_value)) == 0) {
        const struct row *row = find_row(name, n_name);
        const char *value = raw;

        if (n_name == 0 || name[0] == '=')
            return malformed(options, err);
        unquote(&value, &n_value);
        if (row)
            r = apply_row(o, row, value, n_value, err);
        else if (!for_mount8_alone(name, n_name))
            r = add_param(o, name, n_name, value, n_value, err);
        if (r < 0)
            return r;
    }
    if (r < 0)
        return box_fail_with(
            err, &(struct box_fail_info){.code = BOX_EPARSE, .subject = options},
            "malformed mount options (an option without a name, or a quote that is not closed)");
    return 0;
}

static int join_params(struct box_mount_options *o, box_error **err)
{
    size_t size = 1;

    for (size_t i = 0; i < o->n_params; i++)
        size += strlen(o->params[i].key) + (o->params[i].value ? strlen(o->params[i].value) + 3 : 0) + 1;
    char *at = o->data = malloc(size);
    if (!at)
        return box_fail_nomem(err);
    for (size_t i = 0; i < o->n_params; i++) {
        const char *value = o->params[i].value;
        const char *quote = value && strchr(value, ',') ? "\"" : "";

        at += snprintf(at, size - (size_t)(at - o->data), "%s%s%s%s%s%s", i ? "," : "", o->params[i].key,
                       value ? "=" : "", quote, value ? value : "", quote);
    }
    *at = '\0';
    return 0;
}

int box_mount_options_parse_list(const char *const *options, size_t n, struct box_mount_options *out,
                                 box_error **err)
{
    int r = 0;

    *out = (struct box_mount_options){0};
    for (size_t i = 0; i < n && r == 0; i++)
        r = options[i] ? parse_into(out, options[i], err) : 0;
    if (r == 0)
        r = join_params(out, err);
    if (r < 0)
        box_mount_options_clear(out);
    return r;
}

int box_mount_options_parse(const char *options, struct box_mount_options *out, box_error **err)
{
    return box_mount_options_parse_list(&options, 1, out, err);
}

void box_mount_options_clear(struct box_mount_options *options)
{
    for (size_t i = 0; i < options->n_params; i++) {
        free(options->params[i].key);
        free(options->params[i].value);
    }
    free(options->params);
    free(options->data);
    free(options->idmap_maps);
    *options = (struct box_mount_options){0};
}

unsigned long box_mount_attr_to_ms(uint64_t attr)
{
    static const struct {
        uint64_t attr;
        unsigned long ms;
    } bits[] = {
        {BOX_ATTR_RDONLY, MS_RDONLY},         {BOX_ATTR_NOSUID, MS_NOSUID},
        {BOX_ATTR_NODEV, MS_NODEV},           {BOX_ATTR_NOEXEC, MS_NOEXEC},
        {BOX_ATTR_NOATIME, MS_NOATIME},       {BOX_ATTR_STRICTATIME, MS_STRICTATIME},
        {BOX_ATTR_NODIRATIME, MS_NODIRATIME}, {BOX_ATTR_NOSYMFOLLOW, MS_NOSYMFOLLOW},
    };
    unsigned long ms = 0;

    for (size_t i = 0; i < BOX_ARRAY(bits); i++)
        if (attr & bits[i].attr)
            ms |= bits[i].ms;
    return (attr & BOX_ATTR__ATIME) ? ms : ms | MS_RELATIME;
}

uint64_t box_mount_attr_from_statvfs(unsigned long st_flags)
{
    static const struct {
        unsigned long st;
        uint64_t attr;
    } bits[] = {
        {ST_RDONLY, BOX_ATTR_RDONLY},
        {ST_NOSUID, BOX_ATTR_NOSUID},
        {ST_NODEV, BOX_ATTR_NODEV},
        {ST_NOEXEC, BOX_ATTR_NOEXEC},
        {ST_NOATIME, BOX_ATTR_NOATIME},
        {ST_NODIRATIME, BOX_ATTR_NODIRATIME},
        {BOX_ST_NOSYMFOLLOW, BOX_ATTR_NOSYMFOLLOW},
    };
    uint64_t attr = 0;

    for (size_t i = 0; i < BOX_ARRAY(bits); i++)
        if (st_flags & bits[i].st)
            attr |= bits[i].attr;
    if (!(st_flags & (ST_NOATIME | BOX_ST_RELATIME)))
        attr |= BOX_ATTR_STRICTATIME;
    return attr;
}
