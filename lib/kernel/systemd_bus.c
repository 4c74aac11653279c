/* Talking to systemd: a connection for one call of libbox's, its calls, and the wait for a job.
 *
 * A job (the starting or stopping of a unit) is answered at once with its path, and its end is a signal. The signals are
 * asked for before the job is, and all that come are kept until it is known which of them is ours. Whatever is waited for
 * has one deadline. Who answers is who owns systemd's name on the bus, which the bus gives to nobody else; on the machine's
 * private socket there is systemd alone. */
#include "kernel/systemd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/strings.h"

#define DEADLINE_MS 30000
#define JOBS_MOST   4096
#define NAME        "org.freedesktop.systemd1"
#define PATH        "/org/freedesktop/systemd1"
#define MANAGER     "org.freedesktop.systemd1.Manager"
#define PRIVATE     "unix:path=/run/systemd/private"

static const char no_systemd_remedy[] = "use the cgroupfs manager (--cgroup-manager cgroupfs, without --systemd-cgroup)";
static const char no_user_remedy[] = "log in through systemd-logind, or set DBUS_SESSION_BUS_ADDRESS; or use the cgroupfs manager";

/* Jobs that have ended, as they are told. */
struct systemd_jobs {
    struct ended {
        char *path, *result;
    } *list;
    size_t n, capacity;
    bool failed; /* for want of memory */
};

typedef sd_bus_message bus_message;

/* ---- the connection --------------------------------------------------------------------------------------------------- */

void systemd_bus_close(struct systemd_bus *b)
{
    if (b->bus)
        b->lib->close_unref(b->bus);
    for (size_t i = 0; b->jobs && i < b->jobs->n; i++) {
        free(b->jobs->list[i].path);
        free(b->jobs->list[i].result);
    }
    if (b->jobs)
        free(b->jobs->list);
    free(b->jobs);
    *b = SYSTEMD_BUS_NONE;
}

static int note_job(bus_message *message, void *data, sd_bus_failure *failure)
{
    struct systemd_bus *b = data;
    const char *path = NULL, *unit = NULL, *result = NULL;
    uint32_t id = 0;

    (void)failure;
    if (b->lib->message_read(message, "uoss", &id, &path, &unit, &result) < 0 || b->jobs->n >= JOBS_MOST)
        return 0;
    struct ended *job = box_array_add(&b->jobs->list, &b->jobs->n, &b->jobs->capacity);
    if (job) {
        job->path = strdup(path);
        job->result = strdup(result);
    }
    b->jobs->failed |= !job || !job->path || !job->result;
    return 0;
}

static int open_address(struct systemd_bus *b, const char *address)
{
    int r = b->lib->new(&b->bus);

    if (r >= 0)
        r = b->lib->set_address(b->bus, address);
    if (r >= 0 && !b->direct)
        r = b->lib->set_bus_client(b->bus, 1);
    if (r >= 0)
        r = b->lib->start(b->bus);
    if (r < 0 && b->bus)
        b->bus = (b->lib->close_unref(b->bus), NULL);
    return r;
}

static int connect_to(struct systemd_bus *b, const char *address, bool user)
{
    if (address)
        return open_address(b, address);
    if (user)
        return b->lib->open_user(&b->bus);
    int r = b->lib->open_system(&b->bus);
    if (r >= 0)
        return r;
    /* A machine without a bus still has systemd's own socket, for root. */
    b->direct = true;
    return open_address(b, PRIVATE) < 0 ? r : 0;
}

int systemd_bus_open(struct systemd_bus *b, const char *address, bool user, box_error **err)
{
    *b = SYSTEMD_BUS_NONE;
    b->lib = box_libsystemd(err);
    if (!b->lib)
        return BOX_ELIBRARY;
    b->deadline = box_deadline_in_ms(DEADLINE_MS);
    b->jobs = calloc(1, sizeof(*b->jobs));
    if (!b->jobs)
        return box_fail_nomem(err);
    int r = connect_to(b, address, user);
    if (r >= 0)
        r = b->lib->match_signal(b->bus, NULL, b->direct ? NULL : NAME, PATH, MANAGER, "JobRemoved", note_job, b);
    if (r >= 0)
        return 0;
    systemd_bus_close(b);
    if (r == -ENOMEM)
        return box_fail_nomem(err);
    return box_fail_with(err, &(struct box_fail_info){.code = r == -EACCES || r == -EPERM ? BOX_EPERMISSION : BOX_EUNSUPPORTED,
                                                      .errnum = -r, .call = user ? "sd_bus_open_user" : "sd_bus_open_system",
                                                      .remedy = user ? no_user_remedy : no_systemd_remedy},
                         user ? "there is no bus of the user's to reach systemd by" : "there is no bus to reach systemd by");
}

