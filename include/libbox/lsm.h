/* Security modules of the kernel that label processes: AppArmor and SELinux.
 *
 * A label is put on the program that a process executes next. A host has at most a few such modules, and many
 * have none; a label that cannot be applied is an error unless the spec says that it may be missing.
 *
 * Thread rules: every function may be called from any thread.
 */
#ifndef LIBBOX_LSM_H
#define LIBBOX_LSM_H

#include <sys/types.h>

#include <libbox/error.h>

#ifdef __cplusplus
extern "C" {
#endif

enum box_lsm {
    BOX_LSM_APPARMOR = 0, /* labels are names of profiles: "docker-default", "unconfined" */
    BOX_LSM_SELINUX = 1   /* labels are contexts: "system_u:system_r:container_t:s0:c1,c2" */
};

/* The names of the active modules, in the order of /sys/kernel/security/lsm: "capability,landlock,apparmor".
 * Where that file system is not mounted, those that can be told otherwise. The caller frees it with free(3).
 * NULL: out of memory. */
BOX_API char *box_lsm_list(void);
/* 1 when the module is active on this host and this process can reach its interface, 0 when not. */
BOX_API int box_lsm_enabled(enum box_lsm lsm);
/* "AppArmor", "SELinux". Static. */
BOX_API const char *box_lsm_name(enum box_lsm lsm);

/* Whether a text has the form of a label: a profile's name (printable, no white space at its ends, at most
 * 4095 bytes), or a context of user:role:type[:range]. Says nothing about whether it is loaded. 0 or
 * BOX_ESPEC. */
BOX_API int box_lsm_label_check(enum box_lsm lsm, const char *label, box_error **err);
/* Whether the label can be put on a process here: its form, that the module is active, and, where that can be
 * read, that the profile is loaded. Errors: BOX_ESPEC, BOX_EUNSUPPORTED (no such module), BOX_ENOTFOUND (no
 * such profile). */
BOX_API int box_lsm_label_usable(enum box_lsm lsm, const char *label, box_error **err);
/* The label of a process, or of the calling thread when pid is 0: for AppArmor without its mode. The caller
 * frees it with free(3). NULL with BOX_EUNSUPPORTED or BOX_ENOTFOUND. */
BOX_API char *box_lsm_label_read(enum box_lsm lsm, pid_t pid, box_error **err);
/* The calling thread's next execve(2) gives the new program this label. */
BOX_API int box_lsm_label_on_exec(enum box_lsm lsm, const char *label, box_error **err);

#ifdef __cplusplus
}
#endif

#endif
