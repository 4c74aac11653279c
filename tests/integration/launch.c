/* The launch through its public header: namespaces, roots, users, streams, limits, filters, and how a process ended. One
 * program for this machine, the guest as root and the guest as an ordinary user. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libbox/box.h>
#include "started.h"

/* ---- the tests ------------------------------------------------------------------------------------------------------------ */

static void container_on_a_directory(void)
{
    box_spec *spec = new_spec();
    box_spec_set_hostname(spec, "inside", NULL);
    struct outcome o = run_shell(spec, "echo pid $$; hostname; id -u; ls /proc/self/fd; cat /proc/net/dev; exit 7");

    is_int(o.code, 0, "a container starts on a directory");
    ok(has(&o, "pid 1\n"), "its first process is number 1");
    ok(has(&o, "inside\n"), "it has a host name of its own");
    ok(has(&o, "lo:") && !strstr(o.output, "eth"), "it has a network of its own with a loopback device");
    ok(has(&o, "0\n1\n2\n3\n") && !strstr(o.output, "4\n"), "no descriptor but 0, 1 and 2 (and that of ls) reached it");
    is_int(o.ending.kind, BOX_ENDING_EXIT, "it ended by exit");
    is_int(o.ending.code, 7, "with its own status");
    ok(o.applied & BOX_APPLIED_NAMESPACES && o.applied & BOX_APPLIED_ROOT && o.applied & BOX_APPLIED_SECCOMP &&
           o.applied & BOX_APPLIED_CAPABILITIES && o.applied & BOX_APPLIED_NO_NEW_PRIVILEGES,
       "namespaces, root, filter, capabilities and no_new_privs were applied");
    box_spec_free(spec);
}

static void masked_and_read_only(void)
{
    box_spec *spec = new_spec();
    struct outcome o = run_shell(spec, "echo 1 >/proc/sys/kernel/panic && echo wrote; echo b >/proc/sysrq-trigger && echo wrote;"
                                       "cat /proc/keys /proc/timer_list | head -c 10; ls /sys/firmware; touch /sys/x && echo wrote;"
                                       "mkdir /sys/fs/cgroup/x && echo wrote; echo end");

    ok(has(&o, "end\n") && !strstr(o.output, "wrote"), "/proc/sys, /sys and the cgroups cannot be written to");
    is_str(o.output, "end\n", "masked paths are empty");
    box_spec_free(spec);
}

static void overlay(void)
{
    box_spec *spec = box_spec_new();
    char *const lower[] = {root_dir, NULL};
    char path[600];

    box_spec_set_root_overlay(spec, lower, NULL, NULL, NULL);
    struct outcome o = run_shell(spec, "touch /new && ls / && head -1 /proc/self/mountinfo; ls /..");
    snprintf(path, sizeof(path), "%s/new", root_dir);
    is_int(o.code, 0, "a container starts on an overlay with its changes in memory");
    ok(has(&o, "new\n"), "it writes to its root");
    ok(access(path, F_OK) < 0, "the layer below is untouched");
    ok(!strstr(o.output, "home\n") && !strstr(o.output, "var\n"), "nothing of the host's root is above its own");
    box_spec_free(spec);
}

static void user_by_name(void)
{
    if (geteuid() != 0) {
        skip("a single mapped id has no other users");
        return;
    }
    box_spec *spec = new_spec();
    box_spec_set_user_name(spec, "web", NULL);
    struct outcome o = run_shell(spec, "id -u; id -g; echo $HOME; grep CapEff /proc/self/status");
    ok(has(&o, "33\n44\n/srv/web\n"), "a user by name is looked up in the root's own passwd");
    ok(has(&o, "CapEff:\t0000000000000000"), "and has no capabilities");
    box_spec_set_user_name(spec, "nobodyhere", NULL);
    o = run_shell(spec, "true");
    is_int(o.code, BOX_ENOTFOUND, "a user that the root does not have is an error");
    ok(strstr(o.error, "nobodyhere") != NULL, "which names it");
    box_spec_free(spec);
}

