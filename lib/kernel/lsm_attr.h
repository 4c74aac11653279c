/* Where and how a label is asked for, for those who write it themselves (the stage, through a /proc of its
 * own). Public face: libbox/lsm.h. */
#ifndef BOX_KERNEL_LSM_ATTR_H
#define BOX_KERNEL_LSM_ATTR_H

#include <stdbool.h>

#include <libbox/lsm.h>

/* The file below /proc/thread-self/attr ("apparmor/exec" or "exec") and the text to write into it in one
 * write(2), for a label that passes box_lsm_label_usable(). The label "" asks for none: both are NULL then.
 * may_be_missing: on a host without that module both are NULL as well, in place of BOX_EUNSUPPORTED.
 * *attr is static; the caller frees *text. */
int box_lsm_exec_attr(enum box_lsm lsm, const char *label, bool may_be_missing, const char **attr,
                      char **text, box_error **err);
/* The text alone, for a label that is well formed. */
int box_lsm_exec_text(enum box_lsm lsm, const char *label, char **text, box_error **err);

#endif
