/* Changes to a config, in the words of a Dockerfile: `docker import --change`. */
#ifndef BOX_IMAGE_IMPORT_CHANGES_H
#define BOX_IMAGE_IMPORT_CHANGES_H

#include <json-c/json.h>

#include "base/fail.h"

/* Carries out one instruction on the "config" object of an image's config. Knows CMD, ENTRYPOINT, ENV,
 * EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME and WORKDIR. BOX_EPARSE for anything else. */
int box_import_change(json_object *config, const char *instruction, box_error **err);

#endif
