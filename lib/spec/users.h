/* Users and groups by name, in the passwd and group files of a root that is not trusted.
 *
 * "user[:group]", each a name or a number, as Docker and OCI images write it. The files are the image's: they
 * are opened through the in-root resolver (a /etc/passwd that is a link to the host's stays in the root), as
 * regular files only, read up to a limit, and parsed strictly. A number is a number only as a whole and when
 * it fits; one that does not fit is an error, never another id (CVE-2026-30892). A name that is not in the
 * files is BOX_ENOTFOUND and says so; a number need not be in them. */
#ifndef BOX_SPEC_USERS_H
#define BOX_SPEC_USERS_H

#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"

/* Limits on the files: bytes of one, and of one line. A longer file is BOX_ELIMIT, a longer line is skipped.
 */
#define BOX_USERS_FILE_MAX (16u << 20)
#define BOX_USERS_LINE_MAX (64u << 10)
/* Groups that one user may be in: the kernel's NGROUPS_MAX. */
#define BOX_USERS_GROUPS_MAX 65536u

struct box_users_found {
    uint32_t uid, gid;
    uint32_t *groups; /* supplementary, without gid; sorted; those of the group file that name the user. None
                         when the text gives a group, as Docker has it */
    size_t n_groups;
    char *name;  /* the user's name, or NULL when its number is in no line */
    char *home;  /* its home directory: absolute; "/" when the files say nothing (or nothing absolute) */
    char *shell; /* "" when the files say nothing */
};

void box_users_found_clear(struct box_users_found *found);

/* Looks up text ("" or NULL is user 0) in the root that rootfd stands for (O_PATH will do). */
int box_users_lookup(int rootfd, const char *text, struct box_users_found *found, box_error **err);

/* The same in an overlay that is not mounted: its layers, the topmost first. A file is taken from the first
 * layer that has it; whiteouts and opaque directories hide what lies below, as they would in the mount. */
int box_users_lookup_layers(const int *layers, size_t n_layers, const char *text,
                            struct box_users_found *found, box_error **err);

/* One group, by name or number ("audio", "29"), likewise; for further groups of a process. */
int box_users_group(int rootfd, const char *text, uint32_t *gid, box_error **err);
int box_users_group_layers(const int *layers, size_t n_layers, const char *text, uint32_t *gid,
                           box_error **err);

#endif
