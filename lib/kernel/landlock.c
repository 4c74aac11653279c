/* Landlock rulesets: built up in memory, made in the kernel in one go, and put on a thread.
 *
 * Making one: what the ruleset handles is cut down to what the kernel's ABI governs (or the call fails, when
 * the ruleset is required); the kernel's ruleset is created; each rule's path is opened and its access cut
 * down likewise, as the kernel refuses a rule for an access that the ruleset does not handle. Such an access
 * is free anyway, so nothing is taken away by that.
 *
 * Guards against: a ruleset that silently protects less than was asked for. Constants are this file's own, as
 * the headers of the system that compiles may be older than the kernel that runs. */
#include <libbox/capability.h>
#include <libbox/landlock.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/fail.h"
#include "base/rawsys.h"
#include "kernel/landlock_rules.h"

/* linux/landlock.h, newest form; a kernel that knows less takes the longer structure as long as the rest is
 * zero. */
struct ruleset_attr {
    uint64_t handled_access_fs;
    uint64_t handled_access_net;
    uint64_t scoped;
};

struct path_beneath_attr {
    uint64_t allowed_access;
    int32_t parent_fd;
} __attribute__((packed));

struct net_port_attr {
    uint64_t allowed_access;
    uint64_t port;
};

#define CREATE_RULESET_VERSION 1U
#define RULE_PATH_BENEATH      1
#define RULE_NET_PORT          2

/* What can be had on something that is not a directory. */
#define FILE_ACCESS                                                                     \
    (BOX_LANDLOCK_FS_EXECUTE | BOX_LANDLOCK_FS_WRITE_FILE | BOX_LANDLOCK_FS_READ_FILE | \
     BOX_LANDLOCK_FS_TRUNCATE | BOX_LANDLOCK_FS_IOCTL_DEV)

#define MAX_RULES 65536

static const char *const fs_names[] = {
    "execute",   "write_file", "read_file", "read_dir",  "remove_dir", "remove_file",
    "make_char", "make_dir",   "make_reg",  "make_sock", "make_fifo",  "make_block",
    "make_sym",  "refer",      "truncate",  "ioctl_dev",
};
static const char *const net_names[] = {"bind_tcp", "connect_tcp"};
static const char *const scope_names[] = {"abstract_unix_socket", "signal"};
static const char *const log_names[] = {"log_same_exec_off", "log_new_exec_on", "log_subdomains_off"};

static const struct {
    const char *const *names;
    size_t n;
} kinds[] = {
    [BOX_LANDLOCK_KIND_FS] = {fs_names, BOX_ARRAY(fs_names)},
    [BOX_LANDLOCK_KIND_NET] = {net_names, BOX_ARRAY(net_names)},
    [BOX_LANDLOCK_KIND_SCOPE] = {scope_names, BOX_ARRAY(scope_names)},
    [BOX_LANDLOCK_KIND_LOG] = {log_names, BOX_ARRAY(log_names)},
};

const char *box_landlock_bit_name(enum box_landlock_kind kind, uint64_t bit)
{
    for (size_t i = 0; i < kinds[kind].n; i++)
        if (bit == UINT64_C(1) << i)
            return kinds[kind].names[i];
    return NULL;
}

uint64_t box_landlock_bit_number(enum box_landlock_kind kind, const char *name)
{
    for (size_t i = 0; i < kinds[kind].n; i++)
        if (strcmp(name, kinds[kind].names[i]) == 0)
            return UINT64_C(1) << i;
    return 0;
}

/* The kernel's ABI, or the negative errno that tells why there is none. */
static int kernel_abi(void)
{
    return (int)box_sys(landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
}

int box_landlock_abi(void)
{
    int abi = kernel_abi();

    return abi < 0 ? 0 : abi;
}

void box_landlock_abi_rights(int abi, uint64_t *fs, uint64_t *net, uint64_t *scope, uint32_t *log)
{
    uint64_t files = 0;

    if (abi >= 1)
        files = BOX_LANDLOCK_FS_REFER - 1;
    if (abi >= 2)
        files |= BOX_LANDLOCK_FS_REFER;
    if (abi >= 3)
        files |= BOX_LANDLOCK_FS_TRUNCATE;
    if (abi >= 5)
        files |= BOX_LANDLOCK_FS_IOCTL_DEV;
    if (fs)
        *fs = files;
    if (net)
        *net = abi >= 4 ? BOX_LANDLOCK_NET_ALL : 0;
    if (scope)
        *scope = abi >= 6 ? BOX_LANDLOCK_SCOPE_ALL : 0;
    if (log)
        *log = abi >= 7 ? BOX_LANDLOCK_LOG_ALL : 0;
}

/* Building */

box_landlock *box_landlock_new(box_error **err)
{
    box_landlock *l = calloc(1, sizeof(*l));

    if (!l)
        box_fail_nomem(err);
    return l;
}

void box_landlock_free(box_landlock *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->n_paths; i++) {
        free(l->paths[i].path);
        box_cleanup_close(&l->paths[i].fd);
    }
    free(l->paths);
    free(l->ports);
    free(l);
}

