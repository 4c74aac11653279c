/* Opening libarchive, at most once in the life of the process; the table is the same whoever fills it. It is
 * never closed, since other threads may be inside it. */
#include "image/libarchive.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "base/dlnote.h"

#define SONAME "libarchive.so.13"

BOX_DLOPEN_NOTE(libarchive, "reading of image archives and layers", "recommended", SONAME);

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct box_libarchive table;
static bool usable;

#define FUNCTION(name)                \
    {                                 \
        "archive_" #name, &table.name \
    }

static void open_once(void)
{
    const struct {
        const char *name;
        void *slot; /* of a pointer to a function, all of which have the same size */
    } functions[] = {
        FUNCTION(read_new),
        FUNCTION(read_free),
        FUNCTION(read_support_format_tar),
        FUNCTION(read_support_format_empty),
        FUNCTION(read_support_format_raw),
        FUNCTION(read_support_filter_gzip),
        FUNCTION(read_support_filter_bzip2),
        FUNCTION(read_support_filter_xz),
        FUNCTION(read_support_filter_zstd),
        FUNCTION(read_set_read_callback),
        FUNCTION(read_set_skip_callback),
        FUNCTION(read_set_callback_data),
        FUNCTION(read_open1),
        FUNCTION(read_next_header),
        FUNCTION(read_data_block),
        FUNCTION(read_data_skip),
        FUNCTION(read_header_position),
        FUNCTION(error_string),
        FUNCTION(entry_pathname),
        FUNCTION(entry_hardlink),
        FUNCTION(entry_symlink),
        FUNCTION(entry_filetype),
        FUNCTION(entry_perm),
        FUNCTION(entry_uid),
        FUNCTION(entry_gid),
        FUNCTION(entry_size),
        FUNCTION(entry_mtime),
        FUNCTION(entry_mtime_nsec),
        FUNCTION(entry_rdevmajor),
        FUNCTION(entry_rdevminor),
        FUNCTION(entry_sparse_count),
        FUNCTION(entry_xattr_reset),
        FUNCTION(entry_xattr_next),
    };
    void *library = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL);

    for (size_t i = 0; library && i < BOX_ARRAY(functions); i++) {
        void *found = dlsym(library, functions[i].name);
        if (!found)
            return;
        memcpy(functions[i].slot, &found, sizeof(found));
    }
    usable = library != NULL;
}

const struct box_libarchive *box_libarchive(box_error **err)
{
    if (pthread_once(&once, open_once) == 0 && usable)
        return &table;
    struct box_fail_info info = {
        .code = BOX_ELIBRARY,
        .call = "dlopen",
        .subject = SONAME,
        .remedy = "install libarchive: the package libarchive13 of Debian, libarchive of others"};
    box_fail_with(err, &info, "archives cannot be read, since libarchive is not installed");
    return NULL;
}
