/* Parts of the launch that a document cannot ask for, or that take a caller to look at: descriptors as sources, id mapped
 * mounts, joining, Landlock, files and terminals as streams, core dumps, processes that are let go. */
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "started.h"

static char scratch[512];

static const char *path_in(const char *name)
{
    static char path[2][600];
    static int turn;

    turn ^= 1;
    snprintf(path[turn], sizeof(path[turn]), "%s/%s", scratch, name);
    return path[turn];
}

static void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        diag("%s: %s", path, strerror(errno));
    close(fd);
}

static const char *get(const char *path)
{
    static char text[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    text[0] = '\0';
    if (fd >= 0)
        read_all(fd, text, sizeof(text));
    close(fd);
    return text;
}

static box_process *launched(box_spec *spec, const box_stdio *io, const char *command)
{
    char *const args[] = {"/bin/sh", "-c", (char *)(uintptr_t)command, NULL};
    box_process *process = NULL;
    box_error *err = NULL;

    box_spec_set_args(spec, args, NULL);
    if (box_launch(spec, io, &process, &err) < 0)
        diag("%s", box_error_message(err));
    box_error_free(err);
    return process;
}

/* ---- mounts -------------------------------------------------------------------------------------------------------------- */

static void bind_by_descriptor(void)
{
    box_spec *spec = new_spec();
    int fd = open(scratch, O_PATH | O_DIRECTORY | O_CLOEXEC);

    put(path_in("file"), "by descriptor\n");
    box_spec_add_bind_fd(spec, fd, "/data", "ro", NULL);
    close(fd); /* the spec has its own */
    struct outcome o = run_shell(spec, "cat /data/file; touch /data/no 2>/dev/null || echo read-only");
    is_str(o.output, "by descriptor\nread-only\n", "a directory is mounted by an open descriptor, read-only");
    box_spec_free(spec);
}

static void mapped_mount(void)
{
    if (geteuid() != 0) {
        skip("mapping the ids of a mount takes root");
        return;
    }
    box_spec *spec = new_spec();
    box_idmap *map = box_idmap_new(NULL);

    put(path_in("owned"), "");
    box_idmap_add(map, BOX_IDMAP_UID, 0, 1000, 10, NULL);
    box_idmap_add(map, BOX_IDMAP_GID, 0, 2000, 10, NULL);
    box_spec_add_bind(spec, scratch, "/data", NULL, NULL);
    box_spec_set_mount_idmap(spec, "/data", map, NULL);
    struct outcome o = run_shell(spec, "stat -c '%u %g' /data/owned");
    if (o.code < 0)
        skip("this file system cannot be mapped: %s", o.error);
    else
        is_str(o.output, "1000 2000\n", "the files of an id mapped mount belong to whom the mapping says");
    box_idmap_free(map);
    box_spec_free(spec);
}

static void sizes(void)
{
    char *const lower[] = {root_dir, NULL};
    box_spec *spec = box_spec_new();

    box_spec_set_root_overlay(spec, lower, NULL, NULL, NULL);
    box_spec_set_scratch_size(spec, 1 << 20, NULL);
    box_spec_add_tmpfs(spec, "/data", 1 << 20, 0711, NULL, NULL);
    struct outcome o = run_shell(spec, "for f in /x /data/x; do head -c 2000000 /dev/zero 2>/dev/null >$f || echo full; done; stat -c %a /data");
    is_str(o.output, "full\nfull\n711\n", "changes in memory and a tmpfs take no more than they may");
    box_spec_set_root_readonly(spec, true, NULL);
    o = run_shell(spec, "touch /x 2>/dev/null || echo read-only");
    is_str(o.output, "read-only\n", "an overlay can be read-only");
    box_spec_free(spec);
}

static void devices(void)
{
    box_spec *spec = new_spec();

    is_int(box_spec_add_device(spec, "/dev/zero", "/dev/mine", "r", NULL), 0, "a device of the host under another name");
    struct outcome o = run_shell(spec, "head -c 1 /dev/mine | wc -c; stat -c '%F %t %T' /dev/mine");
    ok(has(&o, "character special file 1 5\n"), "is there");
    box_spec_free(spec);
}

/* ---- namespaces ---------------------------------------------------------------------------------------------------------- */

static void joined_by_descriptor(void)
{
    if (geteuid() != 0) {
        skip("the other's user namespace would have to be joined first");
        return;
    }
    box_spec *spec = new_spec();
    box_process *first = launched(spec, NULL, "sleep 100");
    char path[64], name[64] = "", line[80];

    if (!ok(first != NULL, "a container whose network another is to share"))
        return;
    snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)box_process_pid(first));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = readlink(path, name, sizeof(name) - 1);
    name[n > 0 ? n : 0] = '\0';
    box_spec *second = new_spec();
    box_spec_join_namespace_fd(second, BOX_SPEC_NETWORK_NAMESPACE, fd, NULL);
    close(fd);
    struct outcome o = run_shell(second, "readlink /proc/self/ns/net");
    snprintf(line, sizeof(line), "%s\n", name);
    is_str(o.output, line, "another joins it by a descriptor");
    box_process_free(first);
    box_spec_free(second);
    box_spec_free(spec);
}

