/* Mount options as people write them (fstab(5), OCI runtime-spec 1.3 "mounts"), turned into what system calls
 * take.
 *
 * An option string goes through libmount's tokenizer (quotes, commas inside quotes) and one table. What the
 * table does not know belongs to the file system and is kept, in order, both as key/value pairs for
 * fsconfig(2) and as one comma string for mount(2). A later option overrides an earlier one, as in mount(8).
 */
#ifndef BOX_KERNEL_MOUNT_OPTIONS_H
#define BOX_KERNEL_MOUNT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libbox/error.h>

/* The bits of mount_setattr(2), the same on every architecture, here so that no one needs <sys/mount.h> for
 * them. */
#define BOX_ATTR_RDONLY      0x00000001u
#define BOX_ATTR_NOSUID      0x00000002u
#define BOX_ATTR_NODEV       0x00000004u
#define BOX_ATTR_NOEXEC      0x00000008u
#define BOX_ATTR__ATIME      0x00000070u /* mask of the three values below */
#define BOX_ATTR_RELATIME    0x00000000u
#define BOX_ATTR_NOATIME     0x00000010u
#define BOX_ATTR_STRICTATIME 0x00000020u
#define BOX_ATTR_NODIRATIME  0x00000080u
#define BOX_ATTR_IDMAP       0x00100000u
#define BOX_ATTR_NOSYMFOLLOW 0x00200000u

enum box_mount_idmap {
    BOX_MOUNT_IDMAP_NONE,
    BOX_MOUNT_IDMAP,    /* "idmap": the mount itself */
    BOX_MOUNT_IDMAP_REC /* "ridmap": and every mount below it */
};

/* One option of the file system's own. */
struct box_mount_param {
    char *key;
    char *value; /* NULL: a flag without "=" */
};

struct box_mount_options {
    /* For mount_setattr(2) on the mount itself: set after clear. When a value of atime was asked for,
     * attr_clear has all of BOX_ATTR__ATIME, as the kernel demands. The same for the whole tree below it
     * (rro, rnosuid, ...). */
    uint64_t attr_set, attr_clear;
    uint64_t rec_attr_set, rec_attr_clear;
    /* MS_SHARED, MS_SLAVE, MS_PRIVATE or MS_UNBINDABLE; 0 when none was asked for. "slave,shared" is the one
     * pair that means both, one after the other (mount_namespaces(7)): `propagation_then` is MS_SHARED then,
     * 0 otherwise. */
    unsigned long propagation, propagation_then;
    bool propagation_rec, propagation_then_rec;
    bool bind, rbind, remount; /* rbind implies bind */
    /* Flags of the super block for a new mount: MS_RDONLY, MS_SYNCHRONOUS, MS_DIRSYNC, MS_MANDLOCK,
     * MS_LAZYTIME, MS_I_VERSION, MS_SILENT. "ro" is both here and in attr_set; a bind mount uses only the
     * latter. sb_clear: what was asked to be off (async, rw, nolazytime), for a remount. */
    unsigned long sb_flags, sb_clear;
    /* The file system's own options, in order. data: as one comma string for mount(2), with values quoted
     * that hold a comma; never NULL after a parse ("" for none). */
    struct box_mount_param *params;
    size_t n_params;
    char *data;
    bool tmpcopyup; /* copy what the target directory holds into the new tmpfs */
    enum box_mount_idmap idmap;
    char *idmap_maps;   /* "idmap=uids=0-1-10;gids=0-1-10": what follows the first "="; NULL for none */
    bool src_nofollow;  /* do not follow a symlink in the last component of the source */
    bool dest_nofollow; /* nor of the target */
    bool copy_symlink;  /* a source that is a symlink is made again at the target instead of mounted */
};

/* One string, "ro,nosuid,size=64k". NULL and "" give no options. On failure *out holds nothing to clear.
 * BOX_EPARSE: unbalanced quotes; BOX_ESPEC: an option that cannot be honoured, with the option as the
 * subject. */
int box_mount_options_parse(const char *options, struct box_mount_options *out, box_error **err);
/* The OCI form: n strings, each of which may itself hold several options. */
int box_mount_options_parse_list(const char *const *options, size_t n, struct box_mount_options *out,
                                 box_error **err);
void box_mount_options_clear(struct box_mount_options *options);

/* The MS_* flags of mount(2) for BOX_ATTR_* bits (BOX_ATTR_IDMAP has none), and back from the flags of
 * statvfs(3), whose ST_* bits differ from MS_* for relatime and nosymfollow. */
unsigned long box_mount_attr_to_ms(uint64_t attr);
uint64_t box_mount_attr_from_statvfs(unsigned long st_flags);

#define _cleanup_mount_options_ __attribute__((cleanup(box_mount_options_clear)))

#endif
