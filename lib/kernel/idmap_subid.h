/* /etc/subuid, /etc/subgid and /etc/passwd, read strictly. subuid(5), passwd(5).
 *
 * These decide which ids a user may take, so a line that is not exactly well formed gives nothing: a number
 * that does not fit, a sign, a space or a missing field never becomes another number (CVE-2026-30892 is a
 * user string that did). A malformed line of another user is that user's trouble and is passed over; a
 * malformed line of this one is an error.
 */
#ifndef BOX_KERNEL_IDMAP_SUBID_H
#define BOX_KERNEL_IDMAP_SUBID_H

#include <stddef.h>
#include <stdint.h>

#include <libbox/error.h>

struct box_subid_range {
    uint32_t start, count;
};

struct box_subid_user {
    uint32_t uid, gid;
    char *name; /* NULL: the passwd file does not know the uid; then gid is not known either */
};

/* The ranges of one file's text for a user, by name (may be NULL) or by uid in decimal, in the order of the
 * file. file names it in errors. *ranges is malloc'ed; NULL and 0 when there is none. */
int box_subid_parse(const char *file, const char *text, size_t length, const char *name, uint32_t uid,
                    struct box_subid_range **ranges, size_t *n, box_error **err);
/* A user of a passwd file's text: by name or decimal uid (`who`), or by uid when who is NULL. BOX_ENOTFOUND
 * for a name that is not there; a uid that is not there gives name NULL. The caller frees user->name. */
int box_subid_user(const char *file, const char *text, size_t length, const char *who, uint32_t uid,
                   struct box_subid_user *user, box_error **err);
/* box_idmap_new_subordinate() over files below a directory, "/etc" in earnest. */
struct box_idmap;
int box_idmap_from_subid(const char *etc, const char *who, unsigned flags, struct box_idmap **map,
                         box_error **err);

#endif
