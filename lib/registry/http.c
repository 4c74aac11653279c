/* One exchange, by libcurl.
 *
 * A thread takes a session (an easy handle in a multi handle of its own, which keeps the connections) out of the
 * client's idle ones, uses it, and puts it back. libcurl moves bytes in curl_multi_perform(), which never waits;
 * the waiting is done here, in curl_multi_poll(), together with the operation's deadline, its cancelling
 * descriptor, and the time without a byte after which a transfer counts as stalled.
 *
 * Signals: with CURLOPT_NOSIGNAL libcurl leaves the host's handlers alone, but then TLS writes to a broken
 * connection raise SIGPIPE, and its threads that look up names inherit the mask. So all signals are blocked
 * while libcurl runs, and a SIGPIPE of this thread's own is taken away before the mask is put back. */
#include "registry/http.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/strings.h"
#include "registry/curl.h"
#include "registry/text.h"

#define HEADERS_MAX  (64u << 10) /* bytes of all headers of an answer */
#define IDLE_MAX     16
#define BUFFER_BYTES (512l << 10)
#define ERROR_SIZE   256 /* CURL_ERROR_SIZE */

struct box_http_session {
    struct box_http_session *next;
    void *easy, *multi;
};

struct exchange {
    const struct box_curl *curl;
    const struct box_call *call;
    const struct box_http_request *request;
    struct box_http_response *response;
    struct box_http_session *session;
    struct curl_slist *headers;
    struct box_curl_blob ca;
    char *ca_text;
    uint64_t sent; /* of the request's body */
    size_t header_bytes;
    int64_t active;  /* when a byte last came or went */
    bool reached;    /* some byte did */
    int result;      /* a BOX_E* code of a callback's, or 0 */
    box_error *error; /* belonging to it */
    char said[ERROR_SIZE];
};

/* ---- Signals ---- */

struct masked {
    sigset_t before;
    bool pipe_pending;
};

static void mask_signals(struct masked *masked)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    sigset_t all, pending;

    sigfillset(&all);
    for (size_t i = 0; i < BOX_ARRAY(own); i++)
        sigdelset(&all, own[i]);
    sigemptyset(&pending);
    sigpending(&pending);
    masked->pipe_pending = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &all, &masked->before);
}

static void unmask_signals(const struct masked *masked)
{
    const struct timespec at_once = {0};
    sigset_t pending, pipe;

    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    if (!masked->pipe_pending && sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1)
        while (sigtimedwait(&pipe, NULL, &at_once) < 0 && errno == EINTR)
            ;
    pthread_sigmask(SIG_SETMASK, &masked->before, NULL);
}

/* ---- Sessions ---- */

static void session_free(const struct box_curl *curl, struct box_http_session *session)
{
    struct masked masked;

    mask_signals(&masked);
    if (session->easy)
        curl->easy_cleanup(session->easy);
    if (session->multi)
        curl->multi_cleanup(session->multi);
    unmask_signals(&masked);
    free(session);
}

static struct box_http_session *session_take(const struct box_curl *curl, struct box_registry *registry,
                                             box_error **err)
{
    pthread_mutex_lock(&registry->mutex);
    struct box_http_session *session = registry->idle;
    if (session) {
        registry->idle = session->next;
        registry->n_idle--;
    }
    pthread_mutex_unlock(&registry->mutex);
    if (session)
        return session;
    session = calloc(1, sizeof(*session));
    if (session) {
        session->easy = curl->easy_init();
        session->multi = curl->multi_init();
        if (session->easy && session->multi)
            return session;
        session_free(curl, session);
    }
    box_fail_nomem(err);
    return NULL;
}

static void session_give_back(const struct box_curl *curl, struct box_registry *registry,
                              struct box_http_session *session)
{
    pthread_mutex_lock(&registry->mutex);
    bool keep = registry->n_idle < IDLE_MAX;
    if (keep) {
        session->next = registry->idle;
        registry->idle = session;
        registry->n_idle++;
    }
    pthread_mutex_unlock(&registry->mutex);
    if (!keep)
        session_free(curl, session);
}

void box_http_close_idle(struct box_registry *registry)
{
    const struct box_curl *curl = registry->idle ? box_curl(NULL) : NULL;

    while (curl && registry->idle) {
        struct box_http_session *session = registry->idle;
        registry->idle = session->next;
        session_free(curl, session);
    }
    registry->n_idle = 0;
}

/* ---- Callbacks: libcurl calls them from curl_multi_perform() ---- */

