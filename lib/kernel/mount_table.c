/* The mount table, /proc/PID/mountinfo, read by libmount. Public face: libbox/mount.h. proc(5). */
#include <string.h>
#include <sys/sysmacros.h>

#include <libmount.h>

#include "base/fail.h"
#include "kernel/mount.h"
#include "kernel/number.h"

struct box_mount_table {
    struct libmnt_table *lib; /* holds the strings */
    box_mount_entry *entries;
    size_t n;
};

void box_mount_table_free(box_mount_table *table)
{
    if (!table)
        return;
    mnt_unref_table(table->lib);
    free(table->entries);
    free(table);
}

/* The number after "key" in fields such as "shared:5 master:3 unbindable". */
static int optional_number(const char *fields, const char *key)
{
    const char *at = fields ? strstr(fields, key) : NULL;
    uint64_t value;

    if (!at || (at != fields && at[-1] != ' '))
        return 0;
    at += strlen(key);
    return box_number_u64(at, strspn(at, "0123456789"), &value) == 0 ? (int)value : 0;
}

static int fill_attributes(box_mount_entry *e, box_error **err)
{
    _cleanup_mount_options_ struct box_mount_options options;
    int r = box_mount_options_parse(e->options, &options, err);

    if (r < 0)
        return r;
    e->attributes = options.attr_set;
    /* The kernel writes relatime and noatime; when it writes neither, times are kept strictly. */
    if (!(options.attr_clear & BOX_ATTR__ATIME))
        e->attributes |= BOX_ATTR_STRICTATIME;
    return 0;
}

static const char *or_empty(const char *s)
{
    return s ? s : "";
}

static int fill(box_mount_entry *e, struct libmnt_fs *fs, box_error **err)
{
    const char *optional = mnt_fs_get_optional_fields(fs);
    dev_t device = mnt_fs_get_devno(fs);

    *e = (box_mount_entry){
        .id = mnt_fs_get_id(fs),
        .parent_id = mnt_fs_get_parent_id(fs),
        .root = or_empty(mnt_fs_get_root(fs)),
        .target = or_empty(mnt_fs_get_target(fs)),
        .type = or_empty(mnt_fs_get_fstype(fs)),
        .source = or_empty(mnt_fs_get_source(fs)),
        .options = or_empty(mnt_fs_get_vfs_options(fs)),
        .fs_options = or_empty(mnt_fs_get_fs_options(fs)),
        .peer_group = optional_number(optional, "shared:"),
        .master_group = optional_number(optional, "master:"),
        .unbindable = optional && strstr(optional, "unbindable") != NULL,
    };
    e->device_major = major(device);
    e->device_minor = minor(device);
    return fill_attributes(e, err);
}

static int fill_all(box_mount_table *table, box_error **err)
{
    struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
    struct libmnt_fs *fs;
    int r = iter ? 0 : box_fail_nomem(err);

    table->entries = calloc((size_t)mnt_table_get_nents(table->lib) + 1, sizeof(*table->entries));
    if (r == 0 && !table->entries)
        r = box_fail_nomem(err);
    while (r == 0 && mnt_table_next_fs(table->lib, iter, &fs) == 0)
        r = fill(&table->entries[table->n++], fs, err);
    mnt_free_iter(iter);
    return r;
}

int box_mount_table_read(int pid, box_mount_table **table, box_error **err)
{
    char path[64] = "/proc/thread-self/mountinfo";
    _cleanup_(box_mount_table) box_mount_table *t = calloc(1, sizeof(*t));

    if (!t || !(t->lib = mnt_new_table()))
        return box_fail_nomem(err);
    if (pid != 0)
        snprintf(path, sizeof(path), "/proc/%d/mountinfo", pid);
    int r = mnt_table_parse_file(t->lib, path);
    if (r != 0) {
        errno = r < 0 ? -r : EINVAL;
        return box_fail_sys(err, "mnt_table_parse_file", path, "read the mount table");
    }
    if ((r = fill_all(t, err)) < 0)
        return r;
    *table = box_take(t);
    return 0;
}

size_t box_mount_table_count(const box_mount_table *table)
{
    return table->n;
}

const box_mount_entry *box_mount_table_get(const box_mount_table *table, size_t index)
{
    return index < table->n ? &table->entries[index] : NULL;
}

const box_mount_entry *box_mount_table_find_id(const box_mount_table *table, int id)
{
    for (size_t i = 0; i < table->n; i++)
        if (table->entries[i].id == id)
            return &table->entries[i];
    return NULL;
}

const box_mount_entry *box_mount_table_find_target(const box_mount_table *table, const char *target)
{
    for (size_t i = table->n; i > 0; i--)
        if (strcmp(table->entries[i - 1].target, target) == 0)
            return &table->entries[i - 1];
    return NULL;
}
