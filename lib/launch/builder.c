/* Packing a plan: operations and bytes grow apart and are joined at the end into one block, that goes into a sealed
 * memory file (stage_file.c). A failure to grow is remembered and told once, so that the code that lists the operations
 * reads as a list. */
#include "launch/launch.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

static bool grow(void **p, size_t *room, size_t wanted, size_t unit)
{
    if (wanted <= *room)
        return true;
    size_t next = *room ? *room : 64;
    while (next < wanted)
        next *= 2;
    void *q = realloc(*p, next * unit);
    if (!q)
        return false;
    *p = q;
    *room = next;
    return true;
}

void builder_add(struct builder *b, const struct plan_op *op)
{
    if (b->failed)
        return;
    if (!grow((void **)&b->ops, &b->ops_room, b->n_ops + 1, sizeof(*b->ops))) {
        b->failed = BOX_ENOMEM;
        return;
    }
    b->ops[b->n_ops++] = *op;
}

uint32_t builder_data(struct builder *b, const void *data, size_t size)
{
    if (b->failed)
        return 0;
    if (!b->size)
        b->size = sizeof(struct plan_header);
    size_t at = (b->size + 7) & ~(size_t)7;
    if (size > PLAN_MAX_SIZE || at + size > PLAN_MAX_SIZE) {
        b->failed = BOX_ELIMIT;
        return 0;
    }
    if (!grow((void **)&b->bytes, &b->room, at + size + 1, 1)) {
        b->failed = BOX_ENOMEM;
        return 0;
    }
    memset(b->bytes + b->size, 0, at - b->size);
    if (size)
        memcpy(b->bytes + at, data, size);
    b->size = at + size;
    return (uint32_t)at;
}

uint32_t builder_string(struct builder *b, const char *s)
{
    return s ? builder_data(b, s, strlen(s) + 1) : 0;
}

uint32_t builder_strings(struct builder *b, char *const *list, uint32_t *n)
{
    uint32_t start = builder_data(b, "", 0);

    *n = 0;
    for (; list && *list && !b->failed; list++, (*n)++) {
        size_t size = strlen(*list) + 1;
        if (b->size + size > PLAN_MAX_SIZE)
            b->failed = BOX_ELIMIT;
        else if (!grow((void **)&b->bytes, &b->room, b->size + size + 1, 1))
            b->failed = BOX_ENOMEM;
        else
            memcpy(b->bytes + b->size, *list, size), b->size += size;
    }
    return start;
}

int builder_slot(struct builder *b)
{
    if (b->next_slot < SLOT_FREE)
        b->next_slot = SLOT_FREE;
    if (b->next_slot >= SLOT_EXTRA) {
        b->failed = b->failed ? b->failed : BOX_ELIMIT;
        return SLOT_FREE;
    }
    return b->next_slot++;
}

int builder_hold(struct builder *b, int fd)
{
    int slot = builder_slot(b);
    struct plan_held_fd *held = realloc(b->plan->held, (b->plan->n_held + 1) * sizeof(*held));

    if (!held || b->failed) {
        if (held)
            b->plan->held = held;
        else
            b->failed = BOX_ENOMEM;
        close(fd);
        return slot;
    }
    b->plan->held = held;
    held[b->plan->n_held++] = (struct plan_held_fd){slot, fd};
    return slot;
}

/* Takes the descriptor over, also on failure. */
static void add_clone(struct builder *b, struct plan_host_clone clone)
{
    struct plan_host_clone *clones = realloc(b->plan->clones, (b->plan->n_clones + 1) * sizeof(*clones));

    if (clones)
        b->plan->clones = clones;
    if (!clones || clone.fd < 0) {
        b->failed = BOX_ENOMEM;
        if (clone.fd >= 0)
            close(clone.fd);
        return;
    }
    clones[b->plan->n_clones++] = clone;
}

int builder_host_clone(struct builder *b, int fd, unsigned flags)
{
    int slot = builder_slot(b);

    add_clone(b, (struct plan_host_clone){.slot = slot, .fd = fcntl(fd, F_DUPFD_CLOEXEC, 3), .flags = flags});
    return slot;
}

int builder_host_image(struct builder *b, int slot, const char *path, box_error **err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return box_fail_sys(err, "open", path, "open a layer's image");
    add_clone(b, (struct plan_host_clone){.slot = slot, .fd = fd, .image = true});
    return 0;
}

int builder_finish(struct builder *b, box_error **err)
{
    uint32_t ops = builder_data(b, b->ops, b->n_ops * sizeof(*b->ops));

    if (b->failed == BOX_ENOMEM)
        return box_fail_nomem(err);
    if (b->failed)
        return box_fail(err, BOX_ELIMIT, "the plan is too large: %u MiB and %d mounts are what a spec may come to",
                        PLAN_MAX_SIZE >> 20, SLOT_EXTRA - SLOT_FREE);
    struct plan_header header = {.magic = PLAN_MAGIC,
                                 .version = PLAN_VERSION,
                                 .size = (uint32_t)b->size,
                                 .n_ops = (uint32_t)b->n_ops,
                                 .ops = ops};
    memcpy(b->bytes, &header, sizeof(header));
    struct stage_files files;
    int r = stage_make_files(b->bytes, b->size, &files, err);
    if (r < 0)
        return r;
    b->plan->program = files.program;
    b->plan->memory = files.memory;
    b->plan->offset = files.offset;
    b->plan->size = (uint32_t)b->size;
    b->plan->bytes = b->bytes;
    b->bytes = NULL;
    return 0;
}
