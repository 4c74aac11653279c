/* The host report: the libraries that libbox opens when they are first needed. Opening them is what tells;
 * they are let go at once. */
#include <dlfcn.h>

#include "kernel/host_report.h"

static const struct {
    const char *id;
    const char *names[3]; /* the newest first */
    const char *without;  /* what is done in its place; NULL: nothing */
    const char *remedy;
} libraries[] = {
    {"library.archive",
     {"libarchive.so.13"},
     NULL,
     "apt-get install libarchive13, dnf install libarchive, or apk add libarchive"},
    {"library.crypto",
     {"libcrypto.so.3", "libcrypto.so.1.1"},
     "digests are made by slower code of libbox",
     "apt-get install libssl3, dnf install openssl-libs, or apk add libcrypto3"},
    {"library.zlib", {"libz.so.1"}, NULL, "apt-get install zlib1g, dnf install zlib, or apk add zlib"},
    {"library.isal",
     {"libisal.so.2"},
     "zlib takes its place, at a third of the speed",
     "apt-get install libisal2, dnf install isa-l, or apk add isa-l"},
    {"library.zstd",
     {"libzstd.so.1"},
     NULL,
     "apt-get install libzstd1, dnf install libzstd, or apk add zstd-libs"},
    {"library.systemd",
     {"libsystemd.so.0"},
     "cgroups are made by libbox itself (cgroupfs)",
     "apt-get install libsystemd0, or dnf install systemd-libs"},
    {"library.curl",
     {"libcurl.so.4", "libcurl-gnutls.so.4"},
     NULL,
     "apt-get install libcurl4, dnf install libcurl, or apk add libcurl"},
};

void box_host_probe_libraries(box_host *h)
{
    for (size_t i = 0; i < BOX_ARRAY(libraries); i++) {
        const char *found = NULL;
        for (size_t k = 0; k < BOX_ARRAY(libraries[i].names) && libraries[i].names[k] && !found; k++) {
            void *handle = dlopen(libraries[i].names[k], RTLD_LAZY | RTLD_LOCAL);
            if (handle) {
                found = libraries[i].names[k];
                dlclose(handle);
            }
        }
        const char *without = libraries[i].without;
        box_host_set(h, libraries[i].id,
                     found     ? BOX_HOST_OK
                     : without ? BOX_HOST_DEGRADED
                               : BOX_HOST_MISSING,
                     found ? NULL : libraries[i].remedy, "%s",
                     found     ? found
                     : without ? without
                               : "");
    }
}
