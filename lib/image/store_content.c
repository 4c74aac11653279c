/* Blobs and layers on disk.
 *
 * A layer is unpacked in a workplace and renamed into place, so that who sees it sees all of it. That holds
 * against a kill; against a power cut the files must be synced as well, and syncing a file system for every
 * layer would cost more than unpacking it. So a layer is first visible without the file `durable`, and
 * carries the boot's id: while the machine is up the page cache has its content, and anyone may use it.
 * Before an image that needs it gets a name, box_store_make_durable() syncs everything at once and then adds
 * the file. A layer without it from an earlier boot may have holes: nothing refers to it, and it is unpacked
 * anew. */
#include "image/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/strings.h"
#include "image/store_blob.h"

#define BLOB_MAX    (64u << 20)
#define RECORD      "layer.json"
#define RECORD_MAX  4096
#define DURABLE     "durable"
#define LOCK_SUFFIX ".lock"

/* ---- Blobs ---- */

static int read_document(int dirfd, const char *name, const struct box_digest *digest, char **data, size_t *length,
                         box_error **err)
{
    _free_ char *content = NULL;
    struct box_digest found;
    size_t n = 0;
    int r = box_file_read(dirfd, name, BLOB_MAX, &content, &n, err);

    if (r == 0)
        r = box_digest_data(digest->algorithm, content, n, &found, err);
    if (r == 0)
        r = box_digest_check(digest, &found, "blob", err);
    if (r < 0)
        return box_fail_wrap(err, r, "blob %s", name);
    *data = box_take(content);
    *length = n;
    return 0;
}

int box_store_read_blob(const box_store *store, const struct box_digest *digest, char **data, size_t *length,
                        box_error **err)
{
    char hex[BOX_DIGEST_TEXT], whole[BOX_DIGEST_TEXT + 64];

    /* A config that was fetched a moment ago is where blobs are before they are synced. */
    snprintf(whole, sizeof(whole), "%s+%s", box_digest_hex(digest, hex), store->boot);
    if (store->boot[0] && store->partialfd >= 0 &&
        faccessat(store->partialfd, whole, F_OK, AT_SYMLINK_NOFOLLOW) == 0 &&
        read_document(store->partialfd, whole, digest, data, length, NULL) == 0)
        return 0;
    return read_document(store->blobsfd, hex, digest, data, length, err);
}

int box_store_stage_blob(struct box_store_work *work, const struct box_digest *digest, const void *data,
                         size_t length, bool late, box_error **err)
{
    char hex[BOX_DIGEST_TEXT];

    box_digest_hex(digest, hex);
    return box_file_replace(work->fd, hex, data, length, 0600, late ? BOX_FILE_NO_SYNC : 0, err);
}

static bool reads_right(const box_store *store, const struct box_digest *digest)
{
    char hex[BOX_DIGEST_TEXT];
    _free_ char *data = NULL;
    size_t length;

    return read_document(store->blobsfd, box_digest_hex(digest, hex), digest, &data, &length, NULL) == 0;
}

int box_store_publish_blob(struct box_store_work *work, const struct box_digest *digest, bool late, box_error **err)
{
    char hex[BOX_DIGEST_TEXT];

    /* One that is there may be synced, which this one is not. */
    if (late && reads_right(work->store, digest))
        return 0;
    box_digest_hex(digest, hex);
    if (renameat(work->fd, hex, work->store->blobsfd, hex) < 0)
        return box_fail_sys(err, "rename", hex, "cannot put a blob into the store");
    return late ? 0 : box_dir_sync(work->store->blobsfd, err);
}

/* ---- Names of layers ---- */

int box_layer_chain(const struct box_digest *parent, const struct box_digest *diff_id,
                    struct box_digest *chain, box_error **err)
{
    char text[2 * BOX_DIGEST_TEXT + 1], above[BOX_DIGEST_TEXT], diff[BOX_DIGEST_TEXT];

