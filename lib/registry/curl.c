/* Opening libcurl, at most once in the life of the process; the table is the same whoever fills it. It is never
 * closed, since other threads may be inside it.
 *
 * curl_global_init(3) is safe beside other threads from 7.84 on (CURL_VERSION_THREADSAFE). Before that, a host
 * that uses libcurl itself calls it first, as libcurl asks of any program with threads; ours is made under a
 * once, so that libbox is not a danger to itself. */
#include "registry/curl.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "base/dlnote.h"

#define SONAME        "libcurl.so.4"
#define SONAME_GNUTLS "libcurl-gnutls.so.4"

BOX_DLOPEN_NOTE(libcurl, "pulling images from registries, and pushing them", "recommended", SONAME);

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct box_curl table;
static bool usable;

#define FUNCTION(name)             \
    {                              \
        "curl_" #name, &table.name \
    }

static void open_once(void)
{
    const struct {
        const char *name;
        void *slot; /* of a pointer to a function, all of which have the same size */
    } functions[] = {
        FUNCTION(global_init),         FUNCTION(version_info),     FUNCTION(easy_init),
        FUNCTION(easy_cleanup),        FUNCTION(easy_reset),       FUNCTION(easy_setopt),
        FUNCTION(easy_getinfo),        FUNCTION(easy_strerror),    FUNCTION(slist_append),
        FUNCTION(slist_free_all),      FUNCTION(multi_init),       FUNCTION(multi_cleanup),
        FUNCTION(multi_add_handle),    FUNCTION(multi_perform),    FUNCTION(multi_poll),
        FUNCTION(multi_remove_handle), FUNCTION(multi_info_read),
    };
    void *library = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL);

    if (!library)
        library = dlopen(SONAME_GNUTLS, RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; library && i < BOX_ARRAY(functions); i++) {
        void *found = dlsym(library, functions[i].name);
        if (!found)
            return;
        memcpy(functions[i].slot, &found, sizeof(found));
    }
    usable = library && table.global_init(BOX_CURL_GLOBAL_DEFAULT) == 0;
}

const struct box_curl *box_curl(box_error **err)
{
    if (pthread_once(&once, open_once) == 0 && usable)
        return &table;
    struct box_fail_info info = {.code = BOX_ELIBRARY,
                                 .call = "dlopen",
                                 .subject = SONAME,
                                 .remedy = "install libcurl, 7.66 or later: the package libcurl4 of Debian, libcurl "
                                           "of others"};
    box_fail_with(err, &info, "registries cannot be reached, since libcurl is not installed");
    return NULL;
}

/* The head of curl_version_info_data, as far as what is asked for. */
struct version_info {
    int age;
    const char *version;
    unsigned version_number;
    const char *host;
    int features;
    const char *ssl_version;
    long ssl_version_number;
    const char *libz_version;
    const char *const *protocols;
    const char *ares;
    int ares_number;
    const char *libidn;
    int iconv_version;
    const char *libssh_version;
    unsigned brotli_number;
    const char *brotli_version;
    unsigned nghttp2_number;
    const char *nghttp2_version;
    const char *quic_version;
    const char *cainfo, *capath;
};
#define AGE_WITH_CAINFO 6

const char *box_curl_cainfo(const struct box_curl *curl)
{
    const struct version_info *info = curl->version_info(AGE_WITH_CAINFO);

    return info && info->age >= AGE_WITH_CAINFO ? info->cainfo : NULL;
}
