#include "helper.h"

#include "kernel/mount_options.h"

static struct box_mount_options parse(const char *text)
{
    struct box_mount_options o;

    OK(box_mount_options_parse(text, &o, err));
    return o;
}

/* One option, the attributes that it sets and clears, for the mount alone and for the tree. */
static const struct {
    const char *option;
    uint64_t set, clear, rec_set, rec_clear;
} attributes[] = {
    {"ro", BOX_ATTR_RDONLY},
    {"rw", 0, BOX_ATTR_RDONLY},
    {"nosuid", BOX_ATTR_NOSUID},
    {"suid", 0, BOX_ATTR_NOSUID},
    {"nodev", BOX_ATTR_NODEV},
    {"dev", 0, BOX_ATTR_NODEV},
    {"noexec", BOX_ATTR_NOEXEC},
    {"exec", 0, BOX_ATTR_NOEXEC},
    {"noatime", BOX_ATTR_NOATIME, BOX_ATTR__ATIME},
    {"atime", 0, BOX_ATTR__ATIME},
    {"strictatime", BOX_ATTR_STRICTATIME, BOX_ATTR__ATIME},
    {"nostrictatime", 0, BOX_ATTR__ATIME},
    {"relatime", 0, BOX_ATTR__ATIME},
    {"norelatime", 0, BOX_ATTR__ATIME},
    {"nodiratime", BOX_ATTR_NODIRATIME},
    {"diratime", 0, BOX_ATTR_NODIRATIME},
    {"nosymfollow", BOX_ATTR_NOSYMFOLLOW},
    {"symfollow", 0, BOX_ATTR_NOSYMFOLLOW},
    {"rro", 0, 0, BOX_ATTR_RDONLY},
    {"rrw", 0, 0, 0, BOX_ATTR_RDONLY},
    {"rnosuid", 0, 0, BOX_ATTR_NOSUID},
    {"rsuid", 0, 0, 0, BOX_ATTR_NOSUID},
    {"rnodev", 0, 0, BOX_ATTR_NODEV},
    {"rdev", 0, 0, 0, BOX_ATTR_NODEV},
    {"rnoexec", 0, 0, BOX_ATTR_NOEXEC},
    {"rexec", 0, 0, 0, BOX_ATTR_NOEXEC},
    {"rnodiratime", 0, 0, BOX_ATTR_NODIRATIME},
    {"rdiratime", 0, 0, 0, BOX_ATTR_NODIRATIME},
    {"rnoatime", 0, 0, BOX_ATTR_NOATIME, BOX_ATTR__ATIME},
    {"ratime", 0, 0, 0, BOX_ATTR__ATIME},
    {"rrelatime", 0, 0, 0, BOX_ATTR__ATIME},
    {"rnorelatime", 0, 0, 0, BOX_ATTR__ATIME},
    {"rstrictatime", 0, 0, BOX_ATTR_STRICTATIME, BOX_ATTR__ATIME},
    {"rnostrictatime", 0, 0, 0, BOX_ATTR__ATIME},
    {"rnosymfollow", 0, 0, BOX_ATTR_NOSYMFOLLOW},
    {"rsymfollow", 0, 0, 0, BOX_ATTR_NOSYMFOLLOW},
};

Test(mount_options, each_attribute_of_the_oci_table_sets_and_clears_its_bits_and_no_other)
{
    for (size_t i = 0; i < BOX_ARRAY(attributes); i++) {
        _cleanup_mount_options_ struct box_mount_options o = parse(attributes[i].option);

        cr_assert_eq(o.attr_set, attributes[i].set, "%s", attributes[i].option);
        cr_assert_eq(o.attr_clear, attributes[i].clear, "%s", attributes[i].option);
        cr_assert_eq(o.rec_attr_set, attributes[i].rec_set, "%s", attributes[i].option);
        cr_assert_eq(o.rec_attr_clear, attributes[i].rec_clear, "%s", attributes[i].option);
        cr_assert_eq(o.n_params, 0);
    }
}

Test(mount_options, super_block_flags_and_propagation_are_known)
{
    static const struct {
        const char *option;
        unsigned long set, clear, propagation;
        bool rec;
    } cases[] = {
        {"sync", MS_SYNCHRONOUS},
        {"async", 0, MS_SYNCHRONOUS},
        {"dirsync", MS_DIRSYNC},
        {"mand", MS_MANDLOCK},
        {"nomand", 0, MS_MANDLOCK},
        {"lazytime", MS_LAZYTIME},
        {"nolazytime", 0, MS_LAZYTIME},
        {"iversion", MS_I_VERSION},
        {"noiversion", 0, MS_I_VERSION},
        {"silent", MS_SILENT},
        {"loud", 0, MS_SILENT},
        {"ro", MS_RDONLY},
        {"rw", 0, MS_RDONLY},
        {"shared", 0, 0, MS_SHARED},
        {"slave", 0, 0, MS_SLAVE},
        {"private", 0, 0, MS_PRIVATE},
        {"unbindable", 0, 0, MS_UNBINDABLE},
        {"rshared", 0, 0, MS_SHARED, true},
        {"rslave", 0, 0, MS_SLAVE, true},
        {"rprivate", 0, 0, MS_PRIVATE, true},
        {"runbindable", 0, 0, MS_UNBINDABLE, true},
        {"defaults"},
    };

    for (size_t i = 0; i < BOX_ARRAY(cases); i++) {
        _cleanup_mount_options_ struct box_mount_options o = parse(cases[i].option);

        cr_assert_eq(o.sb_flags, cases[i].set, "%s", cases[i].option);
        cr_assert_eq(o.sb_clear, cases[i].clear, "%s", cases[i].option);
        cr_assert_eq(o.propagation, cases[i].propagation, "%s", cases[i].option);
        cr_assert_eq(o.propagation_rec, cases[i].rec, "%s", cases[i].option);
        cr_assert_eq(o.n_params, 0, "%s", cases[i].option);
    }
}

