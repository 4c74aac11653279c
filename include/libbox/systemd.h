/* Cgroups that systemd makes and owns: a transient unit, asked for over D-Bus.
 *
 * Where systemd is the machine's init, the cgroup hierarchy is its own, and whoever else wants a part of it asks for a
 * unit with Delegate=yes (systemd's CGROUP_DELEGATION.md; org.freedesktop.systemd1(5), StartTransientUnit). What is
 * below the unit is then ours. The limits that systemd knows are properties of the unit, so that `systemctl show` tells
 * them and a `systemctl daemon-reload` does not undo them; the others are written to the cgroup's files.
 *
 *     box_systemd_unit *unit = box_systemd_unit_new("machine.slice:myjobs:42", NULL, 0, &err);
 *     box_cgroup *cgroup = box_systemd_unit_start(unit, limits, &err);        myjobs-42.scope is active
 *     …start processes in the cgroup…
 *     box_systemd_unit_settle(unit, cgroup, limits, &err);                    what stood in for them goes
 *     …
 *     box_systemd_unit_stop(unit, &err);
 *     box_cgroup_free(cgroup);
 *     box_systemd_unit_free(unit);
 *
 * libsystemd is opened with dlopen(3) by the first call that needs it. Each call makes a connection of its own to the
 * bus and closes it; none waits longer than 30 s for systemd.
 *
 * Thread rules: a box_systemd_unit is for one thread at a time; start, and then settle or free, are for the same thread:
 * the process that stands in dies with the thread that made it. */
#ifndef LIBBOX_SYSTEMD_H
#define LIBBOX_SYSTEMD_H

#include <libbox/cgroup.h>
#include <libbox/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct box_systemd_unit box_systemd_unit;

enum box_systemd_flags {
    /* The user's own manager (systemd --user) in place of the system's: by DBUS_SESSION_BUS_ADDRESS, or the socket
     * `bus` in XDG_RUNTIME_DIR. */
    BOX_SYSTEMD_USER = 1 << 0
};

/* A unit by its place, "SLICE:PREFIX:NAME" as engines write it into linux.cgroupsPath: the scope PREFIX-NAME.scope (or
 * NAME.scope without a prefix) in SLICE; a NAME that ends in ".slice" is a slice of that name, whatever the prefix.
 * Without SLICE it is system.slice, and user.slice for a user's manager. NULL for place: "box-ID.scope" there. `id` is
 * what the unit's description names, and may be NULL when a place is given. Talks to nobody. To be freed with
 * box_systemd_unit_free(). BOX_ESPEC: not of that form, or not the names of units (systemd.unit(5)); "+" is escaped. */
BOX_API box_systemd_unit *box_systemd_unit_new(const char *place, const char *id, unsigned flags, box_error **err);
/* Ends the process that stands in, if there is one; the unit itself stays as long as something runs in it. NULL is
 * allowed. */
BOX_API void box_systemd_unit_free(box_systemd_unit *unit);
/* "myjobs-42.scope" and "machine.slice". Owned by the unit. */
BOX_API const char *box_systemd_unit_name(const box_systemd_unit *unit);
BOX_API const char *box_systemd_unit_slice(const box_systemd_unit *unit);

/* A further property for the start, over what libbox would say: its name as in D-Bus ("TimeoutStopUSec") and its value
 * as GVariant text: true, 5, "uint64 5", 'text', ['a', 'b'], "[('/dev/null', 'rw')]"; @TYPE in front says which
 * (GLib, "GVariant Text Format"). A name ending in "Sec" is a number of seconds and becomes "…USec", as runc has it.
 * BOX_ESPEC when the name or the value is malformed, or of a type that is not one of b y n q i u x t s o, an array of
 * these, or an array of tuples of two. PIDs and Slice cannot be given. */
BOX_API int box_systemd_unit_set_property(box_systemd_unit *unit, const char *name, const char *value, box_error **err);
/* The bus's address in place of the manager's own ("unix:path=/run/dbus/system_bus_socket"; sd_bus_set_address(3)).
 * NULL: the manager's own. */
BOX_API int box_systemd_unit_set_bus(box_systemd_unit *unit, const char *address, box_error **err);

/* Starts the unit and waits until it is active; opens its cgroup and applies the limits (NULL: none). A scope cannot be
 * without a process, so one that does nothing stands in for the caller's until box_systemd_unit_settle(): it shares our
 * memory, has none of our descriptors, and is no child that wait(2) would tell of. Until then pids.max is one higher.
 * The caller frees the cgroup. On failure the unit is stopped again.
 *
 * Errors: BOX_ELIBRARY (no libsystemd); BOX_EUNSUPPORTED (no systemd to be reached: the remedy is a cgroup of one's
 * own); BOX_EEXISTS (a unit of that name is active); BOX_EPERMISSION; BOX_ETIMEOUT; BOX_ESPEC (systemd refuses a
 * property, or does not know it: the message is its own); those of box_cgroup_create(). */
BOX_API box_cgroup *box_systemd_unit_start(box_systemd_unit *unit, const box_limits *limits, box_error **err);
/* Ends the process that stands in, now that others are in the cgroup, and sets the limit of processes to what it is to
 * be. */
BOX_API int box_systemd_unit_settle(box_systemd_unit *unit, box_cgroup *cgroup, const box_limits *limits,
                                    box_error **err);
/* Changes limits of a unit that runs, in systemd's account and in the cgroup; what is unset stays. Errors as
 * box_cgroup_apply() and above; after one, some may have been changed. */
BOX_API int box_systemd_unit_update(box_systemd_unit *unit, box_cgroup *cgroup, const box_limits *limits,
                                    box_error **err);
/* Stops the unit, which kills what is left in it, and makes systemd forget a failure. Only a unit that
 * box_systemd_unit_start() of the same place and id has made is stopped, in whichever process: by its description. One
 * that is gone already is no error. */
BOX_API int box_systemd_unit_stop(box_systemd_unit *unit, box_error **err);

#ifdef __cplusplus
}
#endif

#endif