/* ---- confinement --------------------------------------------------------------------------------------------------------- */

static void landlock_alone(void)
{
    box_spec *spec = box_spec_new_confined();
    box_error *err = NULL;

    if (box_landlock_abi() <= 0) {
        skip("this kernel has no Landlock");
        box_spec_free(spec);
        return;
    }
    box_landlock *rules = box_landlock_new(&err);
    box_landlock_handle_up_to(rules, 0);
    box_landlock_allow_path(rules, "/", BOX_LANDLOCK_FS_READ_EXECUTE, 0, NULL);
    box_landlock_allow_path(rules, "/dev/null", BOX_LANDLOCK_FS_READ_WRITE, 0, NULL);
    box_spec_set_landlock(spec, rules, NULL);
    char command[700];
    snprintf(command, sizeof(command), "cat %s; echo x >%s 2>/dev/null || echo denied", path_in("file"), path_in("denied"));
    struct outcome o = run_shell(spec, command);
    is_str(o.output, "by descriptor\ndenied\n", "Landlock alone, on the host's own root");
    ok(o.applied & BOX_APPLIED_LANDLOCK, "and told as applied");
    box_landlock_free(rules);
    box_spec_free(spec);
}

static void keyrings(void)
{
    box_spec *spec = box_spec_new_confined();
    struct outcome o = run_shell(spec, "true");

    box_spec_set_new_keyring(spec, true, NULL);
    o = run_shell(spec, "true");
    if (o.code < 0)
        skip("no keyrings here: %s", o.error);
    else
        ok(o.applied & BOX_APPLIED_KEYRING, "a session keyring of its own");
    box_spec_set_new_keyring(spec, false, NULL);
    o = run_shell(spec, "true");
    ok(!(o.applied & BOX_APPLIED_KEYRING), "or the caller's");
    box_spec_free(spec);
}

static void what_may_be_missing(void)
{
    box_spec *spec = new_spec();

    if (box_lsm_enabled(BOX_LSM_APPARMOR)) {
        skip("AppArmor is here");
        box_spec_free(spec);
        return;
    }
    box_spec_set_apparmor(spec, "some-profile", NULL);
    struct outcome o = run_shell(spec, "true");
    is_int(o.code, BOX_EUNSUPPORTED, "a layer that this host has not makes the start fail");
    box_spec_allow_missing(spec, BOX_SPEC_LAYER_APPARMOR, NULL);
    o = run_shell(spec, "true");
    ok(o.code == 0 && !(o.applied & BOX_APPLIED_APPARMOR), "unless it may be missing, and then that can be read back");
    box_spec_free(spec);
}

/* ---- streams ------------------------------------------------------------------------------------------------------------- */

static void files_as_streams(void)
{
    box_spec *spec = new_spec();
    box_stdio *io = box_stdio_new();

    put(path_in("in"), "from a file\n");
    put(path_in("out"), "before\n");
    unlink(path_in("err"));
    box_stdio_set_file(io, 0, path_in("in"), NULL);
    box_stdio_set_file(io, 1, path_in("out"), NULL);
    box_stdio_set_file(io, 2, path_in("err"), NULL);
    box_process *process = launched(spec, io, "cat; echo failing >&2");
    if (ok(process != NULL, "files as streams"))
        box_process_wait(process, 20000, NULL);
    is_str(get(path_in("out")), "before\nfrom a file\n", "one is read, one appended to");
    is_str(get(path_in("err")), "failing\n", "and one made");
    box_process_free(process);
    box_stdio_free(io);
    box_spec_free(spec);
}

/* Reads until the text has come, for ten seconds at most. */
static bool reads(int fd, const char *text)
{
    char seen[1024] = "";
    size_t n = 0;

    while (!strstr(seen, text) && n + 1 < sizeof(seen)) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ssize_t got = poll(&p, 1, 10000) > 0 ? read(fd, seen + n, sizeof(seen) - 1 - n) : 0;
        if (got <= 0)
            break;
        n += (size_t)got;
        seen[n] = '\0';
    }
    return strstr(seen, text) != NULL;
}

