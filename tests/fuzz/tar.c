/* Any bytes as a layer, compressed or not, unpacked with small limits: nothing outside of its directory changes,
 * no more comes out than is allowed, and what was unpacked can be removed. The first byte says whether as root with
 * everything or as an ordinary user. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "image/unpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int scratch = -1;
static char scratch_path[64];

static void remove_scratch(void)
{
    box_remove_tree(scratch, "layer", NULL);
    unlinkat(scratch, "canary", 0);
    rmdir(scratch_path);
}

/* A file beside the layer's directory, which links and names with ".." would reach first. */
static void make_scratch(void)
{
    snprintf(scratch_path, sizeof(scratch_path), "%s/libbox-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(scratch_path))
        abort();
    scratch = open(scratch_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = openat(scratch, "canary", O_WRONLY | O_CREAT | O_CLOEXEC, 0400);
    if (scratch < 0 || fd < 0 || write(fd, "canary", 6) != 6)
        abort();
    close(fd);
    atexit(remove_scratch);
}

static void check_canary(void)
{
    struct stat st;
    char text[16];
    int fd = openat(scratch, "canary", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) < 0 || st.st_nlink != 1 || (st.st_mode & 07777) != 0400 || read(fd, text, sizeof(text)) != 6)
        abort();
    close(fd);
}

static struct box_source *open_stream(int fd, size_t size)
{
    struct box_source *source = box_source_range(fd, 0, size, NULL);

    if (source)
        source = box_source_inflate(source, NULL);
    return source ? box_source_digest(source, NULL) : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const box_image_limits given = {.layer_bytes = 1u << 20,
                                    .file_bytes = 1u << 24,
                                    .entries = 200,
                                    .free_bytes = 1u << 20,
                                    .ratio = 10,
                                    .path_bytes = 300,
                                    .path_depth = 20,
                                    .header_bytes = 4096};
    const box_image_limits limits = box_image_limits_or_default(&given);
    struct box_layer_record record;
    _cleanup_(box_error) box_error *err = NULL;

    if (scratch < 0)
        make_scratch();
    if (size < 1)
        return 0;
    const struct box_unpack how = {.privileged = (data[0] & 1) && geteuid() == 0,
                                   .limits = &limits,
                                   .compressed = size,
                                   .implicitfd = -1};
    _close_ int fd = memfd_create("layer", MFD_CLOEXEC);
    if (fd < 0 || box_write_all(fd, data + 1, size - 1) < 0 || mkdirat(scratch, "layer", 0700) < 0)
        abort();
    _close_ int dirfd = openat(scratch, "layer", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct box_source *stream = open_stream(fd, size - 1);
    if (stream) {
        int r = box_unpack(stream, dirfd, &how, &record, &err);
        if ((r < 0) != (err != NULL) || (r == 0 && (record.bytes > limits.layer_bytes || record.entries > 200 * 21)))
            abort();
        box_source_free(stream);
    }
    check_canary();
    if (box_remove_tree(scratch, "layer", NULL) < 0)
        abort();
    return 0;
}