static int fail_bits(box_error **err, uint64_t bits, const char *what)
{
    return box_fail(err, BOX_EINVAL, "0x%llx is no %s that this libbox knows", (unsigned long long)bits,
                    what);
}

int box_landlock_handle_fs(box_landlock *l, uint64_t access, box_error **err)
{
    if (access & ~BOX_LANDLOCK_FS_ALL)
        return fail_bits(err, access & ~BOX_LANDLOCK_FS_ALL, "access to files");
    l->fs |= access;
    return 0;
}

int box_landlock_handle_net(box_landlock *l, uint64_t access, box_error **err)
{
    if (access & ~BOX_LANDLOCK_NET_ALL)
        return fail_bits(err, access & ~BOX_LANDLOCK_NET_ALL, "access to the network");
    l->net |= access;
    return 0;
}

int box_landlock_scope(box_landlock *l, uint64_t scopes, box_error **err)
{
    if (scopes & ~BOX_LANDLOCK_SCOPE_ALL)
        return fail_bits(err, scopes & ~BOX_LANDLOCK_SCOPE_ALL, "scope");
    l->scope |= scopes;
    return 0;
}

void box_landlock_handle_up_to(box_landlock *l, int abi)
{
    uint64_t fs, net, scope;

    if (abi <= 0)
        abi = box_landlock_abi();
    box_landlock_abi_rights(abi < 1 ? 1 : abi, &fs, &net, &scope, NULL);
    l->fs |= fs;
    l->net |= net;
    l->scope |= scope;
}

int box_landlock_log(box_landlock *l, uint32_t flags, box_error **err)
{
    if (flags & ~BOX_LANDLOCK_LOG_ALL)
        return fail_bits(err, flags & ~BOX_LANDLOCK_LOG_ALL, "log flag");
    l->log = flags;
    return 0;
}

void box_landlock_set_best_effort(box_landlock *l, int best_effort)
{
    l->best_effort = best_effort != 0;
}

/* Room for one more in an array that doubles. 0 or a negative code. */
static int grow(void **array, size_t n, size_t size, box_error **err)
{
    if (n >= MAX_RULES)
        return box_fail(err, BOX_ELIMIT, "a ruleset of more than %d rules", MAX_RULES);
    if (n && (n & (n - 1)))
        return 0;
    void *larger = realloc(*array, (n ? 2 * n : 1) * size);
    if (!larger)
        return box_fail_nomem(err);
    *array = larger;
    return 0;
}

/* Takes path and fd over when it succeeds. */
static int add_path(box_landlock *l, char *path, int fd, uint64_t access, unsigned flags, box_error **err)
{
    void *array = l->paths;
    int r = grow(&array, l->n_paths, sizeof(*l->paths), err);

    if (r < 0)
        return r;
    l->paths = array;
    l->paths[l->n_paths++] =
        (struct box_landlock_path_rule){.path = path, .fd = fd, .flags = flags, .access = access};
    return 0;
}

int box_landlock_allow_path(box_landlock *l, const char *path, uint64_t access, unsigned flags,
                            box_error **err)
{
    if (!path || !*path)
        return box_fail(err, BOX_EINVAL, "a rule for an empty path");
    if (!access || access & ~BOX_LANDLOCK_FS_ALL)
        return fail_bits(err, access & ~BOX_LANDLOCK_FS_ALL, "access to files");
    if (flags & ~(unsigned)BOX_LANDLOCK_MAY_BE_MISSING)
        return fail_bits(err, flags & ~(unsigned)BOX_LANDLOCK_MAY_BE_MISSING, "option of a rule");
    _free_ char *own = strdup(path);
    if (!own)
        return box_fail_nomem(err);
    int r = add_path(l, own, -1, access, flags, err);
    if (r == 0)
        own = NULL;
    return r;
}

int box_landlock_allow_fd(box_landlock *l, int fd, uint64_t access, box_error **err)
{
    if (!access || access & ~BOX_LANDLOCK_FS_ALL)
        return fail_bits(err, access & ~BOX_LANDLOCK_FS_ALL, "access to files");
    _close_ int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (own < 0)
        return box_fail_sys(err, "fcntl(F_DUPFD_CLOEXEC)", NULL, "keep fd %d for a rule", fd);
    int r = add_path(l, NULL, own, access, 0, err);
    if (r == 0)
        own = -1;
    return r;
}

