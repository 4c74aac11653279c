/* Credential helpers: programs "docker-credential-NAME" that keep logins. */
#ifndef BOX_REGISTRY_HELPER_H
#define BOX_REGISTRY_HELPER_H

#include "registry/client.h"

/* The login that a helper has for a key; empty when it has none. */
int box_helper_get(const struct box_call *call, const char *name, const char *key, struct box_login *login,
                   box_error **err);
int box_helper_store(const struct box_call *call, const char *name, const char *key, const char *user,
                     const char *secret, box_error **err);
/* BOX_ENOTFOUND where it has none. */
int box_helper_erase(const struct box_call *call, const char *name, const char *key, box_error **err);

#endif
