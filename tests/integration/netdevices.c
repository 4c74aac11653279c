/* linux.netDevices: devices of a network namespace that this program makes for itself and takes for the host's. */
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "started.h"

static char pair[2][16];

__attribute__((format(printf, 1, 2))) static bool shell(const char *format, ...)
{
    char command[512];
    va_list args;

    va_start(args, format);
    vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    return system(command) == 0;
}

static bool exists(const char *name)
{
    return if_nametoindex(name) != 0;
}

/* One of two devices that are each other's wire, or one that leads nowhere. busybox's ip has no peers. */
static bool make_device(void)
{
    static int number;

    snprintf(pair[0], sizeof(pair[0]), "bxa%d", ++number);
    snprintf(pair[1], sizeof(pair[1]), "bxb%d", number);
    return shell("ip link add %s type veth peer name %s 2>/dev/null", pair[0], pair[1]) ||
           shell("busybox ip link add %s type dummy 2>/dev/null", pair[0]);
}

static bool ip(const char *what)
{
    return shell("ip %s 2>/dev/null || busybox ip %s", what, what);
}

static struct outcome shown(box_spec *spec)
{
    return run_shell(spec, "busybox ip addr; busybox ip route; echo end");
}

static void moved_and_renamed(void)
{
    box_spec *spec = new_spec();
    const char *inside = NULL;
    char command[256];

    make_device();
    snprintf(command, sizeof(command), "link set %s address 02:11:22:33:44:55 mtu 1380 up", pair[0]);
    ip(command);
    snprintf(command, sizeof(command), "addr add 10.81.0.7/24 dev %s", pair[0]);
    ip(command);
    snprintf(command, sizeof(command), "addr add 169.254.3.4/16 scope link dev %s", pair[0]);
    ip(command);
    bool v6 = shell("ip addr add fd51::7/64 dev %s nodad 2>/dev/null", pair[0]);
    is_int(box_spec_add_net_device(spec, pair[0], "in0", NULL), 0, "a device is added to a spec");
    is_str(box_spec_next_net_device(spec, 0, &inside), pair[0], "and read back");
    is_str(inside, "in0", "with its name inside");
    ok(box_spec_next_net_device(spec, 1, &inside) == NULL, "it is the only one");
    struct outcome o = shown(spec);
    is_int(o.code, 0, "a container starts with it");
    ok(has(&o, " in0") && !strstr(o.output, pair[0]), "it is there by its new name");
    ok(has(&o, "02:11:22:33:44:55") && has(&o, "mtu 1380"), "with its hardware address and MTU");
    ok(has(&o, "10.81.0.7/24"), "with its address");
    ok(!strstr(o.output, "169.254.3.4"), "without one that only means something on the link");
    if (v6)
        ok(has(&o, "fd51::7/64"), "with its IPv6 address");
    else
        skip("no IPv6 here");
    ok(has(&o, "UP"), "and it is up");
    ok(!exists(pair[0]), "the host has it no more");
    box_spec_free(spec);
}

static void templates_and_same_names(void)
{
    box_spec *spec = new_spec();
    char first[16];

    make_device();
    memcpy(first, pair[0], sizeof(first));
    box_spec_add_net_device(spec, first, "eth%d", NULL);
    make_device();
    box_spec_add_net_device(spec, pair[0], "eth%d", NULL);
    struct outcome o = shown(spec);
    ok(has(&o, " eth0") && has(&o, " eth1"), "a template gives each the lowest number that is free");
    box_spec_clear_net_devices(spec, NULL);
    make_device();
    box_spec_add_net_device(spec, pair[0], NULL, NULL);
    o = shown(spec);
    ok(has(&o, pair[0]), "a device that is not renamed keeps its name");
    box_spec_free(spec);
}

static void in_a_user_namespace(void)
{
    box_spec *spec = new_spec();
    box_idmap *map = box_idmap_new(NULL);

    make_device();
    box_idmap_add(map, BOX_IDMAP_UID, 0, 100000, 65536, NULL);
    box_idmap_add(map, BOX_IDMAP_GID, 0, 100000, 65536, NULL);
    box_spec_set_idmap(spec, map, NULL);
    box_spec_add_net_device(spec, pair[0], "in0", NULL);
    struct outcome o = shown(spec);
    ok(o.code == 0 && has(&o, " in0"), "a container with a user namespace gets one too");
    box_idmap_free(map);
    box_spec_free(spec);
}

static void refused(box_spec *spec, int code, const char *part, const char *what)
{
    box_process *process = NULL;
    box_error *err = NULL;
    char *const args[] = {"/bin/true", NULL};

    box_spec_set_args(spec, args, NULL);
    is_int(box_launch(spec, NULL, &process, &err), code, what);
    ok(err && box_error_subject(err) && strstr(box_error_subject(err), part), "and named (%s)", err ? box_error_message(err) : "");
    box_error_free(err);
    box_process_free(process);
}

