/* Id maps: which user and group ids of a user namespace stand for which ids outside. user_namespaces(7).
 *
 *     box_idmap *map = NULL;
 *     box_idmap_new_subordinate(NULL, BOX_IDMAP_SELF_IS_ROOT, &map, &err);
 *                                            0 inside is the caller; 1 and up come from /etc/subuid and
 * /etc/subgid box_idmap_apply(map, pid, &err);       written for a process that is in a new user namespace
 *
 * "Inside" is an id in the namespace, "outside" one in the namespace of whoever writes the map. One map
 * object is for one thread at a time; functions that take a const one may run in several threads at once.
 */
#ifndef LIBBOX_IDMAP_H
#define LIBBOX_IDMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <libbox/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct box_idmap box_idmap;

enum box_idmap_kind { BOX_IDMAP_UID = 0, BOX_IDMAP_GID = 1 };

typedef struct box_idmap_range {
    uint32_t inside;  /* first id in the namespace */
    uint32_t outside; /* first id outside */
    uint32_t count;
} box_idmap_range;

/* The kernel's limit on ranges of one kind (Linux 4.15). */
#define BOX_IDMAP_MAX 340

/* An empty map. NULL when out of memory. */
BOX_API box_idmap *box_idmap_new(box_error **err);
BOX_API box_idmap *box_idmap_copy(const box_idmap *map, box_error **err);
/* NULL is allowed. */
BOX_API void box_idmap_free(box_idmap *map);

/* Adds a range. BOX_ESPEC when it is empty, runs past 4294967294, or overlaps another range of its kind
 * inside or outside; BOX_ELIMIT for more than BOX_IDMAP_MAX ranges. */
BOX_API int box_idmap_add(box_idmap *map, enum box_idmap_kind kind, uint32_t inside, uint32_t outside,
                          uint32_t count, box_error **err);
/* Adds ranges as text: "inside outside count" as in /proc/PID/uid_map, or with ":" or "-" between the
 * numbers, one a line, or separated by "," or "#". BOX_EPARSE, and as above; on failure the map is as it was.
 */
BOX_API int box_idmap_parse(box_idmap *map, enum box_idmap_kind kind, const char *text, box_error **err);

/* The calling process's effective ids, as one id each: what any user may write. */
BOX_API int box_idmap_new_single(uint32_t inside_uid, uint32_t inside_gid, box_idmap **map, box_error **err);
/* Every id as itself (0 to 4294967294): a user namespace whose ids are the caller's own. */
BOX_API int box_idmap_new_identity(box_idmap **map, box_error **err);

/* Where the caller's own ids come, in a map of subordinate ids. */
#define BOX_IDMAP_SELF_IS_ROOT 1u /* 0 inside is the user's own uid and gid; subordinate ids from 1 up */
#define BOX_IDMAP_SELF_IS_SELF \
    2u /* the user's ids are themselves inside; subordinate ids from 0 up around them */
/* All subordinate ids that /etc/subuid(5) and /etc/subgid(5) give a user, by name or by number: NULL for the
 * caller's effective uid. Without a flag the user's own ids are not in the map (Docker's userns-remap; root
 * only). Users come from /etc/passwd itself, not from other name services. BOX_ENOTFOUND, with the line to
 * add as the remedy, when the files name no range; BOX_EPARSE for a line of this user's that is malformed. */
BOX_API int box_idmap_new_subordinate(const char *user, unsigned flags, box_idmap **map, box_error **err);

/* Ranges of one kind, in the order in which they were added. */
BOX_API size_t box_idmap_count(const box_idmap *map, enum box_idmap_kind kind);
/* BOX_EINVAL past the end. */
BOX_API int box_idmap_get(const box_idmap *map, enum box_idmap_kind kind, size_t index,
                          box_idmap_range *range);
BOX_API bool box_idmap_equal(const box_idmap *a, const box_idmap *b);
/* The number of ids inside, counted from 0 without a gap: how large an id an image may use. */
BOX_API uint64_t box_idmap_extent(const box_idmap *map, enum box_idmap_kind kind);

/* The id outside that stands for one inside, and back. False when the map does not hold it. */
BOX_API bool box_idmap_to_outside(const box_idmap *map, enum box_idmap_kind kind, uint32_t inside,
                                  uint32_t *outside);
BOX_API bool box_idmap_to_inside(const box_idmap *map, enum box_idmap_kind kind, uint32_t outside,
                                 uint32_t *inside);

/* The text for /proc/PID/uid_map or gid_map: "inside outside count\n" a range. The caller frees *text. */
BOX_API int box_idmap_format(const box_idmap *map, enum box_idmap_kind kind, char **text, box_error **err);

/* Writes the map for a process that is in a new user namespace whose map is still empty. The process must be
 * the caller's own child, not yet reaped, so that its number stays its own. In this order: directly, which
 * needs CAP_SETUID and CAP_SETGID over the caller's user namespace, or a map of the caller's own single id
 * (then setgroups(2) is denied inside, as the kernel demands); otherwise by the set-uid programs newuidmap(1)
 * and newgidmap(1), which are run and reaped without SIGCHLD. BOX_EPERMISSION, BOX_EUNSUPPORTED when these
 * are not installed; the remedy names the package or the missing line of /etc/subuid. */
BOX_API int box_idmap_apply(const box_idmap *map, pid_t pid, box_error **err);

/* A descriptor of a new user namespace with this map and no process in it, close-on-exec: for idmapped mounts
 * (box_mount_set_idmap) or for joining. Uses a short-lived child that runs no code of the host's. Errors of
 * box_idmap_apply(). */
BOX_API int box_idmap_userns(const box_idmap *map, box_error **err);

#ifdef __cplusplus
}
#endif

#endif