/* ---- calls --------------------------------------------------------------------------------------------------------------- */

static const struct meaning {
    const char *name;
    int code;
    enum systemd_answer answer;
} meanings[] = {
    {"org.freedesktop.systemd1.NoSuchUnit", BOX_ENOTFOUND, SYSTEMD_NO_UNIT},
    {"org.freedesktop.systemd1.UnitExists", BOX_EEXISTS, SYSTEMD_UNIT_EXISTS},
    {"org.freedesktop.systemd1.UnitMasked", BOX_ESTATE, SYSTEMD_OTHER},
    {"org.freedesktop.DBus.Error.AccessDenied", BOX_EPERMISSION, SYSTEMD_OTHER},
    {"org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", BOX_EPERMISSION, SYSTEMD_OTHER},
    {"org.freedesktop.DBus.Error.InvalidArgs", BOX_ESPEC, SYSTEMD_OTHER},
    {"org.freedesktop.DBus.Error.PropertyReadOnly", BOX_ESPEC, SYSTEMD_OTHER},
    {"org.freedesktop.DBus.Error.UnknownProperty", BOX_ESPEC, SYSTEMD_OTHER},
    {"org.freedesktop.DBus.Error.InconsistentMessage", BOX_ESPEC, SYSTEMD_OTHER},
    {"org.freedesktop.DBus.Error.NoReply", BOX_ETIMEOUT, SYSTEMD_OTHER},
    {"org.freedesktop.DBus.Error.Timeout", BOX_ETIMEOUT, SYSTEMD_OTHER},
    {"org.freedesktop.DBus.Error.NoMemory", BOX_ENOMEM, SYSTEMD_OTHER},
    {"org.freedesktop.DBus.Error.ServiceUnknown", BOX_EUNSUPPORTED, SYSTEMD_OTHER},
    {"org.freedesktop.DBus.Error.NameHasNoOwner", BOX_EUNSUPPORTED, SYSTEMD_OTHER},
    {"org.freedesktop.DBus.Error.Disconnected", BOX_EUNSUPPORTED, SYSTEMD_OTHER},
};

static int fail_call(struct systemd_bus *b, const char *member, const char *subject, sd_bus_failure *failure, int r,
                     enum systemd_answer *answer, box_error **err)
{
    struct meaning meaning = {"", r == -ETIMEDOUT ? BOX_ETIMEOUT : r == -ENOMEM ? BOX_ENOMEM : BOX_ESYSTEM, SYSTEMD_OTHER};

    for (size_t i = 0; failure->name && i < BOX_ARRAY(meanings); i++)
        if (strcmp(meanings[i].name, failure->name) == 0)
            meaning = meanings[i];
    /* The bus was to start it, and could not: whatever the name says. */
    if (failure->name && strncmp(failure->name, "org.freedesktop.DBus.Error.Spawn.", 33) == 0)
        meaning.code = BOX_EUNSUPPORTED;
    if (answer)
        *answer = meaning.answer;
    if (meaning.code == BOX_ENOMEM)
        r = box_fail_nomem(err);
    else
        r = box_fail_with(err, &(struct box_fail_info){.code = meaning.code, .errnum = failure->name ? 0 : -r, .call = member,
                                                       .subject = subject,
                                                       .remedy = meaning.code == BOX_EUNSUPPORTED ? no_systemd_remedy : NULL},
                          "systemd: %s", failure->message ? failure->message : failure->name ? failure->name : "no answer");
    b->lib->error_free(failure);
    return r;
}

static uint64_t left_usec(const struct systemd_bus *b)
{
    return (uint64_t)box_deadline_left_ns(b->deadline) / 1000 + 1;
}

/* Sends and frees the message. *reply may be NULL. */
static int call(struct systemd_bus *b, bus_message *m, const char *member, const char *subject, bus_message **reply,
                enum systemd_answer *answer, box_error **err)
{
    sd_bus_failure failure = {NULL, NULL, 0};
    bus_message *own = NULL;
    int r = b->lib->call(b->bus, m, left_usec(b), &failure, &own);

    b->lib->message_unref(m);
    if (answer)
        *answer = SYSTEMD_OK;
    if (r < 0)
        return fail_call(b, member, subject, &failure, r, answer, err);
    if (reply)
        *reply = own;
    else
        b->lib->message_unref(own);
    return 0;
}

static int fail_message(struct systemd_bus *b, bus_message *m, int r, const char *member, box_error **err)
{
    if (m)
        b->lib->message_unref(m);
    return r == -ENOMEM ? box_fail_nomem(err)
                        : box_fail_with(err, &(struct box_fail_info){.code = r == -EINVAL ? BOX_ESPEC : 0, .errnum = -r, .call = member},
                                        "put a message to systemd together");
}

