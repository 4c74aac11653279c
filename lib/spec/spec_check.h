/* The pieces of box_spec_check(), which the files of the check share. */
#ifndef BOX_SPEC_SPEC_CHECK_H
#define BOX_SPEC_SPEC_CHECK_H

#include "spec/spec_util.h"

/* BOX_ESPEC with the field as its subject. */
int spec_contradiction(box_error **err, const char *field, const char *fmt, ...) BOX_PRINTF(3, 4);
/* A path in the container: absolute, without "..", short enough for the kernel. */
int spec_check_inside(const char *field, const char *path, box_error **err);
bool spec_has_dotdot(const char *path);

int spec_check_root(const box_spec *spec, box_error **err);
int spec_check_mounts(const box_spec *spec, box_error **err);

#endif
