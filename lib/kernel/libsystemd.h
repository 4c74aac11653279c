/* libsystemd's D-Bus client, opened when it is first needed. Names are the library's own without "sd_bus_"; their manual
 * pages are sd-bus(3). The types are declared here, so that no header of its is needed to build. */
#ifndef BOX_KERNEL_LIBSYSTEMD_H
#define BOX_KERNEL_LIBSYSTEMD_H

#include <stdint.h>

#include "base/fail.h"

typedef struct sd_bus sd_bus;
typedef struct sd_bus_message sd_bus_message;
typedef struct sd_bus_slot sd_bus_slot;
/* Its layout is part of the library's interface: callers have it on their stack. */
typedef struct sd_bus_failure {
    const char *name;
    const char *message;
    int need_free;
} sd_bus_failure;
typedef int sd_bus_handler(sd_bus_message *message, void *data, sd_bus_failure *failure);

struct box_libsystemd {
    int (*new)(sd_bus **);
    int (*open_user)(sd_bus **);
    int (*open_system)(sd_bus **);
    int (*set_address)(sd_bus *, const char *address);
    int (*set_bus_client)(sd_bus *, int yes);
    int (*start)(sd_bus *);
    sd_bus *(*close_unref)(sd_bus *);
    int (*process)(sd_bus *, sd_bus_message **);
    int (*wait)(sd_bus *, uint64_t usec);
    int (*match_signal)(sd_bus *, sd_bus_slot **, const char *sender, const char *path, const char *interface,
                        const char *member, sd_bus_handler *, void *data);
    int (*message_new_method_call)(sd_bus *, sd_bus_message **, const char *destination, const char *path,
                                   const char *interface, const char *member);
    int (*call)(sd_bus *, sd_bus_message *, uint64_t usec, sd_bus_failure *, sd_bus_message **reply);
    int (*message_append_basic)(sd_bus_message *, char type, const void *);
    int (*message_open_container)(sd_bus_message *, char type, const char *contents);
    int (*message_close_container)(sd_bus_message *);
    int (*message_read)(sd_bus_message *, const char *types, ...);
    sd_bus_message *(*message_unref)(sd_bus_message *);
    void (*error_free)(sd_bus_failure *);
};

/* The table; NULL with BOX_ELIBRARY when libsystemd is not installed or libbox was built without it. Any thread. */
const struct box_libsystemd *box_libsystemd(box_error **err);

#endif