/* A call of the manager's with texts for arguments. */
static int new_call(struct systemd_bus *b, bus_message **m, const char *member, const char *first, const char *second, box_error **err)
{
    int r = b->lib->message_new_method_call(b->bus, m, NAME, PATH, MANAGER, member);

    if (r >= 0 && first)
        r = b->lib->message_append_basic(*m, 's', first);
    if (r >= 0 && second)
        r = b->lib->message_append_basic(*m, 's', second);
    return r < 0 ? fail_message(b, *m, r, member, err) : 0;
}

/* ---- properties ----------------------------------------------------------------------------------------------------------- */

static int append_item(const struct box_libsystemd *lib, bus_message *m, char type, const struct systemd_item *item)
{
    const int yes = item->number != 0;
    const uint8_t byte = (uint8_t)item->number;
    const uint16_t half = (uint16_t)item->number;
    const uint32_t word = (uint32_t)item->number;

    switch (type) {
    case 's':
    case 'o':
        return lib->message_append_basic(m, type, item->text);
    case 'b':
        return lib->message_append_basic(m, type, &yes);
    case 'y':
        return lib->message_append_basic(m, type, &byte);
    case 'n':
    case 'q':
        return lib->message_append_basic(m, type, &half);
    case 'i':
    case 'u':
        return lib->message_append_basic(m, type, &word);
    default:
        return lib->message_append_basic(m, type, &item->number);
    }
}

static int append_elements(const struct box_libsystemd *lib, bus_message *m, const struct systemd_property *p, size_t n)
{
    bool pair = p->fields[1] != '\0';
    int r = 0;

    for (size_t i = 0; r >= 0 && i < n; i++) {
        if (pair && i % 2 == 0)
            r = lib->message_open_container(m, 'r', p->fields);
        if (r >= 0)
            r = append_item(lib, m, p->fields[pair && i % 2], &p->items[i]);
        if (r >= 0 && pair && i % 2)
            r = lib->message_close_container(m);
    }
    return r;
}

/* "(sv)", with the first n items. */
static int append_property(const struct box_libsystemd *lib, bus_message *m, const struct systemd_property *p, size_t n)
{
    char type[8];
    int r;

    systemd_type_of(p, type);
    if ((r = lib->message_open_container(m, 'r', "sv")) < 0 || (r = lib->message_append_basic(m, 's', p->name)) < 0 ||
        (r = lib->message_open_container(m, 'v', type)) < 0)
        return r;
    if (p->array && (r = lib->message_open_container(m, 'a', type + 1)) < 0)
        return r;
    if ((r = append_elements(lib, m, p, n)) < 0 || (p->array && (r = lib->message_close_container(m)) < 0) ||
        (r = lib->message_close_container(m)) < 0)
        return r;
    return lib->message_close_container(m);
}

/* A list of devices is added to the one that is there, unless an empty one clears that first. */
static int append_properties(const struct box_libsystemd *lib, bus_message *m, const struct systemd_properties *list)
{
    int r = lib->message_open_container(m, 'a', "(sv)");

    for (size_t i = 0; r >= 0 && i < list->n; i++) {
        const struct systemd_property *p = &list->list[i];
        if (p->n && p->array && strcmp(p->name, "DeviceAllow") == 0)
            r = append_property(lib, m, p, 0);
        if (r >= 0)
            r = append_property(lib, m, p, p->n);
    }
    return r < 0 ? r : lib->message_close_container(m);
}

/* ---- jobs -------------------------------------------------------------------------------------------------------------------- */

static const struct ended *find_job(const struct systemd_bus *b, const char *path)
{
    for (size_t i = 0; i < b->jobs->n; i++)
        if (b->jobs->list[i].path && strcmp(b->jobs->list[i].path, path) == 0)
            return &b->jobs->list[i];
    return NULL;
}

static int wait_job(struct systemd_bus *b, const char *member, const char *unit, const char *path, box_error **err)
{
    const struct ended *job;

    while (!(job = find_job(b, path))) {
        int r = b->jobs->failed ? -ENOMEM : box_deadline_passed(b->deadline) ? -ETIMEDOUT : b->lib->process(b->bus, NULL);
        if (r == 0)
            r = b->lib->wait(b->bus, left_usec(b));
        if (r == -ENOMEM)
            return box_fail_nomem(err);
        if (r < 0 && r != -EINTR)
            return box_fail_with(err, &(struct box_fail_info){.code = r == -ETIMEDOUT ? BOX_ETIMEOUT : 0, .errnum = -r, .call = member,
                                                              .subject = unit},
                                 "systemd has not finished");
    }
    if (job->result && strcmp(job->result, "done") == 0)
        return 0;
    return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESYSTEM, .call = member, .subject = unit,
                                                      .remedy = "see journalctl, and systemctl status of the unit"},
                         "systemd's job ended as \"%s\"", job->result ? job->result : "");
}

