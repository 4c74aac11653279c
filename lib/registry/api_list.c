/* Tags and catalog: lists in pages, each of which names the next one in a Link. Pages, entries and bytes are
 * counted, since a registry can go on for ever; the next page must be on the registry itself. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "registry/api.h"

#define ENTRIES_MAX 1000000
#define PAGES_MAX   20000
#define PAGE_SIZE   1000

struct listing {
    const struct box_call *call;
    struct box_target *target;
    const char *scope, *key, *what;
    char **strings;
    size_t n, capacity;
};

static int add(struct listing *list, const char *text, box_error **err)
{
    if (list->n >= ENTRIES_MAX)
        return box_fail(err, BOX_ELIMIT, "the registry lists more than %u entries", ENTRIES_MAX);
    if (list->n + 1 >= list->capacity) {
        size_t larger = list->capacity ? list->capacity * 2 : 64;
        char **grown = realloc(list->strings, larger * sizeof(*grown));
        if (!grown)
            return box_fail_nomem(err);
        list->strings = grown;
        list->capacity = larger;
    }
    list->strings[list->n] = strdup(text);
    if (!list->strings[list->n])
        return box_fail_nomem(err);
    list->strings[++list->n] = NULL;
    return 0;
}

/* A name that a reference could have: no control characters, no megabytes. */
static bool is_name(const char *text)
{
    size_t n = strlen(text);

    return n > 0 && n <= 512 &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/") == n;
}

static int take_page(struct listing *list, const struct box_http_response *response, box_error **err)
{
    const struct box_json_limits limits = {.size = BOX_DOCUMENT_MAX, .depth = 8};
    _cleanup_(box_error) box_error *own = NULL;
    box_error **where = err ? err : &own;
    _cleanup_(json_object) json_object *page = box_json_parse(response->body.data ? response->body.data : "",
                                                              response->body.length, &limits, list->what, where);
    const struct box_json_at root = BOX_JSON_ROOT(page);
    struct box_json_at entries;
    size_t n = 0;
    int r = page ? box_json_as_object(&root, err) : box_error_code(*where);

    if (r == 0) /* null, where there are none */
        r = box_json_get_array(&root, list->key, BOX_JSON_OPTIONAL, &entries, &n, err);
    for (size_t i = 0; r == 0 && i < n; i++) {
        struct box_json_at element = box_json_element(&entries, i);
        const char *text = NULL;
        r = box_json_as_string(&element, &text, err);
        if (r == 0 && !is_name(text))
            r = box_json_fail(&element, err, "not a name");
        if (r == 0)
            r = add(list, text, err);
    }
    return r;
}

/* Gets one page, whose URL is *location; then that is the next one's, or NULL. */
static int get_page(struct listing *list, char **location, char **from, box_error **err)
{
    _response_ struct box_http_response response = {0};
    _free_ char *url = NULL, *next = NULL;
    _url_ struct box_url base = {0}, target = {0};
    const struct box_request request = {.method = "GET", .location = *location, .from = *from, .scope = list->scope,
                                        .accept = "application/json", .max = BOX_DOCUMENT_MAX, .url = &url};
    int r = box_request_send(list->call, list->target, &request, &response, err);

    if (r < 0)
        return r;
    if (response.status != 200)
        return box_request_fail(list->target, &response, err, "list %s", list->what);
    r = take_page(list, &response, err);
    if (r == 0 && response.link)
        r = box_link_next(response.link, &next, err);
    if (r == 0 && next && (r = box_url_parse(url, &base, err)) == 0)
        r = box_url_resolve(&base, next, &target, err);
    if (r == 0 && next && !box_url_same_origin(&target, &list->target->base))
        r = box_fail(err, BOX_EPARSE, "the registry continues a list on another host");
    if (r == 0 && next && strcmp(next, *location) == 0)
        r = box_fail(err, BOX_EPARSE, "the registry continues a list where it began");
    free(*location);
    free(*from);
    *location = box_take(next);
    *from = box_take(url);
    return r;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int get_all(struct listing *list, const char *path, char ***out, box_error **err)
{
    _free_ char *location = strdup(path), *from = NULL;
    int r = location ? 0 : box_fail_nomem(err);
    unsigned pages = 0;

    while (r == 0 && location) {
        if (pages++ >= PAGES_MAX)
            r = box_fail(err, BOX_ELIMIT, "the registry lists in more than %u pages", PAGES_MAX);
        else
            r = get_page(list, &location, &from, err);
    }
    if (r == 0 && !list->strings && !(list->strings = calloc(1, sizeof(*list->strings))))
        r = box_fail_nomem(err);
    if (r < 0) {
        box_strv_free(list->strings);
        return r;
    }
    if (list->n)
        qsort(list->strings, list->n, sizeof(*list->strings), compare);
    *out = list->strings;
    return 0;
}

int box_registry_tags(box_registry *registry, const char *repository, char ***tags, box_error **err)
{
    struct box_call call;
    _target_ struct box_target target = {0};
    _reference_ struct box_reference name = {0};
    int r = box_call_init(&call, registry, NULL, err);

    if (r == 0 && (!repository || !tags))
        r = box_fail(err, BOX_EINVAL, "box_registry_tags: repository and tags must not be NULL");
    if (r == 0)
        r = box_reference_read(repository, &name, err);
    if (r == 0 && (name.tag_given || name.digest))
        r = box_fail(err, BOX_EINVAL, "a repository has neither tag nor digest: %s", repository);
    if (r == 0)
        r = box_target_open(&call, name.domain, &target, err);
    if (r < 0)
        return r;
    _free_ char *scope = box_api_scope(&target, name.path, "pull");
    _free_ char *path = box_api_path(&target, name.path, "tags/list?n=%u", PAGE_SIZE);
    struct listing list = {.call = &call, .target = &target, .scope = scope, .key = "tags", .what = name.path};
    return scope && path ? get_all(&list, path, tags, err) : box_fail_nomem(err);
}

int box_registry_catalog(box_registry *registry, const char *domain, char ***repositories, box_error **err)
{
    struct box_call call;
    _target_ struct box_target target = {0};
    struct listing list = {.call = &call, .target = &target, .scope = "registry:catalog:*", .key = "repositories",
                           .what = "repositories"};
    int r = box_call_init(&call, registry, NULL, err);

    if (r == 0 && (!domain || !repositories))
        r = box_fail(err, BOX_EINVAL, "box_registry_catalog: domain and repositories must not be NULL");
    if (r == 0)
        r = box_target_open(&call, domain, &target, err);
    return r < 0 ? r : get_all(&list, "/v2/_catalog?n=1000", repositories, err);
}
