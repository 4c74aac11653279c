/* Namespaces, inside the library. Public face: libbox/namespace.h. */
#ifndef BOX_KERNEL_NAMESPACE_H
#define BOX_KERNEL_NAMESPACE_H

#include <libbox/namespace.h>
#include <libbox/pidfd.h>
#include "base/cleanup.h"

/* A handle of a descriptor that is handed over, also on failure. Checked as by box_namespace_open_fd().
 * subject names it in errors, may be NULL. */
int box_namespace_adopt(enum box_namespace_kind kind, int fd, const char *subject, box_namespace **ns,
                        box_error **err);

BOX_CLEANUP(box_namespace, box_namespace_free);

#endif
