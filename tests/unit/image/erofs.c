/* EROFS images: the same archive as a tree and as an image must be the same to whoever looks; the same bytes each time;
 * damage is found; what a layer inherits is put into it. */
#include "unpack_help.h"

#include "image/erofs_format.h"

TestSuite(erofs, .init = unpack_init, .fini = unpack_fini);

static int image_fd = -1;
static uint64_t data_end;

static int write_image(void)
{
    struct memory_source memory = {{.read = memory_read, .free = memory_free}, tar.data, tar.length, 100000};
    _cleanup_(box_source) box_source *source = box_source_digest(&memory.base, NULL);
    box_image_limits l = box_image_limits_or_default(&limits);
    char implicit[128];

    snprintf(implicit, sizeof(implicit), "/tmp/libbox-test-implicit-%d", getpid());
    _close_ int implicitfd = open(implicit, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    unlink(implicit);
    struct box_unpack how = {
        .privileged = true, .limits = &l, .compressed = tar.length, .implicitfd = implicitfd};
    if (image_fd >= 0)
        close(image_fd);
    image_fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    cr_assert_geq(image_fd, 0);
    return box_unpack_erofs(source, image_fd, &how, &record, &data_end, &err);
}

static void needs_images(void)
{
    if (!can_mount_images())
        cr_skip_test("no EROFS image can be mounted here");
}

/* ---- Two trees, held against each other ---- */

static unsigned compared;

static size_t read_link(int dir, const char *name, char *target, size_t size)
{
    ssize_t n = readlinkat(dir, name, target, size);

    cr_assert_geq(n, 0);
    return (size_t)n;
}

static void same_xattrs(int one, int two, const char *name)
{
    static char names[2][65536], values[2][65536];
    char paths[2][64];
    ssize_t sizes[2];

    snprintf(paths[0], sizeof(paths[0]), "/proc/self/fd/%d", one);
    snprintf(paths[1], sizeof(paths[1]), "/proc/self/fd/%d", two);
    sizes[0] = listxattr(paths[0], names[0], sizeof(names[0]));
    sizes[1] = listxattr(paths[1], names[1], sizeof(names[1]));
    cr_assert_eq(sizes[0], sizes[1], "%s: attributes of %zd and %zd bytes", name, sizes[0], sizes[1]);
    for (char *at = names[0]; sizes[0] > 0 && at < names[0] + sizes[0]; at += strlen(at) + 1) {
        ssize_t a = getxattr(paths[0], at, values[0], sizeof(values[0]));
        ssize_t b = getxattr(paths[1], at, values[1], sizeof(values[1]));
        cr_assert(a >= 0 && a == b && memcmp(values[0], values[1], (size_t)a) == 0, "%s: %s", name, at);
    }
}

static void same_content(int one, int two, const char *name)
{
    static char a[1 << 16], b[1 << 16];

    for (;;) {
        ssize_t n = box_read_all(one, a, sizeof(a)), m = box_read_all(two, b, sizeof(b));
        cr_assert(n >= 0 && n == m && memcmp(a, b, (size_t)n) == 0, "the content of %s", name);
        if (n == 0)
            return;
    }
}

static void same(int one, int two, const char *name);

static void same_below(int one, int two)
{
    int copy = openat(one, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fdopendir(copy);
    char path[64];

    cr_assert_not_null(dir);
    for (struct dirent *e = readdir(dir); e; e = readdir(dir))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            same(one, two, e->d_name);
    closedir(dir);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", one);
    unsigned here = entries_in(path);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", two);
    cr_assert_eq(entries_in(path), here);
}

static void same(int one_dir, int two_dir, const char *name)
{
    struct stat a, b;

    cr_assert_eq(fstatat(one_dir, name, &a, AT_SYMLINK_NOFOLLOW), 0, "%s", name);
    cr_assert_eq(fstatat(two_dir, name, &b, AT_SYMLINK_NOFOLLOW), 0, "%s is not in the image", name);
    compared++;
    cr_assert_eq(a.st_mode, b.st_mode, "%s: mode %o and %o", name, a.st_mode, b.st_mode);
    cr_assert(a.st_uid == b.st_uid && a.st_gid == b.st_gid, "%s: owner", name);
    bool whiteout = S_ISCHR(a.st_mode) && a.st_rdev == 0; /* which has the time of its making */
    cr_assert(whiteout || (a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec), "%s: time", name);
    cr_assert_eq(a.st_nlink, b.st_nlink, "%s: %lu links and %lu", name, (unsigned long)a.st_nlink,
                 (unsigned long)b.st_nlink);
    if (!S_ISDIR(a.st_mode))
        cr_assert(a.st_size == b.st_size && a.st_rdev == b.st_rdev, "%s: size or device", name);
    if (S_ISLNK(a.st_mode)) {
        char x[4096], y[4096];
        size_t n = read_link(one_dir, name, x, sizeof(x)), m = read_link(two_dir, name, y, sizeof(y));
        cr_assert(n == m && memcmp(x, y, n) == 0, "%s: target", name);
    }
    if (!S_ISREG(a.st_mode) && !S_ISDIR(a.st_mode))
        return;
    _close_ int one = openat(one_dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    _close_ int two = openat(two_dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    same_xattrs(one, two, name);
    if (S_ISREG(a.st_mode))
        same_content(one, two, name);
    else
        same_below(one, two);
}

/* Both ways, from the archive as it is; the tree's own directory gets the time that the image's has. */
static void is_the_same_both_ways(void)
{
    cr_assert_eq(unpack_raw(), 0, "%s", box_error_message(err)); /* as a tree: this file has no UNPACK_EROFS */
    struct box_layer_record as_tree = record;
    cr_assert_eq(write_image(), 0, "%s", box_error_message(err));
    cr_assert_eq(as_tree.entries, record.entries);
    cr_assert_eq(as_tree.bytes, record.bytes);
    cr_assert_eq(as_tree.opaque, record.opaque);
    check_image(image_fd);
    put_dir("image");
    _close_ int mounted = mount_image_on(image_fd, "image");
    same(out_fd, mounted, ".");
    char path[128];
    snprintf(path, sizeof(path), "%s/image", scratch);
    cr_assert_eq(umount2(path, MNT_DETACH), 0);
    cr_assert_eq(rmdir(path), 0);
}

static char *noise(size_t n)
{
    static char text[5 << 20];
    unsigned state = (unsigned)n + 1;

    cr_assert_leq(n, sizeof(text));
    for (size_t i = 0; i < n; i++)
        text[i] = (char)((state = state * 1103515245u + 12345u) >> 16);
    return text;
}

Test(erofs, files_of_any_size_are_the_same)
{
    static const size_t sizes[] = {0,    1,    2047, 2048, 2049,  4095,  4096,    4097,         6143,
                                   6144, 6145, 8191, 8192, 10240, 99999, 1 << 20, (1 << 20) + 1, (4 << 20) + 777};
    char name[32];

    needs_images();
    put("d/", .type = '5', .mode = 0700, .mtime = 77);
    for (size_t i = 0; i < BOX_ARRAY(sizes); i++) {
        snprintf(name, sizeof(name), "d/%zu", sizes[i]);
        put(name, .data = noise(sizes[i]), .size = sizes[i], .uid = 1000 + (unsigned)i, .gid = 100000, .mtime = 5);
    }
    put("d/", .type = '5', .mode = 0700, .mtime = 77);
    tarball_end(&tar);
    is_the_same_both_ways();
    cr_assert_eq(compared, BOX_ARRAY(sizes) + 2);
}

Test(erofs, directories_of_any_size_are_the_same)
{
    char name[300];

    needs_images();
    put("many/", .type = '5');
    put("many/!before-the-dots", .data = "x", .size = 1);
    put("many/..more", .data = "x", .size = 1);
    for (unsigned i = 0; i < 2000; i++) {
        snprintf(name, sizeof(name), "many/%0*u", (int)(1 + i * 7919 % 90), i);
        put(name, .data = &i, .size = sizeof(i), .mode = 0600);
    }
    put("long/", .type = '5');
    for (unsigned i = 0; i < 40; i++) {
        char pax[400], whole[270];
        snprintf(whole, sizeof(whole), "long/%0255u", i);
        size_t n = tarball_record(pax, sizeof(pax), "path", whole, strlen(whole));
        put("x", .data = "y", .size = 1, .pax = pax, .pax_length = n);
    }
    for (unsigned i = 0; i < 30; i++) {
        snprintf(name, sizeof(name), "deep%.*s/", (int)(2 * i), "/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a");
        put(name, .type = '5', .mtime = i);
    }
    put("many/", .type = '5');
    put("long/", .type = '5');
    tarball_end(&tar);
    is_the_same_both_ways();
    cr_assert_gt(compared, 2000u + 40 + 30);
}

Test(erofs, more_small_files_than_are_kept_in_memory_are_the_same)
{
    char name[64];

    needs_images();
    put("d/", .type = '5');
    for (unsigned i = 0; i < 9000; i++) {
        snprintf(name, sizeof(name), "d/%u", i);
        put(name, .data = noise(i % 100), .size = i % 100);
        snprintf(name, sizeof(name), "d/large%u", i);
        if (i % 2 == 0)
            put(name, .data = noise(4000 + i % 1000), .size = 4096 + 2000);
    }
    put("d/", .type = '5');
    tarball_end(&tar);
    is_the_same_both_ways();
}

Test(erofs, links_nodes_marks_and_attributes_are_the_same)
{
    static char pax[70000], target[4096], value[3000];
    static const unsigned char capability[20] = {0x01, 0, 0, 2, 0xff};
    size_t n = 0;

    needs_images();
    memset(value, 'v', sizeof(value));
    put("usr/lib/", .type = '5', .mode = 0755, .mtime = 3);
    put("lib", .type = '2', .link = "usr/lib");
    put("lib/through-a-link", .data = "x", .size = 1);
    put("usr/lib/name", .data = "twice", .size = 5);
    put("other", .type = '1', .link = "/lib/name");
    put("third", .type = '1', .link = "other");
    put("link-to-link", .type = '1', .link = "lib");
    put("gone", .data = "old", .size = 3);
    put("gone", .data = "new", .size = 3, .mtime = 9);
    put("tty", .type = '3', .major = 5, .minor = 0, .mode = 0666);
    put("disk", .type = '4', .major = 259, .minor = 70000 & 0x3ffff, .mode = 0660, .gid = 6);
    put("pipe", .type = '6', .mode = 0600);
    put(".wh.hidden", .size = 0);
    put("usr/share/", .type = '5');
    put("usr/share/.wh..wh..opq", .size = 0);
    put("usr/.wh.share", .size = 0);
    put("late/", .type = '5');
    n += tarball_record(pax + n, sizeof(pax) - n, "SCHILY.xattr.user.one", "1", 1);
    n += tarball_record(pax + n, sizeof(pax) - n, "SCHILY.xattr.user.empty", "", 0);
    n += tarball_record(pax + n, sizeof(pax) - n, "SCHILY.xattr.user.large", value, sizeof(value));
    n += tarball_record(pax + n, sizeof(pax) - n, "SCHILY.xattr.security.capability", (const char *)capability,
                        sizeof(capability));
    n += tarball_record(pax + n, sizeof(pax) - n, "mtime", "1234567890.123456789", 20);
    put("usr/bin/", .type = '5');
    put("usr/bin/ping", .data = noise(7000), .size = 7000, .mode = 04755, .pax = pax, .pax_length = n);
    put("usr/", .type = '5', .mtime = 1);
    n = tarball_record(pax, sizeof(pax), "SCHILY.xattr.user.dir", "d", 1);
    put("late/", .type = '5', .mode = 01777, .pax = pax, .pax_length = n);
    for (size_t length = 2046; length < 4096; length += 1024) {
        memset(target, 't', length);
        target[length] = '\0';
        snprintf(value, sizeof(value), "link%zu", length);
        n = tarball_record(pax, sizeof(pax), "linkpath", target, length);
        put(value, .type = '2', .link = "x", .pax = pax, .pax_length = n);
    }
    tarball_end(&tar);
    is_the_same_both_ways();
}

/* ---- The bytes ---- */

static void put_some(void)
{
    put("etc/", .type = '5');
    put("etc/b", .data = noise(5000), .size = 5000);
    put("etc/a", .data = noise(100), .size = 100);
    put("big", .data = noise(3 << 20), .size = 3 << 20);
    put("srv/file", .data = "x", .size = 1);
    tarball_end(&tar);
}

Test(erofs, the_same_archive_gives_the_same_image)
{
    struct box_digest first, second;

    put_some();
    cr_assert_eq(write_image(), 0, "%s", box_error_message(err));
    lseek(image_fd, 0, SEEK_SET);
    cr_assert_eq(box_digest_fd(BOX_SHA256, image_fd, &first, NULL, NULL), 0);
    cr_assert_eq(write_image(), 0);
    lseek(image_fd, 0, SEEK_SET);
    cr_assert_eq(box_digest_fd(BOX_SHA256, image_fd, &second, NULL, NULL), 0);
    cr_assert(box_digest_equal(&first, &second));
}

static void flip(off_t at)
{
    char c;

    cr_assert_eq(pread(image_fd, &c, 1, at), 1);
    c ^= 4;
    cr_assert_eq(pwrite(image_fd, &c, 1, at), 1);
}

Test(erofs, a_digest_tells_of_every_change)
{
    struct box_digest right, other;
    struct stat st;

    put_some();
    cr_assert_eq(write_image(), 0);
    cr_assert_eq(box_erofs_digest(image_fd, data_end, true, &right, &err), 0, "%s", box_error_message(err));
    const off_t data[] = {4096, 70000, (1 << 20) + 5, (2 << 20) - 1, (off_t)data_end - 1};
    for (size_t i = 0; i < BOX_ARRAY(data); i++) {
        flip(data[i]);
        cr_assert_eq(box_erofs_digest(image_fd, data_end, true, &other, NULL), BOX_EDIGEST, "%lld", (long long)data[i]);
        cr_assert_eq(box_erofs_digest(image_fd, data_end, false, &other, NULL), 0);
        cr_assert(box_digest_equal(&right, &other), "the quick one does not read the data");
        flip(data[i]);
    }
    fstat(image_fd, &st);
    const off_t rest[] = {1030, (off_t)data_end + 2, (off_t)data_end + 5000, st.st_size - 1};
    for (size_t i = 0; i < BOX_ARRAY(rest); i++) {
        flip(rest[i]);
        int r = box_erofs_digest(image_fd, data_end, true, &other, NULL);
        cr_assert(r < 0 || !box_digest_equal(&right, &other), "%lld", (long long)rest[i]);
        flip(rest[i]);
    }
    cr_assert_eq(ftruncate(image_fd, (off_t)data_end), 0);
    cr_assert_lt(box_erofs_digest(image_fd, data_end, true, &other, NULL), 0);
    cr_assert_eq(box_erofs_digest(image_fd, data_end + 1, true, &other, NULL), BOX_ECORRUPT);
}

Test(erofs, checksums_are_those_of_castagnoli_with_and_without_the_instruction)
{
    const char *text = noise(3000);

    cr_assert_eq(box_crc32c(~0u, "123456789", 9) ^ ~0u, 0xe3069283u);
    for (size_t n = 0; n < 3000; n = n * 2 + 1)
        cr_assert_eq(box_crc32c(~0u, text + n % 7, n - n % 7), box_crc32c_table(~0u, text + n % 7, n - n % 7));
}

/* ---- Inheriting ---- */

Test(erofs, a_directory_that_is_not_listed_takes_what_it_is_given)
{
    struct erofs_tree *tree = box_erofs_tree_new(1 << 20, NULL);
    struct erofs_inode *from = box_erofs_tree_root(tree);
    _free_ char *large = calloc(1, 5000);
    char name[16];

    needs_images();
    put("a/b/file", .data = "x", .size = 1);
    put("c/.wh..wh..opq", .size = 0);
    put("c/file", .data = "x", .size = 1);
    tarball_end(&tar);
    cr_assert_eq(write_image(), 0);
    for (int i = 0; i < EROFS_INHERIT_MAX - 1; i++) {
        snprintf(name, sizeof(name), "x%d", i);
        cr_assert(box_erofs_set_xattr(tree, from, XATTR_USER, name, name, strlen(name)));
    }
    cr_assert(box_erofs_set_xattr(tree, from, XATTR_USER, "large", large, 5000));
    const struct erofs_attributes all = {01777, 12, 70000, {-5, 7}, from->xattrs}, few = {0700, 1, 2, {9, 0}, NULL};

    put_dir("before");
    int before = mount_image_on(image_fd, "before");
    struct stat a, b, c;
    cr_assert(fstatat(before, "a", &a, 0) == 0 && fstatat(before, "a/b", &b, 0) == 0 && fstatat(before, "c", &c, 0) == 0);
    close(before);
    char path[128];
    snprintf(path, sizeof(path), "%s/before", scratch);
    cr_assert_eq(umount2(path, MNT_DETACH), 0);
    rmdir(path);

    cr_assert_eq(box_erofs_inherit(image_fd, a.st_ino, &few, &err), 0, "%s", box_error_message(err));
    cr_assert_eq(box_erofs_inherit(image_fd, b.st_ino, &all, &err), 0, "%s", box_error_message(err));
    cr_assert_eq(box_erofs_inherit(image_fd, c.st_ino, &all, &err), 0, "%s", box_error_message(err));
    cr_assert(box_erofs_set_xattr(tree, from, XATTR_USER, "toomany", "1", 1));
    const struct erofs_attributes many = {0, 0, 0, {0, 0}, from->xattrs};
    cr_assert_eq(box_erofs_inherit(image_fd, a.st_ino, &many, NULL), BOX_ELIMIT);
    check_image(image_fd);
    put_dir("after");
    int after = mount_image_on(image_fd, "after");
    cr_assert_eq(fstatat(after, "a", &a, 0), 0);
    cr_assert_eq(a.st_mode, S_IFDIR | 0700);
    cr_assert(a.st_uid == 1 && a.st_gid == 2 && a.st_mtim.tv_sec == 9);
    cr_assert_eq(fstatat(after, "a/b", &b, 0), 0);
    cr_assert_eq(b.st_mode, S_IFDIR | 01777);
    cr_assert(b.st_gid == 70000 && b.st_mtim.tv_sec == -5 && b.st_mtim.tv_nsec == 7);
    for (int i = 0; i < 2; i++) {
        _close_ int fd = openat(after, i ? "c" : "a/b", O_RDONLY | O_CLOEXEC);
        char value[8000];
        cr_assert_eq(fgetxattr(fd, "user.x0", value, sizeof(value)), 2);
        cr_assert_eq(fgetxattr(fd, "user.x107", value, sizeof(value)), 4);
        cr_assert_eq(fgetxattr(fd, "user.large", value, sizeof(value)), 5000);
        cr_assert_eq(fgetxattr(fd, "trusted.overlay.opaque", value, sizeof(value)), i ? 1 : -1);
        _close_ int file = openat(fd, "file", O_RDONLY | O_CLOEXEC);
        cr_assert_eq(read(file, value, 8), 1);
    }
    close(after);
    snprintf(path, sizeof(path), "%s/after", scratch);
    cr_assert_eq(umount2(path, MNT_DETACH), 0);
    rmdir(path);
    box_erofs_tree_free(tree);
}

/* ---- The tree in memory ---- */

Test(erofs, a_tree_has_no_more_memory_than_it_is_given)
{
    struct erofs_tree *tree = box_erofs_tree_new(1 << 20, NULL);
    struct erofs_inode *root = box_erofs_tree_root(tree);
    char name[32];
    unsigned n = 0;

    for (; n < 100000; n++) {
        snprintf(name, sizeof(name), "%u", n);
        if (!box_erofs_add(tree, root, name, S_IFREG))
            break;
    }
    cr_assert(n > 2000 && n < 10000, "%u", n);
    cr_assert(box_erofs_tree_full(tree));
    cr_assert_not_null(box_erofs_find(tree, root, "1999", 4));
    cr_assert_eq(box_erofs_remove(tree, box_erofs_find(tree, root, "1999", 4)), 1u);
    cr_assert_null(box_erofs_find(tree, root, "1999", 4));
    box_erofs_tree_free(tree);
}

/* ---- Mounting ---- */

Test(erofs, an_image_can_be_mounted_through_a_loop_device)
{
    needs_images();
    put_some();
    cr_assert_eq(write_image(), 0);
    int fd = box_mount_image_by_loop(image_fd, &err);
    if (fd < 0 && (box_error_errno(err) == ENOENT || box_error_errno(err) == EPERM))
        cr_skip_test("no loop device can be had");
    cr_assert_geq(fd, 0, "%s", box_error_message(err));
    struct stat st;
    cr_assert_eq(fstatat(fd, "etc/b", &st, 0), 0);
    cr_assert_eq(st.st_size, 5000);
    close(fd);
}

Test(erofs, what_is_no_image_is_an_error)
{
    needs_images();
    image_fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    cr_assert_eq(ftruncate(image_fd, 1 << 20), 0);
    cr_assert_lt(box_mount_image(image_fd, &err), 0);
    cr_assert_neq(box_error_message(err)[0], '\0');
    cr_assert_eq(box_erofs_set_uuid(image_fd, &(struct box_digest){.algorithm = BOX_SHA256}, NULL), BOX_ECORRUPT);
}
