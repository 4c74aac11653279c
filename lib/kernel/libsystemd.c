/* Opening libsystemd, at most once in the life of the process; the table is the same whoever fills it. It is never
 * closed, since other threads may be inside it. */
#include "kernel/libsystemd.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "base/dlnote.h"

#define SONAME "libsystemd.so.0"

BOX_DLOPEN_NOTE(libsystemd, "cgroups by way of systemd", "suggested", SONAME);

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct box_libsystemd table;
static bool usable;

#define FUNCTION(name)               \
    {                                \
        "sd_bus_" #name, &table.name \
    }

static void open_once(void)
{
    const struct {
        const char *name;
        void *slot; /* of a pointer to a function, all of which have the same size */
    } functions[] = {
        FUNCTION(new),
        FUNCTION(open_user),
        FUNCTION(open_system),
        FUNCTION(set_address),
        FUNCTION(set_bus_client),
        FUNCTION(start),
        FUNCTION(close_unref),
        FUNCTION(process),
        FUNCTION(wait),
        FUNCTION(match_signal),
        FUNCTION(message_new_method_call),
        FUNCTION(call),
        FUNCTION(message_append_basic),
        FUNCTION(message_open_container),
        FUNCTION(message_close_container),
        FUNCTION(message_read),
        FUNCTION(message_unref),
        FUNCTION(error_free),
    };
    void *library = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL);

    for (size_t i = 0; library && i < BOX_ARRAY(functions); i++) {
        void *found = dlsym(library, functions[i].name);
        if (!found)
            return;
        memcpy(functions[i].slot, &found, sizeof(found));
    }
    usable = library != NULL;
}

const struct box_libsystemd *box_libsystemd(box_error **err)
{
    if (pthread_once(&once, open_once) == 0 && usable)
        return &table;
    struct box_fail_info info = {
        .code = BOX_ELIBRARY,
        .call = "dlopen",
        .subject = SONAME,
        .remedy = "install libsystemd: the package libsystemd0 of Debian, systemd-libs of Fedora; or use the cgroupfs manager"};
    box_fail_with(err, &info, "systemd cannot be asked for a cgroup, since libsystemd is not installed");
    return NULL;
}