static void moved(struct exchange *x)
{
    x->active = box_clock_ns();
    x->reached = true;
}

/* Ends the exchange with a code; what libcurl is to be told differs by callback. */
static void stop(struct exchange *x, int code)
{
    if (!x->result)
        x->result = code;
}

static size_t take_header(char *line, size_t size, size_t n, void *data)
{
    struct exchange *x = data;
    size_t length = size * n;

    moved(x);
    x->header_bytes += length;
    if (x->header_bytes > HEADERS_MAX) {
        stop(x, box_fail(&x->error, BOX_ELIMIT, "the registry sent more than %u bytes of headers", HEADERS_MAX));
        return 0;
    }
    if (length > 5 && strncmp(line, "HTTP/", 5) == 0) { /* after a 100 (Continue) comes the real one */
        box_http_response_clear(x->response);
        return length;
    }
    int r = box_http_header(x->response, line, length, &x->error);
    if (r < 0)
        stop(x, r);
    return r < 0 ? 0 : length;
}

static int status_of(struct exchange *x)
{
    long status = 0;

    x->curl->easy_getinfo(x->session->easy, BOX_CURLINFO_RESPONSE_CODE, &status);
    return (int)status;
}

static size_t take_body(char *bytes, size_t size, size_t n, void *data)
{
    struct exchange *x = data;
    size_t length = size * n;
    int r = 0;

    moved(x);
    if (!x->response->status)
        x->response->status = status_of(x);
    bool success = x->response->status / 100 == 2;
    if (success && x->request->sink) {
        r = x->request->sink(x->request->sink_data, x->response, bytes, length, &x->error);
    } else {
        size_t max = success ? x->request->max : BOX_HTTP_ERROR_BODY, room = max - x->response->body.length;
        if (length > room && success)
            r = box_fail(&x->error, BOX_ELIMIT, "the registry's answer is longer than %zu bytes", max);
        else /* an error's text is cut: what was to be said stands at its beginning */
            box_buffer_append(&x->response->body, bytes, length < room ? length : room);
        if (!box_buffer_ok(&x->response->body))
            r = box_fail_nomem(&x->error);
    }
    if (r < 0)
        stop(x, r);
    return r < 0 ? length + 1 : length;
}

static size_t give_body(char *bytes, size_t size, size_t n, void *data)
{
    struct exchange *x = data;
    const struct box_http_body *body = x->request->body;
    uint64_t left = body->length - x->sent, room = (uint64_t)size * n;
    size_t length = (size_t)(left < room ? left : room);

    moved(x);
    if (body->data) {
        memcpy(bytes, (const char *)body->data + body->offset + x->sent, length);
    } else if (length) {
        ssize_t got = body->read(body->source, body->offset + x->sent, bytes, length, &x->error);
        if (got <= 0) {
            stop(x, got < 0 ? (int)got : box_fail(&x->error, BOX_ECORRUPT, "what is to be sent is shorter than it was"));
            return BOX_CURL_READFUNC_ABORT;
        }
        length = (size_t)got;
    }
    x->sent += length;
    int r = body->tick ? body->tick(body->tick_data, x->sent, &x->error) : 0;
    if (r < 0) {
        stop(x, r);
        return BOX_CURL_READFUNC_ABORT;
    }
    return length;
}

/* libcurl goes back, to send all of it again, when a kept connection turns out to be closed. It does so too when some
 * was sent already: a request that must not be made twice is ended there. */
static int seek_body(void *data, int64_t offset, int origin)
{
    struct exchange *x = data;

    if (x->request->body->once && x->sent)
        return 1; /* CURL_SEEKFUNC_FAIL */
    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > x->request->body->length)
        return 2; /* CURL_SEEKFUNC_CANTSEEK */
    x->sent = (uint64_t)offset;
    return 0;
}

/* ---- Setting up ---- */

static int add_header(struct exchange *x, const char *name, const char *value, box_error **err)
{
    _secret_ char *line = value ? box_strf("%s: %s", name, value) : box_strf("%s:", name);
    struct curl_slist *more = line ? x->curl->slist_append(x->headers, line) : NULL;

    if (!more)
        return box_fail_nomem(err);
    x->headers = more;
    return 0;
}

