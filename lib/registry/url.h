/* URLs of registries: http and https, with a host, a port and a path. Nothing else is one here: no user, no
 * fragment, no character that a header or another parser could read otherwise. A URL is always sent in the form
 * that box_url_format() gives, so that what was checked is what is fetched. */
#ifndef BOX_REGISTRY_URL_H
#define BOX_REGISTRY_URL_H

#include <stdbool.h>

#include "base/fail.h"

#define BOX_URL_MAX 8192

struct box_url {
    bool tls;
    char *host; /* lower case; an IPv6 address with its brackets */
    unsigned port;
    char *path; /* from the '/' on, with the query */
};

/* BOX_EPARSE. Clear on success. */
int box_url_parse(const char *text, struct box_url *url, box_error **err);
/* What `reference` (absolute, or relative to base) means. RFC 3986, section 5. Where only the scheme falls from
 * https to http, on the same host, https is kept: a registry behind a proxy may not know better. */
int box_url_resolve(const struct box_url *base, const char *reference, struct box_url *url, box_error **err);
void box_url_clear(struct box_url *url);
#define _url_ __attribute__((cleanup(box_url_clear)))
/* "https://host:port/path"; the port only when it is not the scheme's own. NULL: out of memory. */
char *box_url_format(const struct box_url *url);
/* "host" or "host:port", as a reference's domain has it. NULL: out of memory. */
char *box_url_authority(const struct box_url *url);
/* The same scheme, host and port. */
bool box_url_same_origin(const struct box_url *a, const struct box_url *b);

#endif