static void programs_that_are_none(void)
{
    box_spec *spec = new_spec();
    char *const missing[] = {"/no/such", NULL}, *const directory[] = {"/etc", NULL};
    box_process *process = NULL;
    box_error *err = NULL;

    box_spec_set_args(spec, missing, NULL);
    is_int(box_launch(spec, NULL, &process, &err), BOX_ENOPROGRAM, "a missing program is BOX_ENOPROGRAM");
    ok(strstr(box_error_message(err), "/no/such") != NULL, "named in the error: %s", box_error_message(err));
    box_error_free(err);
    err = NULL;
    box_spec_set_args(spec, directory, NULL);
    is_int(box_launch(spec, NULL, &process, &err), BOX_ENOEXEC, "a directory as the program is BOX_ENOEXEC");
    box_error_free(err);
    box_spec_free(spec);
}

static void terminal(void)
{
    box_spec *spec = new_spec();
    char *const args[] = {"/bin/sh", "-c", "tty; stty size; echo on the console >/dev/console", NULL};
    box_stdio *io = box_stdio_new();
    box_process *process = NULL;
    box_error *err = NULL;

    box_spec_set_args(spec, args, NULL);
    box_stdio_set_pty(io, 33, 77, NULL);
    if (!ok(box_launch(spec, io, &process, &err) == 0, "a start with a terminal: %s", box_error_message(err)))
        return;
    struct outcome o = finish(process, box_process_pty_fd(process));
    ok(has(&o, "/dev/pts/0"), "it is one of the container's own devpts");
    ok(has(&o, "33 77"), "with the size that was asked for");
    ok(has(&o, "on the console"), "and /dev/console leads to it");
    box_stdio_free(io);
    box_spec_free(spec);
}

static void init_reaps(void)
{
    box_spec *spec = new_spec();
    box_spec_set_init(spec, true, NULL);
    struct outcome o = run_shell(spec, "cat /proc/1/comm; (sleep 0 & exec sleep 1) & sleep 2; cat /proc/[0-9]*/stat | grep -c ') Z '; kill -9 $$");
    ok(has(&o, "box-init\n"), "an init is the first process");
    ok(has(&o, "\n0\n"), "it reaps what is left to it");
    is_int(o.ending.kind, BOX_ENDING_SIGNAL, "and tells that its payload was killed");
    is_int(o.ending.signal, SIGKILL, "by which signal");
    box_spec_free(spec);
}

static void filter_names_the_call(void)
{
    box_spec *spec = new_spec();
    box_seccomp *policy = box_seccomp_new_default(box_capability_default(), NULL);

    box_seccomp_add_rule(policy, BOX_SECCOMP_KILL_PROCESS, 0, "mkdir", NULL, 0, NULL);
    box_seccomp_report_kills(policy, true);
    box_spec_set_seccomp(spec, policy, NULL);
    /* The process waits in the call until it is told what becomes of it: by a wait or a dispatch, not by reading. */
    char *const args[] = {"/bin/mkdir", "/tmp/x", NULL};
    box_process *process = NULL;
    struct outcome o = {0};
    box_spec_set_args(spec, args, NULL);
    if (!ok(box_launch(spec, NULL, &process, NULL) == 0, "a filter that reports what it kills for"))
        return;
    box_process_wait(process, 20000, NULL);
    o.ending = *box_process_ending(process);
    snprintf(o.syscall_name, sizeof(o.syscall_name), "%s", o.ending.syscall_name ? o.ending.syscall_name : "");
    box_process_free(process);
    is_int(o.ending.kind, BOX_ENDING_SECCOMP, "a process that its filter kills");
    is_str(o.syscall_name, "mkdir", "the system call is named");
    box_seccomp_free(policy);
    box_spec_free(spec);
}

