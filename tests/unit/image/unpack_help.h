/* Unpacking an archive that a test has made, into a directory of its own beside which nothing may appear. */
#ifndef TEST_IMAGE_UNPACK_HELP_H
#define TEST_IMAGE_UNPACK_HELP_H

#include "../../lib/tarball.h"
#include "../base/scratch.h"

#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "image/erofs_image.h"
#include "image/unpack.h"
#include "unpack_mount.h"

/* With UNPACK_EROFS the layer becomes an image, which is mounted in the place of the directory; what an unprivileged
 * user unpacks is a directory even so. */
#ifdef UNPACK_EROFS
#define UNPACK_TEST(suite, ...)  Test(suite##_erofs, __VA_ARGS__)
#define UNPACK_SUITE(suite, ...) TestSuite(suite##_erofs, __VA_ARGS__)
static const bool as_image = true;
#else
#define UNPACK_TEST(suite, ...)  Test(suite, __VA_ARGS__)
#define UNPACK_SUITE(suite, ...) TestSuite(suite, __VA_ARGS__)
static const bool as_image = false;
#endif

static struct tarball tar;
static box_error *err;
static struct box_layer_record record;
static box_image_limits limits;
static bool unprivileged;
static uint64_t compressed; /* 0: as large as the archive */
static unsigned outs;
static char out[32]; /* the layer, below the scratch directory */
static int out_fd = -1;
static blkcnt_t image_blocks;

struct memory_source {
    struct box_source base;
    const char *data;
    size_t left, piece;
};

static inline int memory_read(struct box_source *base, const void **data, size_t *length, box_error **e)
{
    struct memory_source *m = (struct memory_source *)base;

    (void)e;
    *data = m->data;
    *length = m->left < m->piece ? m->left : m->piece;
    m->data += *length;
    m->left -= *length;
    return 0;
}

static inline void memory_free(struct box_source *base)
{
    (void)base;
}

static inline bool is_root(void)
{
    return geteuid() == 0;
}

static inline void unpack_init(void)
{
    if (as_image && !can_mount_images())
        cr_skip_test("no EROFS image can be mounted here");
    scratch_make();
    put_dir("outside");
    put_file("outside/secret", "secret");
}

static inline void unpack_fini(void)
{
    for (unsigned i = 0; as_image && i < outs; i++) {
        char layer[128];
        snprintf(layer, sizeof(layer), "%s/layer%u", scratch, i);
        umount2(layer, MNT_DETACH);
    }
    /* Nothing beside the layers, and nothing in what is outside but the one file, as it was. */
    cr_expect_str_eq(content_of("outside/secret"), "secret");
    char path[128];
    snprintf(path, sizeof(path), "%s/outside", scratch);
    cr_expect_eq(entries_in(path), 1u);
    cr_expect_eq(entries_in(scratch), 1u + outs);
    if (out_fd >= 0)
        close(out_fd);
    tarball_free(&tar);
    box_error_free(err);
    /* Some tests take rights away. */
    char command[160];
    snprintf(command, sizeof(command), "chmod -R u+rwx %s", scratch);
    if (system(command) != 0)
        cr_expect(false, "clean up");
    scratch_remove();
}

/* Puts a member, with the name at least. */
#define put(...) tarball_put(&tar, &(struct tarball_member){__VA_ARGS__})

/* Unpacks what was put, in a new directory. */
static inline int unpack_raw(void)
{
    struct memory_source memory = {
        {.read = memory_read, .free = memory_free}, tar.data, tar.length, 256u << 10};
    _cleanup_(box_source) box_source *source = box_source_digest(&memory.base, NULL);
    box_image_limits l = box_image_limits_or_default(&limits);
    struct box_unpack how = {.privileged = is_root() && !unprivileged,
                             .limits = &l,
                             .compressed = compressed ? compressed : tar.length,
                             .implicitfd = -1};

    snprintf(out, sizeof(out), "layer%u", outs++);
    put_dir(out);
    if (out_fd >= 0)
        close(out_fd);
    out_fd = openat(scratch_fd, out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    box_error_free(err);
    err = NULL;
    if (!as_image || !how.privileged)
        return box_unpack(source, out_fd, &how, &record, &err);
    _close_ int image = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    uint64_t data_end;
    int r = box_unpack_erofs(source, image, &how, &record, &data_end, &err);
    if (r < 0)
        return r;
    check_image(image);
    struct stat st;
    cr_assert_eq(fstat(image, &st), 0);
    image_blocks = st.st_blocks;
    close(out_fd);
    out_fd = mount_image_on(image, out);
    return 0;
}

static inline int unpack(void)
{
    tarball_end(&tar);
    return unpack_raw();
}

static inline void unpacks(void)
{
    cr_assert_eq(unpack(), 0, "%s", box_error_message(err));
}

/* It fails, says so, and names the entry. */
static inline void is_refused(int code, const char *entry, const char *says)
{
    int r = unpack();

    cr_assert_eq(r, code, "%s: %s", box_error_code_name(r), box_error_message(err));
    cr_assert_not_null(strstr(box_error_message(err), says), "%s", box_error_message(err));
    cr_assert_str_eq(box_error_subject(err), entry, "%s", box_error_message(err));
    tarball_free(&tar);
}

static inline struct stat stat_of(const char *path)
{
    struct stat st = {0};

    cr_assert_eq(fstatat(out_fd, path, &st, AT_SYMLINK_NOFOLLOW), 0, "%s is not there", path);
    return st;
}

static inline bool exists(const char *path)
{
    struct stat st;

    return fstatat(out_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline const char *text_of(const char *path)
{
    static char whole[256];

    snprintf(whole, sizeof(whole), "%s/%s", out, path);
    return content_of(whole);
}

static inline const char *target_of(const char *path)
{
    static char target[4096];
    ssize_t n = readlinkat(out_fd, path, target, sizeof(target) - 1);

    target[n > 0 ? n : 0] = '\0';
    return target;
}

static inline bool is_whiteout(const char *path)
{
    struct stat st = stat_of(path);

    return S_ISCHR(st.st_mode) && st.st_rdev == 0;
}

static inline bool is_opaque(const char *path)
{
    char whole[256], value = 0;

    snprintf(whole, sizeof(whole), "%s/%s/%s", scratch, out, path);
    bool user = lgetxattr(whole, "user.overlay.opaque", &value, 1) == 1 && value == 'y';
    if (!is_root() || unprivileged)
        return user;
    /* The container would see the other one, and copy it up. */
    return lgetxattr(whole, "trusted.overlay.opaque", &value, 1) == 1 && value == 'y' && !user;
}

#endif