/* Sends what is answered with a job, and waits for its end. */
static int call_job(struct systemd_bus *b, bus_message *m, const char *member, const char *unit, enum systemd_answer *answer,
                    box_error **err)
{
    bus_message *reply = NULL;
    const char *text = NULL;
    int r = call(b, m, member, unit, &reply, answer, err);

    if (r < 0)
        return r;
    r = b->lib->message_read(reply, "o", &text);
    _free_ char *path = r < 0 || !text ? NULL : strdup(text);
    b->lib->message_unref(reply);
    if (r < 0)
        return fail_message(b, NULL, r, member, err);
    return path ? wait_job(b, member, unit, path, err) : box_fail_nomem(err);
}

int systemd_start_unit(struct systemd_bus *b, const char *unit, const struct systemd_properties *properties,
                       enum systemd_answer *answer, box_error **err)
{
    bus_message *m = NULL;
    int r = new_call(b, &m, "StartTransientUnit", unit, "replace", err);

    *answer = SYSTEMD_OTHER;
    if (r < 0)
        return r;
    if ((r = append_properties(b->lib, m, properties)) < 0 || (r = b->lib->message_open_container(m, 'a', "(sa(sv))")) < 0 ||
        (r = b->lib->message_close_container(m)) < 0)
        return fail_message(b, m, r, "StartTransientUnit", err);
    return call_job(b, m, "StartTransientUnit", unit, answer, err);
}

int systemd_stop_unit(struct systemd_bus *b, const char *unit, enum systemd_answer *answer, box_error **err)
{
    bus_message *m = NULL;
    int r = new_call(b, &m, "StopUnit", unit, "replace", err);

    *answer = SYSTEMD_OTHER;
    return r < 0 ? r : call_job(b, m, "StopUnit", unit, answer, err);
}

int systemd_reset_unit(struct systemd_bus *b, const char *unit, enum systemd_answer *answer, box_error **err)
{
    bus_message *m = NULL;
    int r = new_call(b, &m, "ResetFailedUnit", unit, NULL, err);

    return r < 0 ? r : call(b, m, "ResetFailedUnit", unit, NULL, answer, err);
}

int systemd_set_unit(struct systemd_bus *b, const char *unit, const struct systemd_properties *properties, box_error **err)
{
    const int runtime = 1;
    bus_message *m = NULL;
    int r = new_call(b, &m, "SetUnitProperties", unit, NULL, err);

    if (r < 0)
        return r;
    if ((r = b->lib->message_append_basic(m, 'b', &runtime)) < 0 || (r = append_properties(b->lib, m, properties)) < 0)
        return fail_message(b, m, r, "SetUnitProperties", err);
    return call(b, m, "SetUnitProperties", unit, NULL, NULL, err);
}

/* ---- reading a property -------------------------------------------------------------------------------------------------- */

/* A unit's object: letters and digits stand for themselves, but not a digit in front (sd_bus_path_encode(3)). */
static char *path_of(const char *unit)
{
    static const char hex[] = "0123456789abcdef";
    char *path = malloc(sizeof(PATH "/unit/") + 3 * strlen(unit)), *out = path ? stpcpy(path, PATH "/unit/") : NULL;

    for (const char *s = unit; out && *s; s++) {
        bool letter = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z'), digit = *s >= '0' && *s <= '9';
        if (letter || (digit && s > unit))
            *out++ = *s;
        else
            out = mempcpy(out, (const char[]){'_', hex[(unsigned char)*s >> 4], hex[*s & 15]}, 3);
    }
    if (out)
        *out = '\0';
    return path;
}

int systemd_get_text(struct systemd_bus *b, const char *unit, const char *interface, const char *name, char **text,
                     enum systemd_answer *answer, box_error **err)
{
    _free_ char *path = unit ? path_of(unit) : strdup(PATH), *full = box_strf(NAME ".%s", interface);
    bus_message *m = NULL, *reply = NULL;
    const char *value = NULL;

    if (!path || !full)
        return box_fail_nomem(err);
    int r = b->lib->message_new_method_call(b->bus, &m, NAME, path, "org.freedesktop.DBus.Properties", "Get");
    if (r >= 0)
        r = b->lib->message_append_basic(m, 's', full);
    if (r >= 0)
        r = b->lib->message_append_basic(m, 's', name);
    if (r < 0)
        return fail_message(b, m, r, name, err);
    if ((r = call(b, m, name, unit ? unit : NAME, &reply, answer, err)) < 0)
        return r;
    r = b->lib->message_read(reply, "v", "s", &value);
    *text = r < 0 ? NULL : strdup(value);
    b->lib->message_unref(reply);
    if (r < 0)
        return fail_message(b, NULL, r, name, err);
    return *text ? 0 : box_fail_nomem(err);
}