static void resized_terminal(void)
{
    box_spec *spec = new_spec();
    box_stdio *io = box_stdio_new();

    box_stdio_set_pty(io, 24, 80, NULL);
    box_process *process = launched(spec, io, "stty size; read x; stty size");
    if (ok(process != NULL, "a terminal")) {
        int fd = box_process_pty_fd(process);
        ok(reads(fd, "24 80"), "has the size that it was made with");
        is_int(box_process_resize(process, 50, 132, NULL), 0, "it is resized");
        ok(write(fd, "\n", 1) == 1 && reads(fd, "50 132"), "and the program sees that");
    }
    box_process_free(process);
    box_stdio_free(io);
    box_spec_free(spec);
}

/* ---- endings ------------------------------------------------------------------------------------------------------------- */

static void core_dumped(void)
{
    box_spec *spec = new_spec();

    if (strncmp(get("/proc/sys/kernel/core_pattern"), "core", 4) != 0) {
        skip("this host does not put cores where the process is");
        box_spec_free(spec);
        return;
    }
    box_spec_add_tmpfs(spec, "/data", 0, 0777, NULL, NULL);
    box_spec_set_cwd(spec, "/data", NULL);
    box_spec_set_rlimit(spec, RLIMIT_CORE, 64 << 20, 64 << 20, NULL);
    /* Not as the first process of a pid namespace, which a signal of its own does not kill. */
    box_spec_set_init(spec, true, NULL);
    struct outcome o = run_shell(spec, "kill -ABRT $$");
    is_int(o.ending.signal, SIGABRT, "a process that aborts");
    ok(o.ending.core_dumped && strstr(o.text, "core dumped"), "is told to have dumped core: %s", o.text);
    box_spec_free(spec);
}

static void let_go(void)
{
    box_spec *spec = new_spec();
    box_process *process = launched(spec, NULL, "sleep 100");

    if (!ok(process != NULL, "a process that is let go"))
        return;
    pid_t pid = box_process_pid(process);
    box_process_detach(process);
    box_process_free(process);
    is_int(kill(pid, 0), 0, "goes on without its object");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    box_spec_free(spec);
}

/* ---- containers ---------------------------------------------------------------------------------------------------------- */

static void containers(void)
{
    char *const args[] = {"/bin/sleep", "100", NULL};
    char *const hook[] = {"sh", "-c", NULL, NULL}, *argv[4];
    box_spec *spec = new_spec();
    box_store *store = NULL;
    box_container *c = NULL, *again = NULL;
    box_error *err = NULL;
    char root[600], run[600], command[700];

    snprintf(root, sizeof(root), "%s/store", scratch);
    snprintf(run, sizeof(run), "%s/run", scratch);
    snprintf(command, sizeof(command), "cat >%s/stopped", scratch);
    memcpy(argv, hook, sizeof(hook));
    argv[2] = command;
    char *const env[] = {"PATH=/bin:/usr/bin", NULL};
    box_spec_set_args(spec, args, NULL);
    box_spec_add_hook(spec, BOX_SPEC_HOOK_POSTSTOP, "/bin/sh", argv, env, 5, NULL);
    if (box_store_open(root, run, 0, &store, &err) < 0 ||
        box_container_create(store, "late", NULL, spec, 0, &c, &err) < 0 || box_container_start_detached(c, &err) < 0) {
        ok(false, "a detached container: %s", box_error_message(err));
        return;
    }
    is_int(box_container_wait(c, 50, NULL), BOX_ETIMEOUT, "a wait for a container ends at its time");
    is_int(box_container_wait_or_kill(c, 50, &err), 0, "or it is killed then");
    is_int(box_container_ending(c)->kind, BOX_ENDING_DEADLINE, "and its ending says why");
    if (box_container_open(store, "late", &again, NULL) == 0)
        is_str(box_container_ending(again)->text, "killed: its deadline passed", "to whoever opens it");
    const char *state = get(path_in("stopped"));
    ok(strstr(state, "\"status\":\"stopped\"") && strstr(state, box_container_id(c)), "its poststop hook ran: %s", state);
    is_int(box_container_remove(c, 0, NULL), 0, "it is removed");
    box_container_free(again);
    box_container_free(c);
    box_store_free(store);
    box_spec_free(spec);
}

int main(void)
{
    const char *tmp = getenv("BOX_TMP");

    if (!make_root())
        skip_all("no busybox to make a root file system of");
    snprintf(scratch, sizeof(scratch), "%s/features", tmp ? tmp : "/tmp");
    mkdir(scratch, 0755);
    bind_by_descriptor();
    mapped_mount();
    sizes();
    devices();
    joined_by_descriptor();
    landlock_alone();
    keyrings();
    what_may_be_missing();
    files_as_streams();
    resized_terminal();
    core_dumped();
    let_go();
    containers();
    return done_testing();
}
