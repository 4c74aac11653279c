/* Opening libcrypto, at most once in the life of the process.
 *
 * The one piece of static state in libbox's base: a table of function addresses, filled in by whoever comes
 * first and the same whoever that is. Opening and fetching anew for each digest would cost more than the
 * digest of a small blob. The library is never closed, since other threads may be inside it.
 *
 * A library context of our own keeps the host's use of OpenSSL as it is: nothing here makes OpenSSL read its
 * configuration, and no setting of the host's or of OPENSSL_CONF changes what our digests are computed by. */
#include "base/libcrypto.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "base/dlnote.h"

#define SONAME "libcrypto.so.3"

BOX_DLOPEN_NOTE(libcrypto, "digests of image content by the processor's own instructions", "recommended",
                SONAME);

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct box_libcrypto table;
static bool usable;

static bool find(void *library, const char *name, void *function)
{
    void *found = dlsym(library, name);

    memcpy(function, &found, sizeof(found));
    return found;
}

static bool fill(void *library)
{
    void *(*context_new)(void);
    void *(*md_fetch)(void *context, const char *algorithm, const char *properties);

    if (!find(library, "EVP_MD_CTX_new", &table.ctx_new) ||
        !find(library, "EVP_MD_CTX_free", &table.ctx_free) ||
        !find(library, "EVP_DigestInit_ex", &table.init) ||
        !find(library, "EVP_DigestUpdate", &table.update) ||
        !find(library, "EVP_DigestFinal_ex", &table.final) ||
        !find(library, "OSSL_LIB_CTX_new", &context_new) || !find(library, "EVP_MD_fetch", &md_fetch))
        return false;
    void *context = context_new();
    if (!context)
        return false;
    table.sha256 = md_fetch(context, "SHA2-256", NULL);
    table.sha512 = md_fetch(context, "SHA2-512", NULL);
    return table.sha256 && table.sha512;
}

static void open_once(void)
{
    void *library = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL);

    usable = library && fill(library);
}

const struct box_libcrypto *box_libcrypto(void)
{
    return pthread_once(&once, open_once) == 0 && usable ? &table : NULL;
}