int box_landlock_allow_port(box_landlock *l, unsigned port, uint64_t access, box_error **err)
{
    if (port > UINT16_MAX)
        return box_fail(err, BOX_EINVAL, "%u is no TCP port", port);
    if (!access || access & ~BOX_LANDLOCK_NET_ALL)
        return fail_bits(err, access & ~BOX_LANDLOCK_NET_ALL, "access to the network");
    void *array = l->ports;
    int r = grow(&array, l->n_ports, sizeof(*l->ports), err);
    if (r < 0)
        return r;
    l->ports = array;
    l->ports[l->n_ports++] = (struct box_landlock_port_rule){.port = (uint16_t)port, .access = access};
    return 0;
}

static int copy_rules(box_landlock *to, const box_landlock *from, box_error **err)
{
    int r = 0;

    for (size_t i = 0; i < from->n_paths && r == 0; i++) {
        const struct box_landlock_path_rule *rule = &from->paths[i];
        r = rule->path ? box_landlock_allow_path(to, rule->path, rule->access, rule->flags, err)
                       : box_landlock_allow_fd(to, rule->fd, rule->access, err);
    }
    for (size_t i = 0; i < from->n_ports && r == 0; i++)
        r = box_landlock_allow_port(to, from->ports[i].port, from->ports[i].access, err);
    return r;
}

box_landlock *box_landlock_copy(const box_landlock *l, box_error **err)
{
    _cleanup_(box_landlock) box_landlock *copy = box_landlock_new(err);

    if (!copy)
        return NULL;
    copy->fs = l->fs;
    copy->net = l->net;
    copy->scope = l->scope;
    copy->log = l->log;
    copy->best_effort = l->best_effort;
    if (copy_rules(copy, l, err) < 0)
        return NULL;
    return box_take(copy);
}

/* What is lost */

static bool loss_for(const box_landlock *l, int abi, struct box_landlock_loss *loss)
{
    uint64_t fs, net, scope;
    uint32_t log;

    box_landlock_abi_rights(abi, &fs, &net, &scope, &log);
    *loss = (struct box_landlock_loss){.abi = abi,
                                       .fs = l->fs & ~fs,
                                       .net = l->net & ~net,
                                       .scope = l->scope & ~scope,
                                       .log = l->log & ~log};
    return loss->fs || loss->net || loss->scope || loss->log;
}

int box_landlock_would_lose(const box_landlock *l, struct box_landlock_loss *loss)
{
    struct box_landlock_loss local;

    return loss_for(l, box_landlock_abi(), loss ? loss : &local);
}

char *box_landlock_loss_text(const struct box_landlock_loss *loss)
{
    const uint64_t lost[] = {[BOX_LANDLOCK_KIND_FS] = loss->fs,
                             [BOX_LANDLOCK_KIND_NET] = loss->net,
                             [BOX_LANDLOCK_KIND_SCOPE] = loss->scope,
                             [BOX_LANDLOCK_KIND_LOG] = loss->log};
    _buffer_ struct box_buffer b = {0};

    for (size_t kind = 0; kind < BOX_ARRAY(lost); kind++)
        for (size_t i = 0; i < kinds[kind].n; i++)
            if (lost[kind] & UINT64_C(1) << i)
                box_buffer_printf(&b, "%s%s", b.length ? ", " : "", kinds[kind].names[i]);
    if (b.length && loss->abi > 0)
        box_buffer_printf(&b, " (this kernel has Landlock ABI %d)", loss->abi);
    else if (b.length)
        box_buffer_puts(&b, " (this kernel has no Landlock)");
    return box_buffer_take(&b);
}

/* A required ruleset on a kernel that cannot govern all of it. error: what the kernel said when asked for its
 * ABI. */
static int fail_loss(box_error **err, const struct box_landlock_loss *loss, int error)
{
    _free_ char *text = box_landlock_loss_text(loss);

    if (!text)
        return box_fail_nomem(err);
    struct box_fail_info info = {.code = BOX_EUNSUPPORTED, .call = "landlock_create_ruleset"};
    if (error == -EOPNOTSUPP)
        info.remedy = "Landlock is built in but not switched on: boot with lsm=landlock,... on the kernel's "
                      "command line, or let Landlock be best effort";
    else if (error < 0)
        info.remedy =
            "use a kernel with CONFIG_SECURITY_LANDLOCK (5.13 or newer), or let Landlock be best effort";
    else
        info.remedy = "use a newer kernel, or let Landlock be best effort";
    if (error < 0)
        info.errnum = -error;
    return box_fail_with(err, &info, "Landlock cannot govern %s", text);
}