Test(mount_options, the_last_word_counts)
{
    _cleanup_mount_options_ struct box_mount_options a = parse("ro,rw,nosuid,suid,nosuid"),
                                                     b = parse("noatime,relatime"),
                                                     c = parse("strictatime,noatime"),
                                                     d = parse("noatime,nostrictatime"),
                                                     e = parse("private,rshared"), f = parse("slave,shared");

    cr_assert_eq(a.attr_set, BOX_ATTR_NOSUID);
    cr_assert_eq(a.attr_clear, BOX_ATTR_RDONLY);
    cr_assert_eq(a.sb_flags, 0);
    cr_assert_eq(b.attr_set, 0);
    cr_assert_eq(c.attr_set, BOX_ATTR_NOATIME);
    cr_assert_eq(d.attr_set, BOX_ATTR_NOATIME);
    cr_assert(e.propagation == MS_SHARED && e.propagation_rec && e.propagation_then == 0);
    cr_assert(f.propagation == MS_SLAVE && f.propagation_then == MS_SHARED);
}

Test(mount_options, what_to_do_is_told_apart)
{
    _cleanup_mount_options_ struct box_mount_options a = parse("rbind,tmpcopyup,src-nofollow,ridmap"),
                                                     b = parse("bind,remount,dest-nofollow,copy-symlink"),
                                                     c = parse("idmap=uids=0-1-10#20-30-1;gids=0-1-10");

    cr_assert(a.bind && a.rbind && a.tmpcopyup && a.src_nofollow && !a.dest_nofollow && !a.remount);
    cr_assert_eq(a.idmap, BOX_MOUNT_IDMAP_REC);
    cr_assert_null(a.idmap_maps);
    cr_assert(b.bind && !b.rbind && b.remount && b.dest_nofollow && b.copy_symlink);
    cr_assert_eq(c.idmap, BOX_MOUNT_IDMAP);
    cr_assert_str_eq(c.idmap_maps, "uids=0-1-10#20-30-1;gids=0-1-10");
}

Test(mount_options, the_file_systems_own_are_kept_in_order_and_in_both_forms)
{
    const char *const list[] = {
        "nosuid",  "size=64k", "x-systemd.automount", NULL, "context=\"a,b\",huge=never", "noauto",
        "inode64", "_netdev"};
    struct box_mount_options o;

    OK(box_mount_options_parse_list(list, BOX_ARRAY(list), &o, err));
    cr_assert_eq(o.n_params, 4);
    cr_assert_str_eq(o.params[1].key, "context");
    cr_assert_str_eq(o.params[1].value, "a,b");
    cr_assert_str_eq(o.params[3].key, "inode64");
    cr_assert_null(o.params[3].value);
    cr_assert_str_eq(o.data, "size=64k,context=\"a,b\",huge=never,inode64");
    box_mount_options_clear(&o);
}

Test(mount_options, nothing_gives_nothing)
{
    _cleanup_mount_options_ struct box_mount_options a = parse(NULL), b = parse(""), c = parse(",,");

    cr_assert_str_eq(a.data, "");
    cr_assert(b.n_params == 0 && c.n_params == 0 && c.attr_set == 0);
}

Test(mount_options, an_error_names_the_option)
{
    struct box_mount_options o;
    box_error *e = NULL;

    cr_assert_eq(box_mount_options_parse("size=1,nosuid=yes", &o, &e), BOX_ESPEC);
    cr_assert_str_eq(box_error_subject(e), "nosuid");
    box_error_free(e);
    e = NULL;
    cr_assert_eq(box_mount_options_parse("loop", &o, &e), BOX_ESPEC);
    cr_assert_str_eq(box_error_subject(e), "loop");
    box_error_free(e);
    FAILS(BOX_EPARSE, box_mount_options_parse("context=\"a", &o, err));
    FAILS(BOX_EPARSE, box_mount_options_parse("=x", &o, err));
}

Test(mount_options, attributes_become_flags_of_the_old_call)
{
    cr_assert_eq(box_mount_attr_to_ms(BOX_ATTR_RDONLY | BOX_ATTR_NOSYMFOLLOW | BOX_ATTR_STRICTATIME),
                 MS_RDONLY | 256ul | MS_STRICTATIME);
    cr_assert_eq(box_mount_attr_to_ms(0), MS_RELATIME);
    cr_assert_eq(box_mount_attr_from_statvfs(1 | 4096), BOX_ATTR_RDONLY);
    cr_assert_eq(box_mount_attr_from_statvfs(2), BOX_ATTR_NOSUID | BOX_ATTR_STRICTATIME);
}
