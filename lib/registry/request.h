/* Requests to a registry: an exchange with login, redirects and, unless it is asked not to, further attempts. */
#ifndef BOX_REGISTRY_REQUEST_H
#define BOX_REGISTRY_REQUEST_H

#include "registry/http.h"

/* Where requests go: a registry, or a mirror of it. */
struct box_target {
    struct box_url base; /* its path is "" */
    char *authority;     /* of base */
    char *domain;        /* whose login counts */
    char *prefix;        /* what stands before repositories here: "", or "a/b/" */
    bool reached;        /* it has answered once */
};
void box_target_clear(struct box_target *target);
#define _target_ __attribute__((cleanup(box_target_clear)))

/* The registry of a domain itself. Finds out whether it speaks TLS where that may be missing. */
int box_target_open(const struct box_call *call, const char *domain, struct box_target *target, box_error **err);
/* A mirror, by its URL. */
int box_target_open_mirror(const struct box_call *call, const char *url, struct box_target *target, box_error **err);

struct box_request {
    const char *method;
    const char *path;     /* below the base, from "/v2/" on; or NULL: */
    const char *location; /* a URL that the registry gave, absolute or relative to `from` */
    const char *from;     /* NULL: the base */
    const char *scope;    /* what is to be allowed: "repository:NAME:pull"; NULL: nothing in particular */
    const char *accept, *content_type, *content_range, *range;
    const struct box_http_body *body;
    box_http_sink *sink;
    void *sink_data;
    size_t max;
    unsigned patience;
    bool once;       /* no further attempts */
    char **url;      /* what was asked for in the end; NULL: not wanted. The caller frees it */
};

/* 0 with a status, which need not be a success, or a BOX_E* code. The caller clears response in any case. */
int box_request_send(const struct box_call *call, struct box_target *target, const struct box_request *request,
                     struct box_http_response *response, box_error **err);

/* ---- Attempts ---- */

struct box_retry {
    unsigned attempts; /* that have been made */
    int64_t wait_ms;   /* before the next one */
};
/* Whether what came of an attempt, r and response, may be otherwise the next time. */
bool box_retry_helps(const struct box_target *target, int r, const struct box_http_response *response);
/* Waits for the time of the next attempt: 1 when it is there; 0 when no more are to be made; or a BOX_E* code. */
int box_retry_wait(const struct box_call *call, struct box_retry *retry, const struct box_http_response *response,
                   box_error **err);

/* Fails with what a status means, and with what the registry said about it: "cannot WHAT: MESSAGE (CODE)". */
int box_request_fail(const struct box_target *target, const struct box_http_response *response, box_error **err,
                     const char *what, ...) BOX_PRINTF(4, 5);

#endif
