/* Units of systemd's, inside the library. Public face: libbox/systemd.h.
 *
 *     libsystemd.c          the library, opened on first use
 *     systemd_unit.c        a unit from its name to its end: what is said to systemd, and when
 *     systemd_property.c    properties as a list, and GVariant text to properties
 *     systemd_limits.c      limits to properties
 *     systemd_bus.c         the connection, calls and their failures, waiting for a job
 *
 * Everything that is sent is a list of properties first, which needs neither a bus nor the library. */
#ifndef BOX_KERNEL_SYSTEMD_H
#define BOX_KERNEL_SYSTEMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libbox/systemd.h>
#include "base/clock.h"
#include "base/fail.h"
#include "kernel/libsystemd.h"

/* ---- systemd_property.c ---- */

struct systemd_item {
    char *text;      /* of types s and o */
    uint64_t number; /* of the others; negative ones are sign-extended */
};
struct systemd_property {
    char *name;
    char fields[3]; /* the type of an element: one letter, or two for a tuple */
    bool array;     /* otherwise one element, of one field */
    struct systemd_item *items; /* element by element, field by field */
    size_t n, capacity;
};
struct systemd_properties {
    struct systemd_property *list;
    size_t n, capacity;
};
void systemd_properties_clear(struct systemd_properties *p);
#define _systemd_properties_ __attribute__((cleanup(systemd_properties_clear)))

/* Each replaces a property of the same name. BOX_ENOMEM. */
int systemd_put_bool(struct systemd_properties *p, const char *name, bool value, box_error **err);
int systemd_put_u64(struct systemd_properties *p, const char *name, uint64_t value, box_error **err);
int systemd_put_text(struct systemd_properties *p, const char *name, const char *value, box_error **err);
/* An empty array, to be filled by the next two. NULL: out of memory. */
struct systemd_property *systemd_put_array(struct systemd_properties *p, const char *name, const char *fields,
                                           box_error **err);
int systemd_add_text(struct systemd_property *p, const char *text, box_error **err);
int systemd_add_number(struct systemd_property *p, uint64_t number, box_error **err);
const struct systemd_property *systemd_find(const struct systemd_properties *p, const char *name);
/* GVariant text, as box_systemd_unit_set_property() has it. */
int systemd_parse_property(struct systemd_properties *p, const char *name, const char *value, box_error **err);
/* Adds copies of all of `from`, over those of the same name. */
int systemd_put_all(struct systemd_properties *p, const struct systemd_properties *from, box_error **err);
/* "s", "as", "a(ss)" */
void systemd_type_of(const struct systemd_property *p, char type[8]);

/* ---- systemd_limits.c ---- */

struct systemd_host {
    unsigned version;  /* of systemd */
    bool unified;      /* cgroup v2 alone */
    bool devices;      /* device rules can be had: not from a user's manager */
    const char *names; /* the text of /proc/devices; NULL: none is known */
};
/* Those of the limits that this systemd has properties for. */
int systemd_put_limits(struct systemd_properties *p, const box_limits *limits, const struct systemd_host *host,
                       box_error **err);

/* ---- systemd_bus.c ---- */

struct systemd_bus {
    const struct box_libsystemd *lib;
    sd_bus *bus;
    bool direct; /* to systemd itself, without a bus between */
    struct box_deadline deadline;
    struct systemd_jobs *jobs;
};
#define SYSTEMD_BUS_NONE ((struct systemd_bus){NULL})
void systemd_bus_close(struct systemd_bus *b);
#define _systemd_bus_ __attribute__((cleanup(systemd_bus_close)))
int systemd_bus_open(struct systemd_bus *b, const char *address, bool user, box_error **err);

/* What a call ended with, beside its code. */
enum systemd_answer { SYSTEMD_OK, SYSTEMD_NO_UNIT, SYSTEMD_UNIT_EXISTS, SYSTEMD_OTHER };

/* StartTransientUnit, and the end of its job. */
int systemd_start_unit(struct systemd_bus *b, const char *unit, const struct systemd_properties *properties,
                       enum systemd_answer *answer, box_error **err);
/* StopUnit, and the end of its job. */
int systemd_stop_unit(struct systemd_bus *b, const char *unit, enum systemd_answer *answer, box_error **err);
/* ResetFailedUnit. */
int systemd_reset_unit(struct systemd_bus *b, const char *unit, enum systemd_answer *answer, box_error **err);
/* SetUnitProperties, until the next reload of the machine. */
int systemd_set_unit(struct systemd_bus *b, const char *unit, const struct systemd_properties *properties,
                     box_error **err);
/* A property that is a string, of the unit's interface ("Unit", "Scope", "Slice") or, without a unit, of the manager's; to be
 * freed. */
int systemd_get_text(struct systemd_bus *b, const char *unit, const char *interface, const char *name, char **text,
                     enum systemd_answer *answer, box_error **err);

#endif