    if (!parent->algorithm) {
        *chain = *diff_id;
        return 0;
    }
    snprintf(text, sizeof(text), "%s %s", box_digest_format(parent, above), box_digest_format(diff_id, diff));
    return box_digest_data(BOX_SHA256, text, strlen(text), chain, err);
}

int box_layer_ids(const struct box_digest *diff_ids, size_t n, struct box_layer_id **out, box_error **err)
{
    _free_ struct box_layer_id *ids = calloc(n ? n : 1, sizeof(*ids));

    if (!ids)
        return box_fail_nomem(err);
    for (size_t i = 0; i < n; i++) {
        ids[i].diff_id = diff_ids[i];
        int r = i ? box_layer_chain(&ids[i - 1].parent, &ids[i - 1].diff_id, &ids[i].parent, err) : 0;
        if (r < 0)
            return r;
    }
    *out = box_take(ids);
    return 0;
}

bool box_layer_id_equal(const struct box_layer_id *a, const struct box_layer_id *b)
{
    if (!box_digest_equal(&a->diff_id, &b->diff_id) || !a->parent.algorithm != !b->parent.algorithm)
        return false;
    return !a->parent.algorithm || box_digest_equal(&a->parent, &b->parent);
}

char *box_layer_name(const struct box_layer_id *id, bool inherits, char out[BOX_LAYER_NAME])
{
    char diff[BOX_DIGEST_TEXT], parent[BOX_DIGEST_TEXT] = "0000000000000000";

    box_digest_hex(&id->diff_id, diff);
    if (id->parent.algorithm)
        box_digest_hex(&id->parent, parent);
    if (inherits)
        snprintf(out, BOX_LAYER_NAME, "%.64s-%.16s", diff, parent);
    else
        snprintf(out, BOX_LAYER_NAME, "%.64s", diff);
    return out;
}

bool box_layer_name_parse(const char *name, struct box_digest *diff_id)
{
    char text[BOX_DIGEST_TEXT];
    struct box_digest own;
    size_t n = strlen(name);

    if (n != 64 && (n != 64 + 1 + 16 || name[64] != '-' || strspn(name + 65, "0123456789abcdef") != 16))
        return false;
    snprintf(text, sizeof(text), "sha256:%.64s", name);
    return box_digest_parse(text, diff_id ? diff_id : &own, NULL) == 0;
}

/* ---- Layers ---- */

/* "image": that the layer is one, and what it must be. */
static int parse_image(const struct box_json_at *root, struct box_layer_record *record, box_error **err)
{
    const char *digest = NULL;
    int r = box_json_get_string(root, "image", BOX_JSON_OPTIONAL, &digest, err);

    if (r < 0 || !digest)
        return r;
    record->image = true;
    r = box_digest_parse(digest, &record->digest, err);
    return r < 0 ? r : box_json_get_u64(root, "dataEnd", BOX_JSON_REQUIRED, 0, INT64_MAX, &record->data_end, err);
}

static int parse_record(const char *text, size_t length, struct box_layer_record *record, char boot[40],
                        box_error **err)
{
    _cleanup_(json_object) json_object *doc = box_json_parse(text, length, &BOX_JSON_DEFAULT, RECORD, err);
    struct box_json_at root = BOX_JSON_ROOT(doc);
    const char *id = "";
    int r;

    if (!doc)
        return err && *err ? box_error_code(*err) : BOX_EPARSE;
    *record = (struct box_layer_record){0};
    r = box_json_get_u64(&root, "bytes", BOX_JSON_REQUIRED, 0, INT64_MAX, &record->bytes, err);
    if (r == 0)
        r = box_json_get_u64(&root, "entries", BOX_JSON_REQUIRED, 0, INT64_MAX, &record->entries, err);
    if (r == 0)
        r = box_json_get_bool(&root, "opaque", BOX_JSON_OPTIONAL, &record->opaque, err);
    if (r == 0)
        r = box_json_get_string(&root, "boot", BOX_JSON_REQUIRED, &id, err);
    if (r == 0)
        r = parse_image(&root, record, err);
    if (r == 0)
        snprintf(boot, 40, "%s", id);
    return r;
}

