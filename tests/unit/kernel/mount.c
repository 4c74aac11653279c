#include "helper.h"

#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include <libbox/capability.h>
#include <libbox/seccomp.h>

#include "kernel/idmap.h"
#include "kernel/mount.h"

/* From here on this process has a kernel without the new API. */
static void take_the_new_api_away(void)
{
    static const char *const calls[] = {"open_tree", "move_mount", "fsopen",        "fsconfig",
                                        "fsmount",   "fspick",     "mount_setattr", NULL};
    box_seccomp *policy = box_seccomp_new(BOX_SECCOMP_ALLOW, 0, NULL);

    cr_assert_eq(box_seccomp_add_rules(policy, BOX_SECCOMP_ERRNO, ENOSYS, calls, NULL, 0, NULL), 0);
    box_seccomp_filter *filter = box_seccomp_compile(policy, NULL);
    cr_assert_not_null(filter);
    box_seccomp_free(policy);
    cr_assert_eq(box_no_new_privs_set(NULL), 0);
    cr_assert_eq(box_seccomp_apply(filter, NULL, NULL), 0);
    box_seccomp_filter_unref(filter);
    cr_assert_not(box_mount_have_new_api());
}

/* Both APIs run the same tests; the old one when it is asked for, and when there is no other. */
#define BOTH_APIS(name)                            \
    static void name(unsigned flags);              \
    Test(mount, name##_by_the_new_api)             \
    {                                              \
        NEED_ROOT();                               \
        if (!box_mount_have_new_api())             \
            cr_skip_test("no new mount API here"); \
        private_mounts("/mnt");                    \
        name(0);                                   \
    }                                              \
    Test(mount, name##_by_the_old_api)             \
    {                                              \
        NEED_ROOT();                               \
        private_mounts("/mnt");                    \
        name(BOX_MOUNT_OLD_API);                   \
    }                                              \
    Test(mount, name##_without_the_new_api)        \
    {                                              \
        NEED_ROOT();                               \
        private_mounts("/mnt");                    \
        take_the_new_api_away();                   \
        name(0);                                   \
    }                                              \
    static void name(unsigned flags)

static int path_fd(const char *path)
{
    int fd = open(path, O_PATH | O_CLOEXEC);

    cr_assert_geq(fd, 0, "%s: %s", path, strerror(errno));
    return fd;
}

static void make_dirs(const char *const *paths)
{
    for (; *paths; paths++)
        cr_assert_eq(mkdir(*paths, 0755), 0, "%s: %s", *paths, strerror(errno));
}
#define DIRS(...) make_dirs((const char *const[]){__VA_ARGS__, NULL})

static void put(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");

    cr_assert(f, "%s: %s", path, strerror(errno));
    fputs(text, f);
    cr_assert_eq(fclose(f), 0);
}

static const char *get(const char *path)
{
    static char text[256];
    FILE *f = fopen(path, "re");

    if (!f)
        return NULL;
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    text[n] = '\0';
    fclose(f);
    return text;
}

/* 0 or the errno of trying to make a file there. */
static int try_write(const char *dir)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/try", dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return errno;
    close(fd);
    unlink(path);
    return 0;
}

static uint64_t attributes_at(const char *target)
{
    _cleanup_(box_mount_table) box_mount_table *table = NULL;

    OK(box_mount_table_read(0, &table, err));
    const box_mount_entry *e = box_mount_table_find_target(table, target);
    cr_assert(e, "nothing is mounted at %s", target);
    return e->attributes;
}

static bool is_mounted(const char *target)
{
    _cleanup_(box_mount_table) box_mount_table *table = NULL;

    OK(box_mount_table_read(0, &table, err));
    return box_mount_table_find_target(table, target) != NULL;
}

static void attach_at(box_mount *m, const char *path)
{
    _close_ int target = path_fd(path);

    OK(box_mount_attach(m, target, err));
}

static box_mount *clone_of(const char *path, unsigned flags)
{
    _close_ int source = path_fd(path);
    box_mount *m = NULL;

    OK(box_mount_clone(source, flags, &m, err));
    return m;
}

BOTH_APIS(a_new_tmpfs_has_its_options_and_attributes)
{
    _cleanup_(box_mount) box_mount *m = NULL;
    struct statfs fs;
    struct stat st;

    DIRS("/mnt/a");
    OK(box_mount_new("tmpfs", "mine", "size=1m,nr_inodes=50,mode=0711,nosuid,noexec,noatime", flags, &m,
                     err));
    attach_at(m, "/mnt/a");
    cr_assert_eq(statfs("/mnt/a", &fs), 0);
    cr_assert_eq((uint64_t)fs.f_blocks * (uint64_t)fs.f_bsize, 1048576u);
    cr_assert_eq(fs.f_files, 50);
    cr_assert_eq(stat("/mnt/a", &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0711);
    cr_assert_eq(attributes_at("/mnt/a"),
                 BOX_MOUNT_ATTR_NOSUID | BOX_MOUNT_ATTR_NOEXEC | BOX_MOUNT_ATTR_NOATIME);
    cr_assert_eq(fstat(box_mount_fd(m), &st), 0);
    cr_assert_eq(major(st.st_dev), 0);
    cr_assert_eq(try_write("/mnt/a"), 0);
}

BOTH_APIS(a_read_only_file_system_is_read_only_through_every_mount_of_it)
{
    _cleanup_(box_mount) box_mount *m = NULL;

    DIRS("/mnt/a", "/mnt/b");
    OK(box_mount_new("tmpfs", NULL, "ro", flags, &m, err));
    attach_at(m, "/mnt/a");
    cr_assert_eq(try_write("/mnt/a"), EROFS);
    cr_assert_eq(mount("/mnt/a", "/mnt/b", NULL, MS_BIND, NULL), 0);
    mount(NULL, "/mnt/b", NULL, MS_BIND | MS_REMOUNT, NULL);
    cr_assert_eq(try_write("/mnt/b"), EROFS);
}

BOTH_APIS(a_directory_is_bound_and_the_source_stays_writable)
{
    DIRS("/mnt/src", "/mnt/dst");
    put("/mnt/src/f", "hello");
    _cleanup_(box_mount) box_mount *m = clone_of("/mnt/src", flags);
    OK(box_mount_set_attr(m, BOX_MOUNT_ATTR_RDONLY | BOX_MOUNT_ATTR_NODEV, 0, false, err));
    attach_at(m, "/mnt/dst");
    cr_assert_str_eq(get("/mnt/dst/f"), "hello");
    cr_assert_eq(try_write("/mnt/dst"), EROFS);
    cr_assert_eq(try_write("/mnt/src"), 0);
    cr_assert(attributes_at("/mnt/dst") & BOX_MOUNT_ATTR_NODEV);
    OK(box_mount_set_attr(m, 0, BOX_MOUNT_ATTR_RDONLY, false, err));
    cr_assert_eq(try_write("/mnt/dst"), 0);
    cr_assert(attributes_at("/mnt/dst") & BOX_MOUNT_ATTR_NODEV);
}

BOTH_APIS(attributes_of_the_source_are_kept_in_the_clone)
{
    DIRS("/mnt/src", "/mnt/dst");
    cr_assert_eq(mount("t", "/mnt/src", "tmpfs", MS_NOEXEC | MS_NOATIME | MS_NOSUID, NULL), 0);
    _cleanup_(box_mount) box_mount *m = clone_of("/mnt/src", flags);
    OK(box_mount_set_attr(m, BOX_MOUNT_ATTR_RDONLY, 0, false, err));
    attach_at(m, "/mnt/dst");
    cr_assert_eq(attributes_at("/mnt/dst"), BOX_MOUNT_ATTR_NOEXEC | BOX_MOUNT_ATTR_NOATIME |
                                                BOX_MOUNT_ATTR_NOSUID | BOX_MOUNT_ATTR_RDONLY);
    OK(box_mount_set_options(m, "relatime,exec", err));
    cr_assert_eq(attributes_at("/mnt/dst"), BOX_MOUNT_ATTR_NOSUID | BOX_MOUNT_ATTR_RDONLY);
    OK(box_mount_set_attr(m, BOX_MOUNT_ATTR_STRICTATIME, 0, false, err));
    cr_assert_eq(attributes_at("/mnt/dst"),
                 BOX_MOUNT_ATTR_NOSUID | BOX_MOUNT_ATTR_RDONLY | BOX_MOUNT_ATTR_STRICTATIME);
}

BOTH_APIS(a_file_is_bound_on_a_file_and_on_nothing_else)
{
    DIRS("/mnt/dir");
    put("/mnt/src", "x");
    put("/mnt/dst", "y");
    _cleanup_(box_mount) box_mount *m = clone_of("/mnt/src", flags);
    int dir = path_fd("/mnt/dir");
    cr_assert_lt(box_mount_attach(m, dir, NULL), 0);
    close(dir);
    attach_at(m, "/mnt/dst");
    cr_assert_str_eq(get("/mnt/dst"), "x");
    FAILS(BOX_ESTATE, box_mount_attach(m, box_mount_fd(m), err));
}

static void tree(void)
{
    DIRS("/mnt/src", "/mnt/src/sub", "/mnt/src/sub2", "/mnt/dst");
    cr_assert_eq(mount("t", "/mnt/src/sub", "tmpfs", MS_NOSUID, NULL), 0);
    DIRS("/mnt/src/sub/deep");
    cr_assert_eq(mount("t", "/mnt/src/sub/deep", "tmpfs", 0, NULL), 0);
    cr_assert_eq(mount("t", "/mnt/src/sub2", "tmpfs", MS_NOEXEC, NULL), 0);
}

BOTH_APIS(submounts_stay_read_only_under_rro)
{
    tree();
    _cleanup_(box_mount) box_mount *m = clone_of("/mnt/src", flags | BOX_MOUNT_RECURSIVE);
    OK(box_mount_set_options(m, "rro", err));
    attach_at(m, "/mnt/dst");
    cr_assert_eq(try_write("/mnt/dst"), EROFS);
    cr_assert_eq(try_write("/mnt/dst/sub"), EROFS);
    cr_assert_eq(try_write("/mnt/dst/sub/deep"), EROFS);
    cr_assert_eq(try_write("/mnt/dst/sub2"), EROFS);
    cr_assert_eq(try_write("/mnt/src/sub/deep"), 0);
    cr_assert_eq(attributes_at("/mnt/dst/sub"), BOX_MOUNT_ATTR_NOSUID | BOX_MOUNT_ATTR_RDONLY);
    cr_assert_eq(attributes_at("/mnt/dst/sub2"), BOX_MOUNT_ATTR_NOEXEC | BOX_MOUNT_ATTR_RDONLY);
}

BOTH_APIS(ro_alone_leaves_submounts_writable)
{
    tree();
    _cleanup_(box_mount) box_mount *m = clone_of("/mnt/src", flags | BOX_MOUNT_RECURSIVE);
    OK(box_mount_set_options(m, "ro", err));
    attach_at(m, "/mnt/dst");
    cr_assert_eq(try_write("/mnt/dst"), EROFS);
    cr_assert_eq(try_write("/mnt/dst/sub/deep"), 0);
}

BOTH_APIS(a_mount_covered_at_its_root_does_not_stop_rro)
{
    tree();
    cr_assert_eq(mount("t", "/mnt/src/sub2", "tmpfs", 0, NULL), 0);
    _cleanup_(box_mount) box_mount *m = clone_of("/mnt/src", flags | BOX_MOUNT_RECURSIVE);
    OK(box_mount_set_attr(m, BOX_MOUNT_ATTR_RDONLY, 0, true, err));
    attach_at(m, "/mnt/dst");
    cr_assert_eq(try_write("/mnt/dst/sub2"), EROFS);
}

BOTH_APIS(without_recursion_submounts_are_not_there)
{
    tree();
    put("/mnt/src/sub/f", "below");
    _cleanup_(box_mount) box_mount *m = clone_of("/mnt/src", flags);
    attach_at(m, "/mnt/dst");
    cr_assert_null(get("/mnt/dst/sub/f"));
}

BOTH_APIS(propagation_is_what_was_asked_for_even_below_a_shared_mount)
{
    static const struct {
        const char *option;
        bool shared, slave, unbindable;
    } cases[] = {{"private"},
                 {"shared", true},
                 {"slave", false, true},
                 {"unbindable", false, false, true},
                 {"rslave", false, true},
                 {"rprivate"}};

    DIRS("/mnt/src", "/mnt/parent");
    cr_assert_eq(mount("t", "/mnt/src", "tmpfs", 0, NULL), 0);
    cr_assert_eq(mount(NULL, "/mnt/src", NULL, MS_SHARED, NULL), 0);
    cr_assert_eq(mount("t", "/mnt/parent", "tmpfs", 0, NULL), 0);
    cr_assert_eq(mount(NULL, "/mnt/parent", NULL, MS_SHARED, NULL), 0);
    for (size_t i = 0; i < BOX_ARRAY(cases); i++) {
        _cleanup_(box_mount_table) box_mount_table *table = NULL;
        char target[64];

        snprintf(target, sizeof(target), "/mnt/parent/%zu", i);
        DIRS(target);
        _cleanup_(box_mount) box_mount *m = clone_of("/mnt/src", flags);
        OK(box_mount_set_options(m, cases[i].option, err));
        attach_at(m, target);
        OK(box_mount_table_read(0, &table, err));
        const box_mount_entry *e = box_mount_table_find_target(table, target);
        cr_assert(e);
        cr_assert_eq(e->peer_group != 0, cases[i].shared, "%s", cases[i].option);
        cr_assert_eq(e->master_group != 0, cases[i].slave, "%s", cases[i].option);
        cr_assert_eq(e->unbindable, cases[i].unbindable, "%s", cases[i].option);
    }
}

BOTH_APIS(a_target_swapped_for_a_link_after_it_was_opened_does_not_lead_the_mount_astray)
{
    DIRS("/mnt/src", "/mnt/dst", "/mnt/victim");
    put("/mnt/src/f", "x");
    int target = path_fd("/mnt/dst");
    _cleanup_(box_mount) box_mount *m = clone_of("/mnt/src", flags);
    OK(box_mount_set_attr(m, BOX_MOUNT_ATTR_RDONLY, 0, false, err));
    cr_assert_eq(rename("/mnt/dst", "/mnt/moved"), 0);
    cr_assert_eq(symlink("/mnt/victim", "/mnt/dst"), 0);
    OK(box_mount_attach(m, target, err));
    cr_assert_null(get("/mnt/victim/f"));
    cr_assert_str_eq(get("/mnt/moved/f"), "x");
    cr_assert_eq(try_write("/mnt/moved"), EROFS);
    cr_assert_eq(try_write("/mnt/victim"), 0);
    close(target);
}

BOTH_APIS(a_link_is_neither_a_source_nor_a_target)
{
    box_mount *none = NULL;

    put("/mnt/src", "x");
    cr_assert_eq(symlink("/mnt/src", "/mnt/link"), 0);
    int link = open("/mnt/link", O_PATH | O_NOFOLLOW | O_CLOEXEC);
    _cleanup_(box_mount) box_mount *m = clone_of("/mnt/src", flags);
    FAILS(BOX_EESCAPE, box_mount_attach(m, link, err));
    FAILS(BOX_EINVAL, box_mount_clone(link, flags, &none, err));
    close(link);
}

BOTH_APIS(a_path_in_a_root_is_made_and_never_leaves_it)
{
    DIRS("/mnt/root", "/mnt/root/etc", "/mnt/out");
    cr_assert_eq(symlink("/out", "/mnt/root/abs"), 0);
    cr_assert_eq(symlink("../../../../out", "/mnt/root/etc/rel"), 0);
    int root = open("/mnt/root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < 3; i++) {
        const char *const paths[] = {"/abs", "etc/rel/x", "a/b/c"},
                          *at[] = {"/mnt/root/out", "/mnt/root/out/x", "/mnt/root/a/b/c"};
        _cleanup_(box_mount) box_mount *m = NULL;

        OK(box_mount_new("tmpfs", NULL, NULL, flags, &m, err));
        OK(box_mount_attach_in(m, root, paths[i], err));
        cr_assert(is_mounted(at[i]), "%s", paths[i]);
    }
    cr_assert_eq(rmdir("/mnt/out"), 0);
    close(root);
}

BOTH_APIS(a_mount_that_cannot_be_put_in_place_leaves_no_directory)
{
    put("/mnt/f", "");
    int root = open("/mnt", O_PATH | O_DIRECTORY | O_CLOEXEC);
    _cleanup_(box_mount) box_mount *m = NULL;

    OK(box_mount_new("tmpfs", NULL, flags ? "size=xyz" : NULL, flags, &m, err));
    if (flags) { /* refused by the kernel after the target was made */
        FAILS(BOX_ESPEC, box_mount_attach_in(m, root, "new/dir", err));
        cr_assert_eq(access("/mnt/new", F_OK), -1);
    }
    cr_assert_lt(box_mount_attach_in(m, root, "f/x", NULL), 0);
    close(root);
}

BOTH_APIS(detaching_takes_the_tree_away)
{
    tree();
    _cleanup_(box_mount) box_mount *m = clone_of("/mnt/src", flags | BOX_MOUNT_RECURSIVE);
    attach_at(m, "/mnt/dst");
    cr_assert(is_mounted("/mnt/dst/sub/deep"));
    OK(box_mount_detach(box_mount_fd(m), err));
    cr_assert(!is_mounted("/mnt/dst"));
    cr_assert(!is_mounted("/mnt/dst/sub/deep"));
    cr_assert(is_mounted("/mnt/src/sub/deep"));
    int dir = path_fd("/mnt/dst");
    FAILS(BOX_EINVAL, box_mount_detach(dir, err));
    close(dir);
}

BOTH_APIS(the_file_systems_of_a_container_can_be_made)
{
    box_mount *m = NULL;
    struct statfs fs;
    struct stat st;

    DIRS("/mnt/proc", "/mnt/sys", "/mnt/pts", "/mnt/mq", "/mnt/tmp");
    OK(box_mount_new_proc(2, true, flags, &m, err));
    attach_at(m, "/mnt/proc");
    box_mount_free(m);
    cr_assert_eq(access("/mnt/proc/self", F_OK), 0);
    cr_assert_eq(access("/mnt/proc/meminfo", F_OK), -1);
    OK(box_mount_new_sysfs(true, flags, &m, err));
    attach_at(m, "/mnt/sys");
    box_mount_free(m);
    cr_assert_eq(access("/mnt/sys/kernel", F_OK), 0);
    cr_assert(attributes_at("/mnt/sys") & BOX_MOUNT_ATTR_RDONLY);
    OK(box_mount_new_devpts(5, 0620, 0666, flags, &m, err));
    attach_at(m, "/mnt/pts");
    box_mount_free(m);
    cr_assert_eq(stat("/mnt/pts/ptmx", &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0666);
    OK(box_mount_new_mqueue(flags, &m, err));
    attach_at(m, "/mnt/mq");
    box_mount_free(m);
    OK(box_mount_new_tmpfs(65536, 10, 01777, flags, &m, err));
    attach_at(m, "/mnt/tmp");
    box_mount_free(m);
    cr_assert_eq(statfs("/mnt/tmp", &fs), 0);
    cr_assert_eq(fs.f_files, 10);
    cr_assert_eq(attributes_at("/mnt/mq"),
                 BOX_MOUNT_ATTR_NOSUID | BOX_MOUNT_ATTR_NODEV | BOX_MOUNT_ATTR_NOEXEC);
    FAILS(BOX_EINVAL, box_mount_new_proc(3, false, flags, &m, err));
}

BOTH_APIS(nothing_is_left_of_what_was_never_put_in_place)
{
    int fds = count_fds();
    box_mount *m = clone_of("/mnt", flags | BOX_MOUNT_RECURSIVE);

    OK(box_mount_set_options(m, "rro,rslave", err));
    box_mount_free(m);
    OK(box_mount_new("tmpfs", NULL, NULL, flags, &m, err));
    box_mount_free(m);
    cr_assert_eq(count_fds(), fds);
}

Test(mount, a_wrong_option_is_named_in_the_kernels_own_words)
{
    NEED_ROOT();
    box_mount *m = NULL;
    box_error *e = NULL;

    private_mounts("/mnt");
    if (!box_mount_have_new_api())
        cr_skip_test("no new mount API here");
    cr_assert_eq(box_mount_new("tmpfs", NULL, "size=1m,colour=blue", 0, &m, &e), BOX_ESPEC);
    cr_assert_str_eq(box_error_subject(e), "colour");
    cr_assert(strstr(box_error_message(e), "nknown parameter"), "%s", box_error_message(e));
    box_error_free(e);
    FAILS(BOX_EUNSUPPORTED, box_mount_new("nosuchfs", NULL, NULL, 0, &m, err));
    FAILS(BOX_ESPEC, box_mount_new("tmpfs", NULL, "bind", 0, &m, err));
    FAILS(BOX_ESPEC, box_mount_new("tmpfs", NULL, "remount", BOX_MOUNT_OLD_API, &m, err));
}

/* 0, or BOX_EUNSUPPORTED when the file system of src has no id-mapped mounts on this kernel. */
static int id_mapped_clone(const char *src, int userns)
{
    box_error *e = NULL;
    struct stat st;
    char path[128];

    snprintf(path, sizeof(path), "%s/f", src);
    put(path, "x");
    _cleanup_(box_mount) box_mount *m = clone_of(src, 0);
    int r = box_mount_set_idmap(m, userns, false, &e);
    if (r == 0) {
        attach_at(m, "/mnt/dst");
        cr_assert_eq(stat("/mnt/dst/f", &st), 0);
        cr_assert_eq(st.st_uid, 100000);
        cr_assert_eq(st.st_gid, 200000);
        cr_assert_eq(stat(path, &st), 0);
        cr_assert_eq(st.st_uid, 0);
        FAILS(BOX_ESTATE, box_mount_set_idmap(m, userns, false, err));
    }
    unlink(path);
    box_error_free(e);
    cr_assert(r == 0 || r == BOX_EUNSUPPORTED, "%s", box_error_code_name(r));
    return r;
}

Test(mount, an_id_mapped_clone_shows_the_mapped_owner)
{
    NEED_ROOT();
    _cleanup_(box_idmap) box_idmap *map = box_idmap_new(NULL);
    char on_disk[] = "/var/tmp/libbox-test-XXXXXX";

    private_mounts("/mnt");
    DIRS("/mnt/src", "/mnt/dst");
    OK(box_idmap_parse(map, BOX_IDMAP_UID, "0:100000:1000", err));
    OK(box_idmap_parse(map, BOX_IDMAP_GID, "0:200000:1000", err));
    int userns = box_idmap_userns(map, NULL);
    if (userns < 0)
        cr_skip_test("no user namespaces here");
    cr_assert(mkdtemp(on_disk));
    int memory = id_mapped_clone("/mnt/src", userns), disk = id_mapped_clone(on_disk, userns);
    rmdir(on_disk);
    close(userns);
    if (memory < 0 && disk < 0)
        cr_skip_test("neither tmpfs nor /var/tmp can be mounted with an id map here");
}

Test(mount, an_id_map_on_what_cannot_have_one_says_so)
{
    NEED_ROOT();
    _cleanup_(box_idmap) box_idmap *map = box_idmap_new(NULL);
    _cleanup_(box_mount) box_mount *proc = NULL, *old = NULL;

    private_mounts("/mnt");
    OK(box_idmap_parse(map, BOX_IDMAP_UID, "0:100000:1000", err));
    OK(box_idmap_parse(map, BOX_IDMAP_GID, "0:100000:1000", err));
    int userns = box_idmap_userns(map, NULL);
    if (userns < 0)
        cr_skip_test("no user namespaces here");
    OK(box_mount_new_proc(0, false, 0, &proc, err));
    FAILS(BOX_EUNSUPPORTED, box_mount_set_idmap(proc, userns, false, err));
    OK(box_mount_new_proc(0, false, BOX_MOUNT_OLD_API, &old, err));
    FAILS(BOX_EUNSUPPORTED, box_mount_set_idmap(old, userns, false, err));
    close(userns);
}

/* ---- The table ---- */

Test(mount_table, tells_all_of_a_mount_also_when_its_path_has_spaces_and_newlines)
{
    NEED_ROOT();
    _cleanup_(box_mount_table) box_mount_table *table = NULL, *other = NULL;
    struct stat st;

    private_mounts("/mnt");
    DIRS("/mnt/a b\nc\\d");
    cr_assert_eq(mount("my source", "/mnt/a b\nc\\d", "tmpfs", MS_NOSUID, "size=4k"), 0);
    OK(box_mount_table_read(0, &table, err));
    const box_mount_entry *e = box_mount_table_find_target(table, "/mnt/a b\nc\\d");
    cr_assert(e);
    cr_assert_str_eq(e->type, "tmpfs");
    cr_assert_str_eq(e->source, "my source");
    cr_assert_str_eq(e->root, "/");
    cr_assert_eq(e->attributes, BOX_MOUNT_ATTR_NOSUID);
    cr_assert(strstr(e->fs_options, "size=4k"));
    cr_assert_eq(box_mount_table_find_id(table, e->id), e);
    cr_assert_str_eq(box_mount_table_find_id(table, e->parent_id)->target, "/mnt");
    cr_assert_eq(stat(e->target, &st), 0);
    cr_assert(major(st.st_dev) == e->device_major && minor(st.st_dev) == e->device_minor);
    cr_assert_null(box_mount_table_get(table, box_mount_table_count(table)));
    cr_assert_null(box_mount_table_find_target(table, "/mnt/a"));
    FAILS(BOX_ENOTFOUND, box_mount_table_read(0x7ffffffe, &other, err));
}

/* ---- Overlays ---- */

/* What each layer holds: its own file, and one that all have, where the topmost wins. */
static void make_layers(size_t n, int *fds)
{
    char path[64];

    for (size_t i = 0; i < n; i++) {
        snprintf(path, sizeof(path), "/mnt/l%zu", i);
        DIRS(path);
        fds[i] = path_fd(path);
        snprintf(path, sizeof(path), "/mnt/l%zu/own%zu", i, i);
        put(path, "own");
        snprintf(path, sizeof(path), "/mnt/l%zu/all", i);
        char text[16];
        snprintf(text, sizeof(text), "%zu", i);
        put(path, text);
    }
}

static void check_overlay_of(size_t n, unsigned flags, bool writable)
{
    _cleanup_(box_mount) box_mount *m = NULL;
    int *lower = calloc(n, sizeof(int)), upper = -1, work = -1;
    char path[64];

    DIRS("/mnt/upper", "/mnt/work", "/mnt/dst");
    make_layers(n, lower);
    if (writable) {
        upper = path_fd("/mnt/upper");
        work = path_fd("/mnt/work");
    }
    box_mount_overlay o = {.lower = lower, .n_lower = n, .upper = upper, .work = work};
    OK(box_mount_new_overlay(&o, flags, &m, err));
    for (size_t i = 0; i < n; i++)
        close(lower[i]);
    free(lower);
    box_cleanup_close(&upper), box_cleanup_close(&work);
    attach_at(m, "/mnt/dst");
    cr_assert_str_eq(get("/mnt/dst/all"), "0");
    for (size_t i = 0; i < n; i++) {
        snprintf(path, sizeof(path), "/mnt/dst/own%zu", i);
        cr_assert(get(path), "%s", path);
    }
    cr_assert_eq(try_write("/mnt/dst"), writable ? 0 : EROFS);
    if (writable) {
        put("/mnt/dst/all", "changed");
        cr_assert_str_eq(get("/mnt/upper/all"), "changed");
        cr_assert_str_eq(get("/mnt/l0/all"), "0");
    }
}

static void overlay_test(size_t n, unsigned flags, bool writable)
{
    NEED_ROOT();
    int fds = count_fds();

    private_mounts("/mnt");
    if (!(flags & BOX_MOUNT_OLD_API) && !box_mount_have_new_api())
        cr_skip_test("no new mount API here");
    check_overlay_of(n, flags, writable);
    cr_assert_eq(count_fds(), fds);
    cr_assert_eq(waitpid(-1, NULL, __WALL | WNOHANG), -1);
}

#define OVERLAY(n, writable, what)                               \
    Test(overlay, of_##n##_##what##_without_the_new_api)         \
    {                                                            \
        NEED_ROOT();                                             \
        int fds = count_fds();                                   \
        private_mounts("/mnt");                                  \
        take_the_new_api_away();                                 \
        check_overlay_of(n, 0, writable);                        \
        cr_assert_eq(count_fds(), fds);                          \
    }                                                            \
    Test(overlay, of_##n##_##what)                               \
    {                                                            \
        overlay_test(n, 0, writable);                            \
    }                                                            \
    Test(overlay, of_##n##_##what##_as_on_an_old_kernel)         \
    {                                                            \
        overlay_test(n, BOX_MOUNT_OVERLAY_ONE_STRING, writable); \
    }                                                            \
    Test(overlay, of_##n##_##what##_by_the_old_api)              \
    {                                                            \
        overlay_test(n, BOX_MOUNT_OLD_API, writable);            \
    }

OVERLAY(1, true, writable)
OVERLAY(1, false, read_only)
OVERLAY(3, true, writable)
OVERLAY(3, false, read_only)
OVERLAY(40, true, writable)
OVERLAY(300, true, writable)

Test(overlay, options_reach_it)
{
    NEED_ROOT();
    static const unsigned ways[] = {0, BOX_MOUNT_OVERLAY_ONE_STRING, BOX_MOUNT_OLD_API};

    private_mounts("/mnt");
    for (size_t i = 0; i < BOX_ARRAY(ways); i++) {
        _cleanup_(box_mount) box_mount *m = NULL;
        _cleanup_(box_mount_table) box_mount_table *table = NULL;
        int lower[2];

        cr_assert_eq(mount("t", "/mnt", "tmpfs", 0, NULL), 0);
        DIRS("/mnt/upper", "/mnt/work", "/mnt/dst");
        make_layers(2, lower);
        box_mount_overlay o = {.lower = lower,
                               .n_lower = 2,
                               .upper = path_fd("/mnt/upper"),
                               .work = path_fd("/mnt/work"),
                               .userxattr = true,
                               .no_sync = true,
                               .options = "xino=off,nosuid"};
        OK(box_mount_new_overlay(&o, ways[i], &m, err));
        close(lower[0]), close(lower[1]), close(o.upper), close(o.work);
        attach_at(m, "/mnt/dst");
        OK(box_mount_table_read(0, &table, err));
        const box_mount_entry *e = box_mount_table_find_target(table, "/mnt/dst");
        cr_assert(e && strstr(e->fs_options, "volatile") && strstr(e->fs_options, "userxattr"), "%s",
                  e ? e->fs_options : "-");
        cr_assert_eq(e->attributes, BOX_MOUNT_ATTR_NOSUID);
    }
}

/* In a process of its own, where a failed assertion could not be told: the line is its exit status. */
#define OR_EXIT(condition)          \
    do {                            \
        if (!(condition))           \
            _exit(__LINE__ & 0x7f); \
    } while (0)

static void overlay_in_user_namespace(unsigned way)
{
    box_mount *m = NULL;
    int lower[2];

    OR_EXIT(mount("t", "/mnt", "tmpfs", 0, NULL) == 0);
    DIRS("/mnt/upper", "/mnt/work", "/mnt/dst");
    make_layers(2, lower);
    box_mount_overlay o = {.lower = lower,
                           .n_lower = 2,
                           .upper = path_fd("/mnt/upper"),
                           .work = path_fd("/mnt/work"),
                           .userxattr = true};
    int target = path_fd("/mnt/dst");
    OR_EXIT(box_mount_new_overlay(&o, way, &m, NULL) == 0);
    OR_EXIT(box_mount_attach(m, target, NULL) == 0);
    put("/mnt/dst/all", "new");
    OR_EXIT(unlink("/mnt/dst/own1") == 0);
    OR_EXIT(strcmp(get("/mnt/upper/all"), "new") == 0);
    box_mount_free(m);
}

Test(overlay, works_in_a_user_namespace)
{
    NEED_ROOT();
    int status;

    private_mounts("/mnt");
    pid_t pid = fork();
    if (pid == 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
            _exit(127);
        put("/proc/self/setgroups", "deny");
        put("/proc/self/uid_map", "0 0 1");
        put("/proc/self/gid_map", "0 0 1");
        overlay_in_user_namespace(0);
        overlay_in_user_namespace(BOX_MOUNT_OVERLAY_ONE_STRING);
        overlay_in_user_namespace(BOX_MOUNT_OLD_API);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        cr_skip_test("no user namespaces here");
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%#x", status);
}

Test(overlay, nonsense_is_refused)
{
    NEED_ROOT();
    box_mount *m = NULL;
    int dir = path_fd("/tmp"), file = path_fd("/etc/passwd");

    FAILS(BOX_ELIMIT, box_mount_new_overlay(&(box_mount_overlay){.upper = -1, .work = -1}, 0, &m, err));
    FAILS(BOX_ELIMIT,
          box_mount_new_overlay(&(box_mount_overlay){.n_lower = 501, .upper = -1, .work = -1}, 0, &m, err));
    FAILS(BOX_EINVAL,
          box_mount_new_overlay(&(box_mount_overlay){.lower = &dir, .n_lower = 1, .upper = dir, .work = -1},
                                0, &m, err));
    FAILS(BOX_EINVAL,
          box_mount_new_overlay(&(box_mount_overlay){.lower = &file, .n_lower = 1, .upper = -1, .work = -1},
                                0, &m, err));
    close(dir), close(file);
}