static int add_headers(struct exchange *x, box_error **err)
{
    const struct {
        const char *name, *value;
    } headers[] = {
        {"Accept", x->request->accept},
        {"Content-Type", x->request->content_type},
        {"Content-Range", x->request->content_range},
        {"Range", x->request->range},
        {"Authorization", x->request->authorization},
    };
    int r = add_header(x, "Expect", NULL, err); /* not: a body is sent at once */

    for (size_t i = 0; r == 0 && i < BOX_ARRAY(headers); i++)
        if (headers[i].value)
            r = add_header(x, headers[i].name, headers[i].value, err);
    if (r == 0 && !x->request->accept)
        r = add_header(x, "Accept", "*/*", err);
    if (r == 0 && x->request->body && !x->request->content_type)
        r = add_header(x, "Content-Type", "application/octet-stream", err);
    return r;
}

/* The system's CAs and those of this host, one after the other: libcurl takes one text. */
static int set_ca(struct exchange *x, const struct box_host_settings *host, box_error **err)
{
    const char *path = box_curl_cainfo(x->curl);
    _buffer_ struct box_buffer all = {0};
    _free_ char *system = NULL;
    size_t n = 0;

    if (path && access(path, R_OK) == 0) {
        int r = box_file_read(AT_FDCWD, path, 16u << 20, &system, &n, err);
        if (r < 0)
            return r;
    }
    if (system)
        box_buffer_append(&all, system, n);
    box_buffer_putc(&all, '\n');
    box_buffer_append(&all, host->ca, host->n_ca);
    x->ca.length = all.length;
    x->ca_text = box_buffer_take(&all);
    x->ca.data = x->ca_text;
    x->ca.flags = BOX_CURL_BLOB_NOCOPY;
    return x->ca_text ? 0 : box_fail_nomem(err);
}

struct setting {
    int option;
    const void *pointer; /* for all but longs */
    long number;
};

static int apply(struct exchange *x, const struct setting *settings, size_t n, box_error **err)
{
    for (size_t i = 0; i < n; i++) {
        int code = settings[i].option < BOX_CURL_POINTER
                       ? x->curl->easy_setopt(x->session->easy, settings[i].option, settings[i].number)
                       : x->curl->easy_setopt(x->session->easy, settings[i].option, settings[i].pointer);
        if (code == BOX_CURLE_OUT_OF_MEMORY)
            return box_fail_nomem(err);
        if (code != 0) {
            struct box_fail_info info = {.code = BOX_EUNSUPPORTED, .call = "curl_easy_setopt"};
            return box_fail_with(err, &info, "libcurl does not take option %d: %s", settings[i].option,
                                 x->curl->easy_strerror(code));
        }
    }
    return 0;
}

static int set_trust(struct exchange *x, const struct box_host_settings *host, box_error **err)
{
    int r = host && host->ca ? set_ca(x, host, err) : 0;
    const struct setting settings[] = {
        {BOX_CURLOPT_SSLVERSION, NULL, BOX_CURL_SSLVERSION_TLSv1_2},
        {BOX_CURLOPT_SSL_VERIFYPEER, NULL, host && host->untrusted ? 0 : 1},
        {BOX_CURLOPT_SSL_VERIFYHOST, NULL, host && host->untrusted ? 0 : 2},
        {BOX_CURLOPT_SSLCERT, host ? host->certificate : NULL, 0},
        {BOX_CURLOPT_SSLKEY, host ? host->key : NULL, 0},
        {BOX_CURLOPT_CAINFO_BLOB, x->ca_text ? &x->ca : NULL, 0},
    };

    return r < 0 ? r : apply(x, settings, BOX_ARRAY(settings) - (x->ca_text ? 0 : 1), err);
}

static int set_proxy(struct exchange *x, const char *authority, box_error **err)
{
    const struct box_registry *registry = x->call->registry;
    struct setting settings[] = {{BOX_CURLOPT_PROXY, registry->proxy ? registry->proxy : "", 0},
                                 {BOX_CURLOPT_NOPROXY, registry->no_proxy ? registry->no_proxy : "", 0}};
    const struct setting direct[] = {{BOX_CURLOPT_PROXY, "", 0}};

    if (registry->proxy_set)
        return apply(x, settings, BOX_ARRAY(settings), err);
    /* The environment's proxy is not for this machine itself. */
    return box_client_is_loopback(authority) ? apply(x, direct, BOX_ARRAY(direct), err) : 0;
}

