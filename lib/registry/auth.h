/* Logging in: what to send in Authorization. */
#ifndef BOX_REGISTRY_AUTH_H
#define BOX_REGISTRY_AUTH_H

#include "registry/request.h"

/* What is known to be good for a scope at a target, without asking anybody: *value is NULL when nothing is. */
int box_auth_known(const struct box_call *call, const struct box_target *target, const char *scope, char **value,
                   box_error **err);
/* Answers the challenges of a 401: 1 with *value, 0 when there is nothing to answer with, or a BOX_E* code. `tried`
 * is what was sent and refused, or NULL. */
int box_auth_answer(const struct box_call *call, const struct box_target *target, const char *scope,
                    const struct box_challenges *challenges, const char *tried, char **value, box_error **err);
/* The same with a login at hand. *identity (may be NULL) asks for an identity token, and is NULL where none came. */
int box_auth_with_login(const struct box_call *call, const struct box_target *target, const char *scope,
                        const struct box_challenges *challenges, const struct box_login *login, char **value,
                        char **identity, box_error **err);
/* "Basic …" of a user and password. NULL: out of memory. */
char *box_auth_basic(const char *user, const char *password);

#endif
