/* Setters and getters of what the kernel keeps apart: namespaces, id mappings, names, clocks, sysctls,
 * annotations, hooks, execution domain. */
#include "spec/spec_util.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>

#include <libbox/idmap.h>
#include <libbox/sched.h>

enum { NAME_MAX_BYTES = 64 }; /* __NEW_UTS_LEN of the kernel */

/* The public numbers are the table's own. */
_Static_assert((int)BOX_SPEC_MOUNT_NAMESPACE == SPEC_NS_MOUNT && (int)BOX_SPEC_PID_NAMESPACE == SPEC_NS_PID &&
                   (int)BOX_SPEC_NETWORK_NAMESPACE == SPEC_NS_NETWORK &&
                   (int)BOX_SPEC_IPC_NAMESPACE == SPEC_NS_IPC && (int)BOX_SPEC_UTS_NAMESPACE == SPEC_NS_UTS &&
                   (int)BOX_SPEC_USER_NAMESPACE == SPEC_NS_USER &&
                   (int)BOX_SPEC_CGROUP_NAMESPACE == SPEC_NS_CGROUP &&
                   (int)BOX_SPEC_TIME_NAMESPACE == SPEC_NS_TIME,
               "namespaces");
_Static_assert((int)BOX_SPEC_HOOK_PRESTART == SPEC_HOOK_PRESTART &&
                   (int)BOX_SPEC_HOOK_CREATE_RUNTIME == SPEC_HOOK_CREATE_RUNTIME &&
                   (int)BOX_SPEC_HOOK_CREATE_CONTAINER == SPEC_HOOK_CREATE_CONTAINER &&
                   (int)BOX_SPEC_HOOK_START_CONTAINER == SPEC_HOOK_START_CONTAINER &&
                   (int)BOX_SPEC_HOOK_POSTSTART == SPEC_HOOK_POSTSTART &&
                   (int)BOX_SPEC_HOOK_POSTSTOP == SPEC_HOOK_POSTSTOP,
               "hooks");

/* ---- namespaces -------------------------------------------------------------------------------------- */

static int need_kind(enum box_spec_namespace kind, box_error **err)
{
    if ((unsigned)kind >= SPEC_NS_KINDS)
        return box_fail(err, BOX_EINVAL, "%d is no kind of namespace", (int)kind);
    return 0;
}

/* What is given becomes the spec's. */
static void replace_namespace(struct spec_namespace *ns, bool present, char *path, int fd)
{
    free(ns->path);
    if (ns->fd >= 0)
        close(ns->fd);
    *ns = (struct spec_namespace){.present = present, .path = path, .fd = fd};
}

int box_spec_add_namespace(box_spec *spec, enum box_spec_namespace kind, box_error **err)
{
    int r = need_kind(kind, err);

    if (r == 0)
        replace_namespace(&spec->namespaces[kind], true, NULL, -1);
    return r;
}

int box_spec_join_namespace(box_spec *spec, enum box_spec_namespace kind, const char *path, box_error **err)
{
    char *copy = NULL;
    int r = need_kind(kind, err);

    if (r == 0)
        r = spec_need_absolute(path, "the path of a namespace", err);
    if (r == 0)
        r = spec_string_set(&copy, path, err);
    if (r == 0)
        replace_namespace(&spec->namespaces[kind], true, copy, -1);
    return r;
}

int box_spec_join_namespace_fd(box_spec *spec, enum box_spec_namespace kind, int fd, box_error **err)
{
    int copy, r = need_kind(kind, err);

    if (r < 0)
        return r;
    copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0)
        return box_fail_sys(err, "fcntl", spec_namespace_info[kind].name,
                            "duplicate a namespace's descriptor");
    replace_namespace(&spec->namespaces[kind], true, NULL, copy);
    return 0;
}

int box_spec_share_namespace(box_spec *spec, enum box_spec_namespace kind, box_error **err)
{
    int r = need_kind(kind, err);

    if (r == 0)
        replace_namespace(&spec->namespaces[kind], false, NULL, -1);
    return r;
}