static void deadline(void)
{
    box_spec *spec = new_spec();
    char *const args[] = {"/bin/sleep", "100", NULL};
    box_process *process = NULL;

    box_spec_set_args(spec, args, NULL);
    if (!ok(box_launch(spec, NULL, &process, NULL) == 0, "a process that takes too long"))
        return;
    is_int(box_process_wait(process, 50, NULL), BOX_ETIMEOUT, "a wait ends at its time");
    is_int(box_process_wait_or_kill(process, 50, NULL), 0, "or kills it then");
    is_int(box_process_ending(process)->kind, BOX_ENDING_DEADLINE, "and says so");
    box_process_free(process);
    box_spec_free(spec);
}

static void out_of_memory(void)
{
    box_spec *spec = box_spec_new_confined();
    box_limits_set(box_spec_limits(spec), BOX_LIMIT_MEMORY_MAX, 16 << 20, NULL);
    box_limits_set(box_spec_limits(spec), BOX_LIMIT_MEMORY_AND_SWAP, 16 << 20, NULL);
    struct outcome o = run_shell(spec, "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done");
    if (o.code < 0)
        skip("no memory limits here: %s", o.error);
    else
        is_int(o.ending.kind, BOX_ENDING_OOM, "a process that the kernel killed for want of memory");
    box_spec_free(spec);
}

static void mapped_overlay(void)
{
    if (geteuid() != 0) {
        skip("ranges of ids as root only");
        return;
    }
    box_spec *spec = box_spec_new();
    box_idmap *map = box_idmap_new(NULL);
    char *const lower[] = {root_dir, NULL};
    char upper[600], work[600], made[620];
    struct stat st = {0};

    snprintf(upper, sizeof(upper), "%s/../upper", root_dir);
    snprintf(work, sizeof(work), "%s/../work", root_dir);
    mkdir(upper, 0755);
    mkdir(work, 0700);
    box_idmap_add(map, BOX_IDMAP_UID, 0, 100000, 65536, NULL);
    box_idmap_add(map, BOX_IDMAP_GID, 0, 100000, 65536, NULL);
    box_spec_set_idmap(spec, map, NULL);
    box_spec_set_root_overlay(spec, lower, upper, work, NULL);
    struct outcome o = run_shell(spec, "id -u; cat /proc/self/uid_map; touch /made; ls -ln /made /bin/busybox");
    if (o.code == BOX_ESTART && strstr(o.error, "need Linux 6.15")) {
        skip("this kernel makes no overlay of mapped layers");
        box_idmap_free(map);
        box_spec_free(spec);
        return;
    }
    ok(has(&o, "100000"), "a user namespace with a range of ids");
    ok(strstr(o.output, "65534") == NULL, "the layers' files belong to ids inside");
    snprintf(made, sizeof(made), "%s/made", upper);
    ok(stat(made, &st) == 0 && st.st_uid == 0, "what it makes is kept with ids that are not mapped");
    box_idmap_free(map);
    box_spec_free(spec);
}

/* The root as a layer of a store that keeps layers as EROFS images; NULL where it cannot. */
static char **image_layer(void)
{
    const char *scratch = getenv("BOX_TMP");
    char store_dir[600], run_dir[600];
    box_store *store = NULL;
    box_image *image = NULL;
    box_error *err = NULL;
    char **layers = NULL;
    struct stat st;

    snprintf(store_dir, sizeof(store_dir), "%s/store", scratch ? scratch : "/tmp");
    snprintf(run_dir, sizeof(run_dir), "%s/store-run", scratch ? scratch : "/tmp");
    if (box_store_open(store_dir, run_dir, 0, &store, &err) < 0 || box_store_set(store, "layers", "erofs", &err) < 0 ||
        box_image_import(store, root_dir, NULL, &image, &err) < 0 || box_image_layer_dirs(image, &layers, &err) < 0)
        diag("no image: %s", box_error_message(err));
    if (layers && (stat(layers[0], &st) < 0 || !S_ISREG(st.st_mode))) {
        box_strings_free(layers);
        layers = NULL;
    }
    box_error_free(err);
    box_image_free(image);
    box_store_free(store);
    return layers;
}