/* Making */

static int add_path_rule(int ruleset, const struct box_landlock_path_rule *rule, uint64_t fs, box_error **err)
{
    _close_ int own = -1;
    int fd = rule->fd;

    if (rule->path) {
        fd = own = open(rule->path, O_PATH | O_CLOEXEC);
        if (fd < 0 && (errno == ENOENT || errno == ENOTDIR) && rule->flags & BOX_LANDLOCK_MAY_BE_MISSING)
            return 0;
        if (fd < 0)
            return box_fail_sys(err, "open", rule->path, "a Landlock rule's path");
    }

    struct stat st;
    const char *subject = rule->path ? rule->path : "fd";
    if (fstat(fd, &st) < 0)
        return box_fail_sys(err, "fstat", subject, "a Landlock rule's path");
    uint64_t access = rule->access & fs;
    if (!S_ISDIR(st.st_mode))
        access &= FILE_ACCESS;
    if (!access)
        return 0;
    struct path_beneath_attr attr = {.allowed_access = access, .parent_fd = fd};
    long r = box_sys(landlock_add_rule, ruleset, RULE_PATH_BENEATH, &attr, 0);
    if (r < 0)
        return box_fail_with(
            err,
            &(struct box_fail_info){.code = r == -EBADFD ? BOX_EINVAL : 0,
                                    .errnum = (int)-r,
                                    .call = "landlock_add_rule",
                                    .subject = subject,
                                    .remedy =
                                        r == -EBADFD ? "name a file or directory that is on a mount" : NULL},
            "a Landlock rule's path");
    return 0;
}

static int add_port_rule(int ruleset, const struct box_landlock_port_rule *rule, uint64_t net,
                         box_error **err)
{
    struct net_port_attr attr = {.allowed_access = rule->access & net, .port = rule->port};

    if (!attr.allowed_access)
        return 0;
    long r = box_sys(landlock_add_rule, ruleset, RULE_NET_PORT, &attr, 0);
    if (r < 0)
        return box_fail_with(
            err,
            &(struct box_fail_info){.errnum = (int)-r,
                                    .call = "landlock_add_rule",
                                    .remedy = r == -EAFNOSUPPORT ? "the kernel has no TCP" : NULL},
            "a Landlock rule for port %u", rule->port);
    return 0;
}

int box_landlock_create(const box_landlock *l, int *fd, struct box_landlock_loss *loss, box_error **err)
{
    struct box_landlock_loss lost;
    int abi = kernel_abi();
    bool any = loss_for(l, abi < 0 ? 0 : abi, &lost);

    *fd = -1;
    if (loss)
        *loss = lost;
    if (any && !l->best_effort)
        return fail_loss(err, &lost, abi);
    struct ruleset_attr attr = {l->fs & ~lost.fs, l->net & ~lost.net, l->scope & ~lost.scope};
    if (!attr.handled_access_fs && !attr.handled_access_net && !attr.scoped)
        return 0;

    _close_ int ruleset = (int)box_sys(landlock_create_ruleset, &attr, sizeof(attr), 0);
    if (ruleset < 0)
        return box_fail_with(err,
                             &(struct box_fail_info){.errnum = -ruleset, .call = "landlock_create_ruleset"},
                             "make a Landlock ruleset");
    int r = 0;
    for (size_t i = 0; i < l->n_paths && r == 0; i++)
        r = add_path_rule(ruleset, &l->paths[i], attr.handled_access_fs, err);
    for (size_t i = 0; i < l->n_ports && r == 0; i++)
        r = add_port_rule(ruleset, &l->ports[i], attr.handled_access_net, err);
    if (r == 0)
        *fd = box_take_fd(&ruleset);
    return r;
}

uint32_t box_landlock_restrict_flags(const box_landlock *l)
{
    uint32_t log;

    box_landlock_abi_rights(box_landlock_abi(), NULL, NULL, NULL, &log);
    return l->log & log;
}

int box_landlock_apply(const box_landlock *l, struct box_landlock_loss *loss, box_error **err)
{
    _close_ int fd = -1;

    int r = box_landlock_create(l, &fd, loss, err);
    if (r < 0 || fd < 0)
        return r;
    r = box_no_new_privs_set(err);
    if (r < 0)
        return r;
    long e = box_sys(landlock_restrict_self, fd, box_landlock_restrict_flags(l));
    if (e < 0)
        return box_fail_with(err,
                             &(struct box_fail_info){.code = e == -E2BIG ? BOX_ELIMIT : 0,
                                                     .errnum = (int)-e,
                                                     .call = "landlock_restrict_self"},
                             "put the ruleset on this thread");
    return 0;
}