bool box_spec_has_namespace(const box_spec *spec, enum box_spec_namespace kind)
{
    return (unsigned)kind < SPEC_NS_KINDS && spec->namespaces[kind].present;
}

const char *box_spec_get_namespace_path(const box_spec *spec, enum box_spec_namespace kind)
{
    return (unsigned)kind < SPEC_NS_KINDS ? spec->namespaces[kind].path : NULL;
}

/* ---- id mappings ------------------------------------------------------------------------------------- */

int box_spec_set_idmap(box_spec *spec, const struct box_idmap *idmap, box_error **err)
{
    struct box_idmap *copy = idmap ? box_idmap_copy(idmap, err) : NULL;

    if (idmap && !copy)
        return spec_code(err);
    box_idmap_free(spec->idmap);
    spec->idmap = copy;
    if (copy)
        spec->namespaces[SPEC_NS_USER].present = true;
    return 0;
}

const struct box_idmap *box_spec_get_idmap(const box_spec *spec)
{
    return spec->idmap;
}

/* An ordinary user is root inside; the other ids come from /etc/subuid and /etc/subgid where these name any.
 */
int spec_default_idmap(box_spec *spec, box_error **err)
{
    int r = box_idmap_new_subordinate(NULL, BOX_IDMAP_SELF_IS_ROOT, &spec->idmap, NULL);

    if (r < 0 && r != BOX_ENOMEM)
        r = box_idmap_new_single(0, 0, &spec->idmap, err);
    spec->namespaces[SPEC_NS_USER].present = true;
    return r;
}

/* ---- names ------------------------------------------------------------------------------------------- */

static int set_name(box_spec *spec, char **field, const char *what, const char *name, box_error **err)
{
    int r;

    if (name && (!*name || strlen(name) > NAME_MAX_BYTES))
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = name},
                             "%s must have 1 to %d bytes", what, NAME_MAX_BYTES);
    r = spec_string_set(field, name, err);
    if (r == 0 && name)
        spec->namespaces[SPEC_NS_UTS].present = true;
    return r;
}

int box_spec_set_hostname(box_spec *spec, const char *name, box_error **err)
{
    return set_name(spec, &spec->hostname, "hostname", name, err);
}

const char *box_spec_get_hostname(const box_spec *spec)
{
    return spec->hostname;
}

int box_spec_set_domainname(box_spec *spec, const char *name, box_error **err)
{
    return set_name(spec, &spec->domainname, "domainname", name, err);
}

const char *box_spec_get_domainname(const box_spec *spec)
{
    return spec->domainname;
}

/* ---- clocks ------------------------------------------------------------------------------------------ */

int box_spec_set_time_offset(box_spec *spec, int clock, int64_t seconds, uint32_t nanoseconds,
                             box_error **err)
{
    struct spec_time_offset offset = {.set = true, .seconds = seconds, .nanoseconds = nanoseconds};

    if (clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME)
        return box_fail(err, BOX_EINVAL, "only CLOCK_MONOTONIC and CLOCK_BOOTTIME have an offset");
    if (nanoseconds >= 1000000000u)
        return box_fail(err, BOX_EINVAL, "timeOffsets: %u nanoseconds are a second or more", nanoseconds);
    if (clock == CLOCK_MONOTONIC)
        spec->time_monotonic = offset;
    else
        spec->time_boottime = offset;
    spec->namespaces[SPEC_NS_TIME].present = true;
    return 0;
}

/* ---- maps: sysctls and annotations ------------------------------------------------------------------- */

static struct spec_pair *find_pair(struct spec_pair *pairs, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(pairs[i].key, key))
            return &pairs[i];
    return NULL;
}

int spec_pair_add(struct spec_pair **pairs, size_t *n, const char *key, const char *value, box_error **err)
{
    struct spec_pair new = {0}, *added = NULL;
    int r = spec_string_set(&new.key, key, err);

    if (r == 0)
        r = spec_string_set(&new.value, value, err);
    if (r == 0)
        added = spec_array_add(pairs, n, sizeof(**pairs), err);
    if (!added) {
        spec_owned_clear(&new, &spec_pair_type);
        return BOX_ENOMEM;
    }
    *added = new;
    return 0;
}