static void errors(void)
{
    box_spec *spec = new_spec();
    char first[16];

    is_int(box_spec_add_net_device(spec, "a/b", NULL, NULL), BOX_EINVAL, "what is no name of a device");
    is_int(box_spec_add_net_device(spec, "a", "sixteen-letters-", NULL), BOX_EINVAL, "or inside");
    ok(box_spec_next_net_device(spec, 0, NULL) == NULL, "is not taken");

    box_spec_add_net_device(spec, "nosuch0", NULL, NULL);
    refused(spec, BOX_ENOTFOUND, "linux.netDevices.nosuch0", "a device that is not there is refused");
    box_spec_clear_net_devices(spec, NULL);

    make_device();
    box_spec_add_net_device(spec, pair[0], "lo", NULL);
    refused(spec, BOX_EEXISTS, "linux.netDevices.lo", "a name that is taken is refused");
    ok(exists(pair[0]), "and the host keeps the device");
    box_spec_clear_net_devices(spec, NULL);

    /* Each by itself could go. */
    memcpy(first, pair[0], sizeof(first));
    make_device();
    shell("ip addr add 10.82.0.7/24 dev %s 2>/dev/null || busybox ip addr add 10.82.0.7/24 dev %s", first, first);
    box_spec_add_net_device(spec, first, "same", NULL);
    box_spec_add_net_device(spec, pair[0], "same", NULL);
    refused(spec, BOX_EEXISTS, "linux.netDevices.same", "two for one name are refused");
    ok(exists(first) && exists(pair[0]), "and the host has both, the one that was moved back as well");
    ok(shell("(ip addr show dev %s || busybox ip addr show dev %s) 2>/dev/null | grep -q 10.82.0.7/24", first, first),
       "with its address");
    box_spec_clear_net_devices(spec, NULL);

    /* A step after the move. */
    box_spec_add_net_device(spec, first, "in%d", NULL);
    box_spec_add_net_device(spec, pair[0], NULL, NULL);
    box_spec_set_args(spec, (char *const[]){"/no/such/program", NULL}, NULL);
    box_process *process = NULL;
    box_error *err = NULL;
    int r = box_launch(spec, NULL, &process, &err);
    is_int(r, BOX_ENOPROGRAM, "a start that fails when they have been moved fails");
    box_error_free(err);
    ok(exists(first) && exists(pair[0]), "and brings them back, under their old names");
    ok(shell("(ip addr show dev %s || busybox ip addr show dev %s) 2>/dev/null | grep -q 10.82.0.7/24", first, first),
       "with their addresses");
    box_spec_clear_net_devices(spec, NULL);
    box_spec_set_args(spec, (char *const[]){"/bin/true", NULL}, NULL);

    box_spec_add_net_device(spec, "lo", "lo1", NULL);
    refused(spec, BOX_EINVAL, "linux.netDevices.lo", "the loopback device stays where it is");
    box_spec_clear_net_devices(spec, NULL);

    box_spec_add_net_device(spec, pair[0], NULL, NULL);
    box_spec_share_namespace(spec, BOX_SPEC_NETWORK_NAMESPACE, NULL);
    refused(spec, BOX_ESPEC, "linux.netDevices", "without a network namespace there is nowhere to move it to");
    box_spec_free(spec);
}

/* The device has been moved by the time when the start fails. */
static void a_start_that_fails_later(void)
{
    box_spec *spec = new_spec();
    box_process *process = NULL;
    box_error *err = NULL;
    char *const args[] = {"/no/such/program", NULL}, *const sleeps[] = {"/bin/busybox", "sleep", "1000", NULL};
    char *const fails[] = {"false", NULL};

    make_device();
    shell("ip addr add 10.83.0.7/24 dev %s 2>/dev/null || busybox ip addr add 10.83.0.7/24 dev %s", pair[0], pair[0]);
    box_spec_add_net_device(spec, pair[0], "in0", NULL);
    box_spec_set_args(spec, args, NULL);
    is_int(box_launch(spec, NULL, &process, &err), BOX_ENOPROGRAM, "a start fails after its device was moved");
    box_error_free(err);
    err = NULL;
    ok(exists(pair[0]) && !exists("in0"), "the device is back, by its old name");
    ok(shell("(ip addr show dev %s || busybox ip addr show dev %s) 2>/dev/null | grep -q 10.83.0.7/24", pair[0], pair[0]),
       "with its address");
    box_spec_set_args(spec, sleeps, NULL);
    is_int(box_spec_add_hook(spec, BOX_SPEC_HOOK_POSTSTART, "/bin/false", fails, NULL, 0, NULL), 0, "a hook that fails when all is started");
    ok(box_launch(spec, NULL, &process, &err) < 0, "ends the start");
    ok(exists(pair[0]), "and the device is back from there too");
    box_error_free(err);
    box_spec_free(spec);
}

/* Of a namespace of the caller's own user namespace, to which the devices of this program's do not belong. */
static void without_the_right(void)
{
    int status = 0;
    pid_t pid;

    make_device();
    fflush(NULL);
    if ((pid = fork()) == 0) {
        box_spec *spec = new_spec();
        box_process *process = NULL;
        char *const args[] = {"/bin/true", NULL};
        if (unshare(CLONE_NEWUSER) < 0 || box_spec_add_net_device(spec, pair[0], NULL, NULL) < 0)
            _exit(77);
        box_spec_share_namespace(spec, BOX_SPEC_CGROUP_NAMESPACE, NULL); /* it would be refused before */
        box_spec_set_args(spec, args, NULL);
        box_error *err = NULL;
        int r = box_launch(spec, NULL, &process, &err);
        diag("%s", box_error_message(err));
        fflush(NULL);
        _exit(r == BOX_EPERMISSION ? 0 : 1);
    }
    waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip("no user namespace here");
    else
        ok(WIFEXITED(status) && WEXITSTATUS(status) == 0, "who has no right to the device does not get it");
    ok(exists(pair[0]), "and it is still there");
}

int main(void)
{
    if (geteuid() != 0)
        skip_all("needs root");
    if (!make_root())
        skip_all("no busybox to make a root file system of");
    if (unshare(CLONE_NEWNET) < 0)
        skip_all("no network namespace can be made here");
    if (!make_device())
        skip_all("neither veth nor dummy devices here, or no ip(8)");
    moved_and_renamed();
    templates_and_same_names();
    in_a_user_namespace();
    errors();
    a_start_that_fails_later();
    without_the_right();
    return done_testing();
}