/* Callbacks are handed over by themselves: a pointer to a function is no pointer to void. */
static int set_callbacks(struct exchange *x)
{
    const struct box_curl *curl = x->curl;
    void *easy = x->session->easy;
    int r = curl->easy_setopt(easy, BOX_CURLOPT_HEADERFUNCTION, take_header);

    r |= curl->easy_setopt(easy, BOX_CURLOPT_WRITEFUNCTION, take_body);
    if (!x->request->body)
        return r;
    r |= curl->easy_setopt(easy, BOX_CURLOPT_READFUNCTION, give_body);
    r |= curl->easy_setopt(easy, BOX_CURLOPT_SEEKFUNCTION, seek_body);
    return r | curl->easy_setopt(easy, BOX_CURLOPT_INFILESIZE_LARGE, (int64_t)x->request->body->length);
}

static int set_up(struct exchange *x, const struct box_url *url, box_error **err)
{
    const struct box_registry *registry = x->call->registry;
    _free_ char *text = box_url_format(url), *authority = box_url_authority(url);
    bool head = strcmp(x->request->method, "HEAD") == 0;

    if (!text || !authority)
        return box_fail_nomem(err);
    const struct setting settings[] = {
        {BOX_CURLOPT_ERRORBUFFER, x->said, 0},
        {BOX_CURLOPT_NOSIGNAL, NULL, 1},
        {BOX_CURLOPT_URL, text, 0},
        {BOX_CURLOPT_PATH_AS_IS, NULL, 1},
        {BOX_CURLOPT_PROTOCOLS, NULL, url->tls ? BOX_CURL_PROTO_HTTPS : BOX_CURL_PROTO_HTTP},
        {BOX_CURLOPT_SUPPRESS_CONNECT_HEADERS, NULL, 1},
        {BOX_CURLOPT_CONNECTTIMEOUT_MS, NULL, registry->connect_ms},
        {BOX_CURLOPT_BUFFERSIZE, NULL, BUFFER_BYTES},
        {BOX_CURLOPT_USERAGENT, registry->user_agent, 0},
        {BOX_CURLOPT_HEADERDATA, x, 0},
        {BOX_CURLOPT_WRITEDATA, x, 0},
        {BOX_CURLOPT_READDATA, x, 0},
        {BOX_CURLOPT_SEEKDATA, x, 0},
        {BOX_CURLOPT_UPLOAD_BUFFERSIZE, NULL, BUFFER_BYTES},
        {BOX_CURLOPT_UPLOAD, NULL, x->request->body != NULL},
        {BOX_CURLOPT_NOBODY, NULL, head},
        {BOX_CURLOPT_CUSTOMREQUEST, head ? NULL : x->request->method, 0},
        {BOX_CURLOPT_HTTPHEADER, x->headers, 0},
    };
    x->curl->easy_reset(x->session->easy);
    int r = apply(x, settings, BOX_ARRAY(settings), err);
    if (r == 0 && set_callbacks(x) != 0)
        r = box_fail(err, BOX_EUNSUPPORTED, "libcurl does not take a callback");
    if (r == 0)
        r = set_trust(x, box_client_host(x->call->registry, box_client_domain(authority), false), err);
    return r < 0 ? r : set_proxy(x, authority, err);
}

/* ---- Running ---- */

static int fail_stalled(const struct exchange *x, box_error **err)
{
    x->response->transient = true;
    x->response->no_host = !x->reached;
    return box_fail(err, BOX_ESYSTEM, x->reached ? "the registry has stopped sending"
                                                 : "the registry does not answer");
}

/* Milliseconds until the next thing has to be looked at; 0 with a code in *result when it is over. */
static int time_left(const struct exchange *x, int *result, box_error **err)
{
    const struct box_registry *registry = x->call->registry;
    int64_t most = (int64_t)registry->stall_ms * (x->request->patience ? x->request->patience : 1);
    int64_t since = x->active + (most + (x->reached ? 0 : registry->connect_ms)) * BOX_MS - box_clock_ns();

    *result = box_call_check(x->call, err);
    if (*result == 0 && since <= 0)
        *result = fail_stalled(x, err);
    if (*result < 0)
        return 0;
    int64_t left = box_deadline_left_ns(x->call->deadline);
    left = left < since ? left : since;
    int most_ms = x->call->idle ? BOX_CALL_IDLE_MS : 1000;
    return left / BOX_MS > most_ms ? most_ms : (int)(left / BOX_MS) + 1;
}