int spec_pair_set(struct spec_pair **pairs, size_t *n, const char *key, const char *value, box_error **err)
{
    struct spec_pair *found = find_pair(*pairs, *n, key);

    return found ? spec_string_set(&found->value, value, err) : spec_pair_add(pairs, n, key, value, err);
}

static void unset_pair(struct spec_pair *pairs, size_t *n, const char *key)
{
    struct spec_pair *found = find_pair(pairs, *n, key);

    if (!found)
        return;
    spec_owned_clear(found, &spec_pair_type);
    spec_array_remove(pairs, n, sizeof(*pairs), (size_t)(found - pairs));
}

int box_spec_set_sysctl(box_spec *spec, const char *name, const char *value, box_error **err)
{
    int r = spec_need_text(name, "sysctl", err);

    if (r == 0 && !value)
        r = box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = name},
                          "sysctl: no value is given");
    return r < 0 ? r : spec_pair_set(&spec->sysctl, &spec->n_sysctl, name, value, err);
}

int box_spec_unset_sysctl(box_spec *spec, const char *name, box_error **err)
{
    int r = spec_need_text(name, "sysctl", err);

    if (r == 0)
        unset_pair(spec->sysctl, &spec->n_sysctl, name);
    return r;
}

const char *box_spec_get_sysctl(const box_spec *spec, const char *name)
{
    struct spec_pair *found = name ? find_pair(spec->sysctl, spec->n_sysctl, name) : NULL;

    return found ? found->value : NULL;
}

int box_spec_set_annotation(box_spec *spec, const char *key, const char *value, box_error **err)
{
    int r = spec_need_text(key, "annotation", err);

    if (r < 0)
        return r;
    if (value)
        return spec_pair_set(&spec->annotations, &spec->n_annotations, key, value, err);
    unset_pair(spec->annotations, &spec->n_annotations, key);
    return 0;
}

const char *box_spec_get_annotation(const box_spec *spec, const char *key)
{
    struct spec_pair *found = key ? find_pair(spec->annotations, spec->n_annotations, key) : NULL;

    return found ? found->value : NULL;
}

/* ---- hooks ------------------------------------------------------------------------------------------- */

int box_spec_add_hook(box_spec *spec, enum box_spec_hook kind, const char *path, char *const args[],
                      char *const env[], int timeout, box_error **err)
{
    struct spec_hook hook = {.has_timeout = timeout > 0, .timeout = timeout}, *added;
    int r;

    if ((unsigned)kind >= SPEC_HOOK_KINDS || timeout < 0)
        return box_fail(err, BOX_EINVAL, "hooks: no such kind, or a negative timeout");
    r = spec_need_absolute(path, "the path of a hook", err);
    if (r == 0)
        r = spec_string_set(&hook.path, path, err);
    if (r == 0)
        r = spec_strv_set(&hook.args, args, err);
    if (r == 0)
        r = spec_strv_set(&hook.env, env, err);
    if (r == 0) {
        added = SPEC_ADD(&spec->hooks[kind], list, n, err);
        if (added) {
            *added = hook;
            return 0;
        }
        r = BOX_ENOMEM;
    }
    spec_owned_clear(&hook, &spec_hook_type);
    return r;
}

int box_spec_clear_hooks(box_spec *spec, box_error **err)
{
    (void)err;
    for (size_t kind = 0; kind < SPEC_HOOK_KINDS; kind++) {
        for (size_t i = 0; i < spec->hooks[kind].n; i++)
            spec_owned_clear(&spec->hooks[kind].list[i], &spec_hook_type);
        spec->hooks[kind].n = 0;
    }
    return 0;
}

/* ---- execution domain -------------------------------------------------------------------------------- */

int box_spec_set_personality(box_spec *spec, unsigned long domain, box_error **err)
{
    if (!box_personality_name(domain))
        return box_fail(err, BOX_EINVAL, "personality: %lu is neither PER_LINUX nor PER_LINUX32", domain);
    spec->has_personality = true;
    spec->personality = domain;
    return 0;
}