static void image_layers(void)
{
    char **layer = image_layer(), *json = NULL, over[600], path[620];
    if (!layer) {
        skip("no EROFS image can be mounted here");
        return;
    }
    box_spec *spec = box_spec_new(), *again = NULL;

    box_spec_set_root_overlay(spec, layer, NULL, NULL, NULL);
    struct outcome o = run_shell(spec, "cat /etc/passwd; touch /new && ls -ld /new /tmp; grep -c erofs /proc/self/mountinfo");
    ok(has(&o, "web:x:33") && has(&o, "/new"), "a container starts on an EROFS image as its layer, and can be written to");
    ok(has(&o, "\n0\n"), "and sees nothing but the overlay");
    box_spec_set_user_name(spec, "web", NULL);
    o = run_shell(spec, "id -u; id -g");
    ok(has(&o, "33\n44\n"), "a user by name is looked up in the image");
    box_spec_set_user_name(spec, NULL, NULL);
    box_spec_set_root_readonly(spec, true, NULL);
    o = run_shell(spec, "cat /etc/passwd; touch /new || echo refused");
    ok(has(&o, "web:x:33") && has(&o, "refused"), "an image alone is a root that is only read");
    box_spec_set_root_readonly(spec, false, NULL);

    snprintf(over, sizeof(over), "%s/../over", root_dir);
    snprintf(path, sizeof(path), "%s/etc", over);
    mkdir(over, 0755);
    mkdir(path, 0755);
    snprintf(path, sizeof(path), "%s/etc/over", over);
    fclose(fopen(path, "we"));
    char *const both[] = {over, layer[0], NULL};
    box_spec_set_root_overlay(spec, both, NULL, NULL, NULL);
    ok(box_spec_format(spec, &json, NULL) == 0 && box_spec_parse(json, strlen(json), &again, NULL) == 0,
       "a spec with an image goes through JSON");
    o = run_shell(again ? again : spec, "ls /etc/over /etc/passwd");
    ok(has(&o, "/etc/over\n/etc/passwd\n"), "a directory and an image lie over each other");

    box_idmap *map = box_idmap_new(NULL);
    box_idmap_add(map, BOX_IDMAP_UID, 0, 100000, 65536, NULL);
    box_idmap_add(map, BOX_IDMAP_GID, 0, 100000, 65536, NULL);
    box_spec_set_idmap(spec, map, NULL);
    o = run_shell(spec, "cat /proc/self/uid_map; ls -ln /bin/busybox");
    if (o.code == BOX_ESTART && strstr(o.error, "need Linux 6.15"))
        skip("this kernel makes no overlay of mapped layers");
    else
        ok(has(&o, "100000") && !strstr(o.output, "65534"), "the image's files belong to ids inside a user namespace");
    box_idmap_free(map);
    free(json);
    box_spec_free(again);
    box_spec_free(spec);
    box_strings_free(layer);
}

static void many_from_one_plan(void)
{
    box_spec *spec = new_spec();
    char *const args[] = {"/bin/true", NULL};
    box_plan *plan = NULL;
    int good = 0;

    box_spec_set_args(spec, args, NULL);
    ok(box_plan_new(spec, &plan, NULL) == 0, "a plan is kept");
    for (int i = 0; i < 10; i++) {
        box_process *process = NULL;
        if (box_plan_start(plan, NULL, &process, NULL) == 0 && box_process_wait(process, 20000, NULL) == 0)
            good += box_process_ending(process)->kind == BOX_ENDING_EXIT && box_process_ending(process)->code == 0;
        box_process_free(process);
    }
    is_int(good, 10, "and started ten times");
    box_plan_free(plan);
    box_spec_free(spec);
}

int main(void)
{
    if (!make_root())
        skip_all("no busybox to make a root file system of");
    container_on_a_directory();
    masked_and_read_only();
    overlay();
    user_by_name();
    programs_that_are_none();
    terminal();
    init_reaps();
    filter_names_the_call();
    deadline();
    out_of_memory();
    mapped_overlay();
    image_layers();
    many_from_one_plan();
    return done_testing();
}