/* A layer that cannot be read is not there: it will be made anew, and whoever holds it open keeps what it
 * has. */
int box_store_look_at_layer(const box_store *store, const char *name, struct box_layer_record *record,
                            box_error **err)
{
    struct box_layer_record own;
    _free_ char *text = NULL;
    char boot[40] = "";
    size_t length = 0;
    _close_ int fd = openat(store->layersfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0)
        return box_fail_sys(err, "open", name, "cannot open a layer of the store");
    bool durable = faccessat(fd, DURABLE, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    if (box_file_read(fd, RECORD, RECORD_MAX, &text, &length, NULL) < 0 ||
        parse_record(text, length, record ? record : &own, boot, NULL) < 0)
        return 0;
    return durable || (boot[0] && strcmp(boot, store->boot) == 0);
}

int box_store_find_layer(const box_store *store, const struct box_layer_id *id, char name[BOX_LAYER_NAME],
                         struct box_layer_record *record, box_error **err)
{
    char own[BOX_LAYER_NAME];

    name = name ? name : own;
    int r = box_store_look_at_layer(store, box_layer_name(id, true, name), record, err);
    return r ? r : box_store_look_at_layer(store, box_layer_name(id, false, name), record, err);
}

static void lock_name(const struct box_digest *diff_id, char out[BOX_DIGEST_TEXT + sizeof(LOCK_SUFFIX)])
{
    char hex[BOX_DIGEST_TEXT];

    snprintf(out, BOX_DIGEST_TEXT + sizeof(LOCK_SUFFIX), "%s" LOCK_SUFFIX, box_digest_hex(diff_id, hex));
}

int box_store_lock_layer(const box_store *store, const struct box_digest *diff_id,
                         struct box_deadline deadline, box_error **err)
{
    char name[BOX_DIGEST_TEXT + sizeof(LOCK_SUFFIX)];

    lock_name(diff_id, name);
    return box_lock_take(store->layersfd, name, BOX_LOCK_EXCLUSIVE, deadline, err);
}

void box_store_unlock_layer(const box_store *store, const struct box_digest *diff_id, int fd)
{
    char name[BOX_DIGEST_TEXT + sizeof(LOCK_SUFFIX)];

    lock_name(diff_id, name);
    box_lock_remove(store->layersfd, name, fd);
}

static int write_record(int dirfd, const box_store *store, const struct box_layer_record *record,
                        box_error **err)
{
    char digest[BOX_DIGEST_TEXT], image[BOX_DIGEST_TEXT + 64] = "";

    if (record->image)
        snprintf(image, sizeof(image), ",\"image\":\"%s\",\"dataEnd\":%llu",
                 box_digest_format(&record->digest, digest), (unsigned long long)record->data_end);
    _free_ char *text = box_strf("{\"bytes\":%llu,\"entries\":%llu,\"opaque\":%s,\"boot\":\"%s\"%s}\n",
                                 (unsigned long long)record->bytes, (unsigned long long)record->entries,
                                 record->opaque ? "true" : "false", store->boot, image);

    if (!text)
        return box_fail_nomem(err);
    return box_file_replace(dirfd, RECORD, text, strlen(text), 0600, BOX_FILE_NO_SYNC, err);
}

static int open_in_work(struct box_store_work *work, const char *from, box_error **err)
{
    int fd = openat(work->fd, from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 ? box_fail_sys(err, "open", from, "cannot open an unpacked layer") : fd;
}

int box_store_write_record(struct box_store_work *work, const char *from,
                           const struct box_layer_record *record, box_error **err)
{
    _close_ int fd = open_in_work(work, from, err);

    return fd < 0 ? fd : write_record(fd, work->store, record, err);
}

int box_store_read_record(struct box_store_work *work, const char *from, struct box_layer_record *record,
                          box_error **err)
{
    _close_ int fd = open_in_work(work, from, err);
    _free_ char *text = NULL;
    char boot[40];
    size_t length = 0;
    int r = fd < 0 ? fd : box_file_read(fd, RECORD, RECORD_MAX, &text, &length, err);

    return r < 0 ? r : parse_record(text, length, record, boot, err);
}

/* Who cannot tell which boot this is cannot say until when a layer may be used that was not synced. */
static int sync_now(struct box_store_work *work, const char *from, box_error **err)
{
    _close_ int dirfd = open_in_work(work, from, err);

    if (dirfd < 0)
        return dirfd;
    if (syncfs(dirfd) < 0)
        return box_fail_sys(err, "syncfs", from, "cannot write a layer to disk");
    _close_ int fd = openat(dirfd, DURABLE, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    return fd < 0 ? box_fail_sys(err, "open", from, "cannot mark a layer as synced") : 0;
}

int box_store_publish_layer(struct box_store_work *work, const char *from, const char *name,
                            const struct box_layer_record *record, box_error **err)
{
    const box_store *store = work->store;
    char stale[BOX_LAYER_NAME + sizeof(".stale")];
    int r = box_store_write_record(work, from, record, err);

    if (r == 0 && !store->boot[0])
        r = sync_now(work, from, err);
    if (r < 0)
        return r;
    /* What an earlier boot left unsynced, or what is damaged, goes out of the way. */
    snprintf(stale, sizeof(stale), "%s.stale", name);
    if (renameat(store->layersfd, name, work->fd, stale) < 0 && errno != ENOENT)
        return box_fail_sys(err, "rename", name, "cannot take a damaged layer out of the store");
    if (renameat(work->fd, from, store->layersfd, name) < 0)
        return box_fail_sys(err, "rename", name, "cannot put a layer into the store");
    return store->boot[0] ? 0 : box_dir_sync(store->layersfd, err);
}

bool box_store_layer_is_marked(const box_store *store, const char *name)
{
    char path[BOX_LAYER_NAME + sizeof("/" DURABLE)];

    snprintf(path, sizeof(path), "%.*s/" DURABLE, BOX_LAYER_NAME - 1, name);
    return faccessat(store->layersfd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int box_store_mark_layer(const box_store *store, const char *name, ino_t ino, box_error **err)
{
    _close_ int dirfd = openat(store->layersfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    if (ino && (dirfd < 0 || fstat(dirfd, &st) < 0 || st.st_ino != ino))
        return 0;
    if (dirfd < 0)
        return box_fail_sys(err, "open", name, "a layer of the store has vanished");
    _close_ int fd = openat(dirfd, DURABLE, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || fsync(dirfd) < 0)
        return box_fail_sys(err, fd < 0 ? "open" : "fsync", name, "cannot mark a layer as synced");
    return 0;
}

static bool all_durable(const box_store *store, char (*names)[BOX_LAYER_NAME], size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!box_store_layer_is_marked(store, names[i]))
            return false;
    return true;
}

static int mark_layers(const box_store *store, char (*names)[BOX_LAYER_NAME], size_t n, box_error **err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < n; i++)
        r = box_store_mark_layer(store, names[i], 0, err);
    return r;
}

int box_store_settle(const box_store *store, char (*names)[BOX_LAYER_NAME], size_t n,
                     const struct box_digest *blobs, size_t n_blobs, box_error **err)
{
    bool waiting = box_store_blobs_wait(store, blobs, n_blobs);
    int r = 0;

    if (!waiting && all_durable(store, names, n))
        return 0;
    if (syncfs(store->layersfd) < 0)
        return box_fail_sys(err, "syncfs", store->root, "cannot write the store to disk");
    if (waiting)
        r = box_store_place_blobs(store, blobs, n_blobs, err);
    return r < 0 ? r : mark_layers(store, names, n, err);
}

int box_store_make_durable(const box_store *store, char (*names)[BOX_LAYER_NAME], size_t n, box_error **err)
{
    return box_store_settle(store, names, n, NULL, 0, err);
}
