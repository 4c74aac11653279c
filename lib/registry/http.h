/* One exchange with one host: a request on the wire, and what comes back. No redirect is followed here, nothing is
 * tried again, and nobody logs in: request.h does that. */
#ifndef BOX_REGISTRY_HTTP_H
#define BOX_REGISTRY_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "image/remote.h"
#include "registry/challenge.h"
#include "registry/client.h"

#define BOX_HTTP_ERROR_BODY (32u << 10) /* bytes kept of an answer that is no success */

struct box_http_response {
    int status;
    char *content_type, *location, *digest, *link, *range, *content_range, *subject, *chunk_minimum;
    struct box_challenges challenges;
    int64_t length;         /* Content-Length, or -1 */
    int64_t retry_after_ms; /* -1: nothing said */
    struct box_buffer body; /* unless the request has a sink and this is a success */
    /* When the exchange itself failed: */
    bool transient;   /* trying again may help */
    bool no_host;     /* no connection, or no such name */
    bool no_tls;      /* there is something, but it does not speak TLS */
};
void box_http_response_clear(struct box_http_response *response);
#define _response_ __attribute__((cleanup(box_http_response_clear)))

/* Given pieces of the body of an answer with status 2xx; anything but 0 ends the exchange with this code and *err. */
typedef int box_http_sink(void *data, const struct box_http_response *response, const void *bytes, size_t n,
                          box_error **err);

/* Reads up to n bytes from offset on: how many, 0 at the end, or a BOX_E* code. Offsets rise, but for an attempt that
 * is made again. */
typedef ssize_t box_http_read(void *source, uint64_t offset, void *buffer, size_t n, box_error **err);

struct box_http_body {
    const void *data; /* NULL: by `read` */
    box_http_read *read;
    void *source;
    uint64_t offset, length;
    bool once; /* what was sent in part is not sent again */
    box_remote_tick *tick; /* told how many bytes went out, of this body; may be NULL */
    void *tick_data;
};

struct box_http_request {
    const char *method;
    const char *accept, *content_type, *content_range, *range; /* headers; NULL: none */
    const char *authorization;                                 /* the whole value; NULL: none */
    const struct box_http_body *body;                          /* NULL: none */
    box_http_sink *sink;                                       /* NULL: the body is kept … */
    void *sink_data;
    size_t max;       /* … up to so many bytes: BOX_ELIMIT */
    unsigned patience; /* times the stall time that an answer may take; 0: once */
};

/* 0 with a status, or a BOX_E* code. response must be zeroed; the caller clears it in any case. */
int box_http_exchange(const struct box_call *call, const struct box_url *url, const struct box_http_request *request,
                      struct box_http_response *response, box_error **err);
/* Ends all connections of the client. */
void box_http_close_idle(struct box_registry *registry);

/* Takes one header line, without its end; for http.c and its fuzz target. BOX_ENOMEM only. */
int box_http_header(struct box_http_response *response, const char *line, size_t length, box_error **err);

#endif