static int fail_by_code(struct exchange *x, int code, box_error **err)
{
    struct box_http_response *response = x->response;
    _buffer_ struct box_buffer said = {0};
    struct box_fail_info info = {.code = BOX_ESYSTEM, .call = "libcurl"};
    const char *text = x->said[0] ? x->said : x->curl->easy_strerror(code);

    response->no_tls = code == BOX_CURLE_SSL_CONNECT_ERROR;
    response->no_host = code == BOX_CURLE_COULDNT_CONNECT || code == BOX_CURLE_COULDNT_RESOLVE_HOST ||
                        code == BOX_CURLE_COULDNT_RESOLVE_PROXY ||
                        (code == BOX_CURLE_OPERATION_TIMEDOUT && !x->reached);
    switch (code) {
    case BOX_CURLE_OUT_OF_MEMORY:
        return box_fail_nomem(err);
    case BOX_CURLE_PEER_FAILED_VERIFICATION:
        info.remedy = "name the CA that signed it, with box_registry_set_ca() or in /etc/docker/certs.d/HOST/ca.crt";
        info.code = BOX_EPERMISSION;
        break;
    case BOX_CURLE_SSL_CERTPROBLEM:
    case BOX_CURLE_SSL_CACERT_BADFILE:
        info.code = BOX_EPERMISSION;
        break;
    case BOX_CURLE_UNSUPPORTED_PROTOCOL:
    case BOX_CURLE_URL_MALFORMAT:
        break;
    default:
        response->transient = true;
    }
    box_text_append_clean(&said, text, strlen(text), ERROR_SIZE);
    return box_fail_with(err, &info, "%s", box_buffer_ok(&said) && said.data ? said.data : "the transfer failed");
}

static int finish(struct exchange *x, box_error **err)
{
    struct box_curl_message *message;
    int left, code = -1;

    while ((message = x->curl->multi_info_read(x->session->multi, &left)))
        if (message->kind == BOX_CURL_MSG_DONE)
            code = message->data.result;
    if (x->result < 0) {
        if (err)
            *err = box_take(x->error);
        return x->result;
    }
    if (code != BOX_CURLE_OK)
        return fail_by_code(x, code, err);
    x->response->status = status_of(x);
    return 0;
}

static int perform(struct exchange *x, int *running)
{
    struct masked masked;

    mask_signals(&masked);
    int code = x->curl->multi_perform(x->session->multi, running);
    unmask_signals(&masked);
    return code;
}

static int run(struct exchange *x, box_error **err)
{
    struct box_curl_waitfd cancel = {x->call->cancel_fd, BOX_CURL_WAIT_POLLIN, 0};
    int running = 1, ready = 0, r = 0;

    for (;;) {
        if (perform(x, &running) != 0)
            return box_fail(err, BOX_ESYSTEM, "libcurl cannot go on");
        if (!running)
            return finish(x, err);
        int wait = time_left(x, &r, err);
        if (r < 0)
            return r;
        if (x->curl->multi_poll(x->session->multi, &cancel, cancel.fd >= 0, wait, &ready) != 0)
            return box_fail(err, BOX_ESYSTEM, "libcurl cannot wait");
    }
}

static int run_in_session(struct exchange *x, const struct box_url *url, box_error **err)
{
    struct masked masked;
    int r = set_up(x, url, err);

    if (r < 0)
        return r;
    x->active = box_clock_ns();
    if (x->curl->multi_add_handle(x->session->multi, x->session->easy) != 0)
        return box_fail_nomem(err);
    r = run(x, err);
    mask_signals(&masked);
    x->curl->multi_remove_handle(x->session->multi, x->session->easy);
    x->curl->easy_reset(x->session->easy);
    unmask_signals(&masked);
    return r;
}

int box_http_exchange(const struct box_call *call, const struct box_url *url, const struct box_http_request *request,
                      struct box_http_response *response, box_error **err)
{
    const struct box_curl *curl = box_curl(err);
    struct exchange x = {.curl = curl, .call = call, .request = request, .response = response};

    *response = (struct box_http_response){.length = -1, .retry_after_ms = -1};
    if (!curl)
        return BOX_ELIBRARY;
    int r = box_call_check(call, err);
    if (r == 0)
        r = add_headers(&x, err);
    if (r == 0 && !(x.session = session_take(curl, call->registry, err)))
        r = BOX_ENOMEM;
    if (r == 0)
        r = run_in_session(&x, url, err);
    if (x.session)
        session_give_back(curl, call->registry, x.session);
    if (x.headers)
        curl->slist_free_all(x.headers);
    free(x.ca_text);
    if (x.error)
        box_error_free(x.error);
    if (r < 0) {
        _free_ char *authority = box_url_authority(url);
        return box_fail_wrap(err, r, "%s", authority ? authority : url->host);
    }
    return 0;
}
