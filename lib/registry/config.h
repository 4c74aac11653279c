/* Docker's client configuration: where logins are kept. */
#ifndef BOX_REGISTRY_CONFIG_H
#define BOX_REGISTRY_CONFIG_H

#include <json-c/json.h>

#include "registry/client.h"

/* The path of the file: `path`, or what the environment says. The caller frees *out. BOX_EINVAL without a home. */
int box_config_path(const char *path, char **out, box_error **err);
/* Reads it and checks the members that are used. *config is NULL where there is no such file. */
int box_config_read(const char *path, json_object **config, box_error **err);
/* The same of a text, which `source` names in errors. */
int box_config_parse_text(const char *text, size_t length, const char *source, json_object **config, box_error **err);
/* The name of the helper that keeps the login for a key; NULL: none. Borrowed. */
const char *box_config_helper(json_object *config, const char *key);
/* The login that `auths` has for a key; an empty one when there is none. */
int box_config_login(json_object *config, const char *key, struct box_login *login, box_error **err);

#endif
