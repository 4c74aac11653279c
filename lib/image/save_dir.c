/* An OCI image layout as a directory. Blobs come first, each under another name until it is whole, and index.json
 * last: whoever reads the directory, or is left with it after a kill, has the images that were there before, or all
 * of them. Savers to the same directory wait for each other. */
#include "image/save.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/strings.h"

#define OCI_LAYOUT "{\"imageLayoutVersion\":\"1.0.0\"}"
#define REF_NAME   "org.opencontainers.image.ref.name"

/* The directory's own lock: a file for it would be foreign in a layout. */
static int lock_dir(struct save *save, int dirfd, const char *path, box_error **err)
{
    int r = 0;

    while (r == 0 && flock(dirfd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return box_fail_sys(err, "flock", path, "cannot lock %s", path);
        box_deadline_sleep(save->watch.deadline, 20 * BOX_MS);
        r = box_watch_look(&save->watch, err);
    }
    return r;
}

struct to_file {
    struct save *save;
    int fd;
};

static int to_file(const void *data, size_t length, void *context, box_error **err)
{
    struct to_file *to = context;

    if (box_write_all(to->fd, data, length) < 0)
        return box_fail_sys(err, "write", NULL, "cannot write a blob");
    return box_watch_tick(&to->save->watch, length, err);
}

static int put_blob(struct save *save, const struct save_blob *blob, void *data, box_error **err)
{
    const int *dirfd = data;
    _file_new_ struct box_file_new file = BOX_FILE_NEW;
    char hex[BOX_DIGEST_TEXT];
    struct stat st;

    box_digest_hex(&blob->digest, hex);
    if (fstatat(*dirfd, hex, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == blob->size)
        return 0;
    int r = box_file_begin(&file, *dirfd, 0644, err);
    struct to_file to = {save, file.fd};
    if (r == 0)
        r = box_save_copy(save, blob, to_file, &to, err);
    return r < 0 ? r : box_file_commit(&file, hex, 0, err);
}

/* ---- index.json ---- */

static const char *ref_name(json_object *descriptor)
{
    json_object *notes = NULL, *name = NULL;

    if (json_object_object_get_ex(descriptor, "annotations", &notes) &&
        json_object_object_get_ex(notes, REF_NAME, &name))
        return json_object_get_string(name);
    return NULL;
}

static const char *digest_of(json_object *descriptor)
{
    json_object *digest = NULL;

    return json_object_object_get_ex(descriptor, "digest", &digest) ? json_object_get_string(digest) : "";
}

/* Whether one that was there gives way to a new one: of the same name, or without a name the same image. */
static bool gives_way(json_object *old, json_object *added)
{
    const char *name = ref_name(old);

    for (size_t i = 0; i < json_object_array_length(added); i++) {
        json_object *at = json_object_array_get_idx(added, i);
        if (box_streq(name, ref_name(at)) && (name || box_streq(digest_of(old), digest_of(at))))
            return true;
    }
    return false;
}

static int read_index(int dirfd, json_object **doc, json_object **manifests, box_error **err)
{
    _free_ char *text = NULL;
    size_t length = 0;
    box_error *why = NULL;
    int r = box_file_read(dirfd, "index.json", BOX_DOCUMENT_MAX, &text, &length, &why);

    if (r == BOX_ENOTFOUND) {
        box_error_free(why);
        *doc = json_object_new_object();
        if (!*doc || (r = box_json_put_u64(*doc, "schemaVersion", 2, err)) < 0)
            return *doc ? r : box_fail_nomem(err);
        return box_json_put_string(*doc, "mediaType", BOX_MEDIA_OCI_INDEX, err);
    }
    if (r < 0) {
        if (err)
            *err = why;
        else
            box_error_free(why);
        return r;
    }
    const struct box_json_limits limits = {.size = BOX_DOCUMENT_MAX, .depth = 64};
    *doc = box_json_parse(text, length, &limits, "index.json", err);
    if (!*doc || !json_object_is_type(*doc, json_type_object))
        return *doc ? box_fail(err, BOX_EPARSE, "index.json is no index") : BOX_EPARSE;
    if (json_object_object_get_ex(*doc, "manifests", manifests) && !json_object_is_type(*manifests, json_type_array))
        return box_fail(err, BOX_EPARSE, "index.json is no index");
    return 0;
}

static int write_index(struct save *save, int dirfd, box_error **err)
{
    _cleanup_(json_object) json_object *doc = NULL;
    json_object *before = NULL, *after = json_object_new_array();
    _cleanup_(json_object) json_object *added = json_object_new_array();
    _free_ char *text = NULL;
    int r = read_index(dirfd, &doc, &before, err);

    if (r == 0)
        r = box_save_describe(save, BOX_ARCHIVE_OCI_DIR, added, err);
    for (size_t i = 0; r == 0 && before && i < json_object_array_length(before); i++) {
        json_object *at = json_object_array_get_idx(before, i);
        if (!gives_way(at, added))
            r = box_json_append(after, json_object_get(at), err);
    }
    for (size_t i = 0; r == 0 && i < json_object_array_length(added); i++)
        r = box_json_append(after, json_object_get(json_object_array_get_idx(added, i)), err);
    if (r < 0) {
        json_object_put(after);
        return r;
    }
    r = box_json_put(doc, "manifests", after, err);
    if (r == 0)
        r = box_save_text(doc, &text, err);
    return r < 0 ? r : box_file_replace(dirfd, "index.json", text, strlen(text), 0644, 0, err);
}

/* A directory that holds something else is left alone. */
static int check_dir(int dirfd, const char *path, box_error **err)
{
    if (faccessat(dirfd, "oci-layout", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return 0;
    if (faccessat(dirfd, "index.json", F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
        faccessat(dirfd, "blobs", F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        /* cut short before its layout file was written, which comes last but one */
        return 0;
    }
    int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _closedir_ DIR *d = copy < 0 ? NULL : fdopendir(copy);
    if (!d) {
        box_cleanup_close(&copy);
        return box_fail_sys(err, "opendir", path, "cannot read %s", path);
    }
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            return box_fail_with(err, &(struct box_fail_info){.code = BOX_EEXISTS, .subject = path},
                                 "%s is a directory that holds something else than an image layout", path);
    return 0;
}

int box_save_dir(struct save *save, const char *path, box_error **err)
{
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return box_fail_sys(err, "mkdir", path, "cannot make the directory %s", path);
    _close_ int dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dirfd < 0)
        return box_fail_sys(err, "open", path, "cannot open the directory %s", path);
    int r = lock_dir(save, dirfd, path, err);
    if (r == 0)
        r = check_dir(dirfd, path, err);
    if (r < 0)
        return r;
    _close_ int blobs = box_dir_open(dirfd, "blobs/sha256", 0755, err);
    if (blobs < 0)
        return blobs;
    r = box_save_each_blob(save, put_blob, &blobs, err);
    if (r == 0)
        r = box_file_replace(dirfd, "oci-layout", OCI_LAYOUT, strlen(OCI_LAYOUT), 0644, 0, err);
    return r < 0 ? r : write_index(save, dirfd, err);
}
