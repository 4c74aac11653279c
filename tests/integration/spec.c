/* What a spec or an OCI document says is what the kernel then has: each field, looked at from inside the process that was
 * started with it; and what cannot be had is an error that names the field. */
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sched.h>

#include "started.h"

static char scratch[512];

static char *read_file(const char *path)
{
    static char text[16384];
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    read_all(fd, text, sizeof(text));
    close(fd);
    return text;
}

/* The mounts that this program sees: its own and the system's, and not those that other tests make and unmake meanwhile. */
static long long count_mounts(void)
{
    char *text = read_file("/proc/self/mountinfo"), *save = NULL;
    long long n = 0;

    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        n += !strstr(line, "/tmp/") || strstr(line, scratch) || strstr(line, root_dir);
    return n;
}

static bool says(const char *text, const char *part)
{
    bool found = strstr(text, part) != NULL;

    if (!found)
        diag("\"%s\" is not in: %s", part, text);
    return found;
}

/* The spec does not start, and the error names what is wrong. */
static void refused(box_spec *spec, int code, const char *part, const char *text)
{
    struct outcome o = run_shell(spec, "true");

    is_int(o.code, code, text);
    ok(says(o.error, part), "and the error says %s", part);
}

/* ---- a document ---------------------------------------------------------------------------------------------------------- */

static const char document[] =
    "{\"ociVersion\": \"1.3.0\", \"hostname\": \"named\", \"domainname\": \"domain\","
    " \"process\": {\"user\": {\"uid\": 0, \"gid\": 0, \"umask\": 63}, \"cwd\": \"/data\", \"args\": [\"x\"],"
    "  \"env\": [\"PATH=/bin\", \"A=b c\"], \"noNewPrivileges\": true, \"oomScoreAdj\": 777,"
    "  \"rlimits\": [{\"type\": \"RLIMIT_NOFILE\", \"soft\": 50, \"hard\": 60}, {\"type\": \"RLIMIT_CORE\", \"soft\": 0, \"hard\": 0}],"
    "  \"scheduler\": {\"policy\": \"SCHED_BATCH\", \"nice\": 7}, \"ioPriority\": {\"class\": \"IOPRIO_CLASS_IDLE\", \"priority\": 0},"
    "  \"capabilities\": {\"bounding\": [\"CAP_KILL\", \"CAP_CHOWN\"], \"effective\": [\"CAP_KILL\"], \"permitted\": [\"CAP_KILL\"]},"
    "  \"execCPUAffinity\": {\"final\": \"0\"}},"
    " \"root\": {\"path\": \"%s\", \"readonly\": true},"
    " \"mounts\": [{\"destination\": \"/proc\", \"type\": \"proc\", \"source\": \"proc\"},"
    "  {\"destination\": \"/dev\", \"type\": \"tmpfs\", \"source\": \"tmpfs\", \"options\": [\"nosuid\", \"mode=755\", \"ro\"]},"
    "  {\"destination\": \"/tmp\", \"type\": \"tmpfs\", \"source\": \"tmpfs\", \"options\": [\"rnosuid\", \"rro\", \"tmpcopyup\"]},"
    "  {\"destination\": \"/data\", \"type\": \"tmpfs\", \"source\": \"tmpfs\", \"options\": [\"size=1m\"]},"
    "  {\"destination\": \"/data\", \"options\": [\"remount\", \"size=3m\"]},"
    "  {\"destination\": \"/data\", \"options\": [\"shared\"]}],"
    " \"annotations\": {\"org.example.key\": \"value\"},"
    " \"linux\": {\"namespaces\": [{\"type\": \"mount\"}, {\"type\": \"pid\"}, {\"type\": \"network\"}, {\"type\": \"ipc\"},"
    "   {\"type\": \"uts\"}, {\"type\": \"time\"}%s], %s"
    "  \"timeOffsets\": {\"boottime\": {\"secs\": 1000000000}},"
    "  \"devices\": [{\"path\": \"/dev/pipe\", \"type\": \"p\", \"fileMode\": 384}%s],"
    "  \"sysctl\": {\"net.ipv4.ip_default_ttl\": \"77\", \"kernel.shmmni\": \"123\"},"
    "  \"rootfsPropagation\": \"shared\", \"maskedPaths\": [\"/proc/meminfo\", \"/etc\"], \"readonlyPaths\": [\"/proc/sys\"],"
    "  \"personality\": {\"domain\": \"LINUX32\"}}}";

static box_spec *parse_document(void)
{
    char text[8192], maps[256];
    box_spec *spec = NULL;
    box_error *err = NULL;
    bool root = geteuid() == 0;

    snprintf(maps, sizeof(maps),
             "\"uidMappings\": [{\"containerID\": 0, \"hostID\": %u, \"size\": 1}],"
             "\"gidMappings\": [{\"containerID\": 0, \"hostID\": %u, \"size\": 1}],",
             (unsigned)geteuid(), (unsigned)getegid());
    snprintf(text, sizeof(text), document, root_dir, root ? "" : ", {\"type\": \"user\"}", root ? "" : maps,
             root ? ", {\"path\": \"/dev/nothing\", \"type\": \"c\", \"major\": 1, \"minor\": 3, \"fileMode\": 416, \"uid\": 5, \"gid\": 6}"
                  : "");
    if (box_spec_parse(text, strlen(text), &spec, &err) < 0)
        diag("%s", box_error_message(err));
    box_error_free(err);
    return spec;
}

/* The line that begins so has the text. */
static bool on_line(const struct outcome *o, const char *start, const char *text)
{
    const char *line = strstr(o->output, start), *found = line ? strstr(line, text) : NULL;

    if (!found)
        diag("output: %s", line ? line : o->output);
    return found && found < line + strcspn(line, "\n");
}

static void fields_of_a_document(void)
{
    char command[] = "hostname; cat /proc/sys/kernel/domainname; pwd; echo $A; umask; ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj;"
                     "cat /proc/self/stat; ionice -p $$; cat /proc/self/status; cat /proc/self/personality; cat /proc/uptime;"
                     "cat /proc/sys/net/ipv4/ip_default_ttl /proc/sys/kernel/shmmni; stat -c 'node %n %F %a %u %g %t %T' /dev/*;"
                     "touch /x 2>/dev/null || echo root read-only; touch /dev/x || echo dev read-only; touch /tmp/x || echo tmp read-only;"
                     "ls -A /etc | head -1; cat /proc/meminfo; echo 1 >/proc/sys/net/ipv4/ip_default_ttl || echo sysctl read-only;"
                     "ls /tmp; while read a b c d e f; do case $e in / | /data) echo \"mount $e $f\" ;; esac; done </proc/self/mountinfo";
    char file[600];
    box_spec *spec = parse_document();

    snprintf(file, sizeof(file), "%s/tmp/copied", root_dir);
    close(open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    if (!ok(spec != NULL, "a document is read"))
        return;
    long long mounts = count_mounts();
    struct outcome o = run_shell(spec, command);
    is_int(o.code, 0, "and started from");
    ok(has(&o, "named\ndomain\n/data\nb c\n"), "host name, domain name, working directory and environment");
    ok(has(&o, "0077\n50\n60\n777\n"), "umask, limits of descriptors, OOM score");
    ok(has(&o, " 27 7 1 "), "nice");
    ok(has(&o, "idle"), "I/O priority");
    ok(has(&o, "Cpus_allowed_list:\t0\n"), "CPU affinity");
    ok(has(&o, "CapEff:\t0000000000000020\n") && has(&o, "CapBnd:\t0000000000000021\n"), "capabilities");
    ok(has(&o, "NoNewPrivs:\t1\n"), "no_new_privs");
    ok(has(&o, "00000008\n"), "personality");
    ok(has(&o, "\n10"), "the clock since boot has its offset");
    ok(has(&o, "\n77\n123\n"), "sysctls");
    ok(has(&o, "node /dev/pipe fifo 600 0 0"), "a FIFO among the devices");
    ok(geteuid() != 0 || has(&o, "node /dev/nothing character special file 640 5 6 1 3"), "a device with its mode and owner");
    ok(has(&o, "root read-only\ndev read-only\ntmp read-only\nsysctl read-only\n"),
       "read-only are the root, a filled /dev, a new tmpfs with rro, a path; masked ones are empty");
    ok(has(&o, "copied\n"), "a tmpfs is filled with what its directory held");
    ok(has(&o, "size=3072k"), "remount changes the options of a file system");
    ok(on_line(&o, "mount / ", "shared:"), "the root is shared");
    ok(on_line(&o, "mount /data ", "shared:"), "and so is a mount by its option alone");
    is_int(count_mounts(), mounts, "nothing of it is mounted on the host");
    box_spec_free(spec);
    unlink(file);
}

static void scheduler_policy(void)
{
    box_spec *spec = new_spec();
    struct box_scheduler batch = {.policy = SCHED_BATCH, .nice = 3};

    box_spec_set_scheduler(spec, &batch, NULL);
    struct outcome o = run_shell(spec, "set -- $(cat /proc/self/stat); shift 40; echo policy $1");
    ok(has(&o, "policy 3\n"), "a scheduling policy");
    box_spec_free(spec);
}

static void memory_policy(void)
{
    static const char text[] = "{\"ociVersion\": \"1.3.0\", \"process\": {\"cwd\": \"/\"}, \"libbox\": {\"root\": {\"host\": true}},"
                               "\"linux\": {\"memoryPolicy\": {\"mode\": \"MPOL_BIND\", \"nodes\": \"0\", \"flags\": [\"MPOL_F_STATIC_NODES\"]}}}";
    box_spec *spec = NULL;

    if (!ok(box_spec_parse(text, strlen(text), &spec, NULL) == 0, "a memory policy is read"))
        return;
    struct outcome o = run_shell(spec, "head -3 /proc/self/numa_maps");
    if (o.code == BOX_EUNSUPPORTED || o.code == BOX_ESTART)
        skip("no memory policies here: %s", o.error);
    else if (!*o.output)
        skip("no numa_maps here");
    else
        ok(has(&o, "bind=static:0"), "and in force");
    box_spec_free(spec);
}

/* ---- what cannot be had -------------------------------------------------------------------------------------------------- */

static void refused_document(const char *linux_part, int code, const char *field)
{
    char text[1024];
    box_spec *spec = NULL;

    snprintf(text, sizeof(text), "{\"ociVersion\": \"1.3.0\", \"process\": {\"cwd\": \"/\"}, \"root\": {\"path\": \"%s\"},"
                                 "\"linux\": {\"namespaces\": [{\"type\": \"mount\"}, {\"type\": \"network\"}], %s}}", root_dir, linux_part);
    if (ok(box_spec_parse(text, strlen(text), &spec, NULL) == 0, "%s is read", field))
        refused(spec, code, field, "and refused at the start");
    box_spec_free(spec);
}

static void refused_option(const char *type, const char *source, const char *options, const char *part)
{
    box_spec *spec = new_spec();

    box_spec_add_mount(spec, type, source, "/data", options, NULL);
    refused(spec, BOX_ESPEC, part, "a mount option that would change nothing is refused");
    box_spec_free(spec);
}

static void what_is_not_carried_out(void)
{
    refused_document("\"intelRdt\": {\"closID\": \"a\"}", BOX_EUNSUPPORTED, "linux.intelRdt");
    refused_option("proc", "proc", "tmpcopyup", "tmpcopyup");
    refused_option("tmpfs", "tmpfs", "copy-symlink", "copy-symlink");

    box_spec *spec = new_spec();
    box_spec_set_mount_label(spec, "system_u:object_r:container_file_t:s0", NULL);
    if (box_lsm_enabled(BOX_LSM_SELINUX)) {
        skip("SELinux is here");
    } else {
        refused(spec, BOX_EUNSUPPORTED, "linux.mountLabel", "a label of mounts where there is no SELinux");
        box_spec_allow_missing(spec, BOX_SPEC_LAYER_SELINUX, NULL);
        is_int(run_shell(spec, "true").code, 0, "unless it may be missing");
    }
    box_spec_free(spec);

    static const char counts[] = "{\"ociVersion\": \"1.3.0\", \"process\": {\"cwd\": \"/\"}, \"libbox\": {\"root\": {\"host\": true}, \"preserveFds\": 1}}";
    if (ok(box_spec_parse(counts, strlen(counts), &spec, NULL) == 0, "a document that counts on descriptors"))
        refused(spec, BOX_ESPEC, "libbox.preserveFds", "that nobody gives is refused");
    box_spec_free(spec);
}

static int mounts_of(pid_t pid)
{
    char path[64];
    int n = 0;

    snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)pid);
    FILE *f = fopen(path, "re");
    for (int c; f && (c = fgetc(f)) != EOF;)
        n += c == '\n';
    if (f)
        fclose(f);
    return n;
}

/* A process that holds a mount namespace whose mounts are all peers of this program's child, as those of a host may be of
 * the host's. It tells the number of both. */
static pid_t hold_namespaces(pid_t both[2], int *stay)
{
    int ready[2], end[2];
    char byte;

    if (pipe2(ready, O_CLOEXEC) < 0 || pipe2(end, O_CLOEXEC) < 0)
        return -1;
    fflush(NULL);
    pid_t holder = fork();
    if (holder == 0) {
        close(end[1]);
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL) < 0)
            _exit(1);
        pid_t second = fork();
        if (second == 0 && unshare(CLONE_NEWNS) < 0)
            _exit(1);
        const pid_t pids[2] = {getppid(), getpid()};
        if (second == 0 && write(ready[1], pids, sizeof(pids)) != sizeof(pids))
            _exit(1);
        close(ready[1]);
        _exit(read(end[0], &byte, 1) < 0 || (second > 0 && waitpid(second, NULL, 0) < 0));
    }
    close(ready[1]);
    close(end[0]);
    bool good = read(ready[0], both, 2 * sizeof(pid_t)) == (ssize_t)(2 * sizeof(pid_t));
    close(ready[0]);
    *stay = end[1];
    ok(good, "somebody makes a mount namespace");
    return holder;
}

static void root_in_a_joined_namespace(void)
{
    char path[64], name[64] = "", made[600];
    pid_t both[2] = {0, 0};
    int stay = -1, before;
    pid_t holder = hold_namespaces(both, &stay);

    snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)both[1]);
    if (readlink(path, name, sizeof(name) - 1) < 0)
        name[0] = '\0';
    before = mounts_of(both[0]);
    box_spec *spec = new_spec();
    box_spec_join_namespace(spec, BOX_SPEC_MOUNT_NAMESPACE, path, NULL);
    box_spec_add_tmpfs(spec, "/data", 0, 0755, NULL, NULL);
    struct outcome o = run_shell(spec, "readlink /proc/self/ns/mnt; ls -d /data /home /etc/passwd; touch /data/x");
    ok(o.code == 0 && *name && has(&o, name), "a container with a root of its own is started in it");
    ok(has(&o, "/etc/passwd") && !strstr(o.output, "/home\n"), "with that root");
    snprintf(made, sizeof(made), "%s/data/x", root_dir);
    ok(before > 0 && access(made, F_OK) < 0 && mounts_of(both[0]) == before, "mounts elsewhere, its peers, are as they were");
    box_spec_free(spec);
    close(stay);
    waitpid(holder, NULL, 0);
}

static void joined_mount_namespace(void)
{
    char path[64];

    if (geteuid() != 0) {
        skip("joining a mount namespace needs root here");
        return;
    }
    box_spec *spec = new_spec();
    snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)getpid());
    box_spec_join_namespace(spec, BOX_SPEC_MOUNT_NAMESPACE, path, NULL);
    refused(spec, BOX_ESPEC, "linux.namespaces", "a root of its own in the host's mount namespace is refused");
    box_spec_free(spec);
    root_in_a_joined_namespace();

    spec = box_spec_new_confined();
    box_spec_join_namespace(spec, BOX_SPEC_MOUNT_NAMESPACE, path, NULL);
    struct outcome o = run_shell(spec, "readlink /proc/self/ns/mnt");
    char own[64];
    ssize_t n = readlink("/proc/self/ns/mnt", own, sizeof(own) - 1);
    own[n > 0 ? n : 0] = '\0';
    ok(o.code == 0 && has(&o, own), "without one it is joined");
    box_spec_free(spec);
}

/* ---- mounts -------------------------------------------------------------------------------------------------------------- */

static void optional_mounts(void)
{
    box_spec *spec = new_spec();
    char source[600], file[620];

    snprintf(source, sizeof(source), "%s/other", scratch);
    mkdir(source, 0755);
    snprintf(file, sizeof(file), "%s/b", source);
    close(open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    box_spec_add_tmpfs(spec, "/data", 0, 0755, NULL, NULL);
    box_spec_add_bind(spec, source, "/etc/passwd/x", "ro", NULL); /* no place to mount it on */
    box_spec_set_mount_optional(spec, "/etc/passwd/x", true, NULL);
    box_spec_add_mount(spec, "tmpfs", "tmpfs", "/tmp", "nonsense=1", NULL);
    box_spec_set_mount_optional(spec, "/tmp", true, NULL);
    struct outcome o = run_shell(spec, "ls /data; grep -c ' /tmp ' /proc/self/mountinfo; echo end");
    is_str(o.output, "0\nend\n", "an optional mount that cannot be had is not there, and covers nothing else");
    box_spec_free(spec);

    spec = new_spec();
    char link[600];
    snprintf(link, sizeof(link), "%s/link", scratch);
    ok(symlink("/somewhere/else", link) == 0 || errno == EEXIST, "a link");
    box_spec_add_tmpfs(spec, "/data", 0, 0755, NULL, NULL);
    box_spec_add_bind(spec, link, "/data/again", "copy-symlink", NULL);
    o = run_shell(spec, "readlink /data/again");
    is_str(o.output, "/somewhere/else\n", "is made again where copy-symlink asks for it");
    box_spec_free(spec);
}

static void descriptors_and_binds(void)
{
    box_spec *spec = new_spec();
    char *const args[] = {"/bin/sh", "-c", "echo through >&50; ulimit -n", NULL};
    box_stdio *io = box_stdio_new();
    box_process *process = NULL;
    box_error *err = NULL;
    int pipe_fds[2];
    char text[64] = "";

    for (int i = 0; i < 3; i++)
        box_spec_add_bind(spec, root_dir, "/data", NULL, NULL);
    box_spec_set_args(spec, args, NULL);
    if (pipe(pipe_fds) < 0 || box_stdio_set_fd(io, 50, pipe_fds[1], &err) < 0)
        diag("%s", box_error_message(err));
    is_int(box_launch(spec, io, &process, &err), 0, "a descriptor with a high number beside bind mounts");
    box_error_free(err);
    close(pipe_fds[1]);
    read_all(pipe_fds[0], text, sizeof(text));
    close(pipe_fds[0]);
    is_str(text, "through\n", "reaches the process under that number");
    box_process_free(process);
    box_stdio_free(io);
    box_spec_free(spec);
}

/* What the stage itself needs is not taken from it by the limits of the payload. */
static void default_devices_in_spite_of_rules(void)
{
    char text[1024];
    box_spec *spec = NULL;

    if (geteuid() != 0) {
        skip("rules for devices are root's");
        return;
    }
    /* What `runc spec` writes, among others. */
    snprintf(text, sizeof(text), "{\"ociVersion\": \"1.0.2\", \"process\": {\"cwd\": \"/\", \"env\": [\"PATH=/bin\"],"
             "\"capabilities\": {\"bounding\": [\"CAP_KILL\"], \"permitted\": [\"CAP_KILL\"], \"effective\": [\"CAP_KILL\"], \"ambient\": [\"CAP_KILL\"]}},"
             "\"root\": {\"path\": \"%s\"}, \"mounts\": [{\"destination\": \"/dev\", \"type\": \"tmpfs\", \"source\": \"tmpfs\"}],"
             "\"linux\": {\"namespaces\": [{\"type\": \"mount\"}], \"devices\": [{\"path\": \"/dev/mem\", \"type\": \"c\", \"major\": 1, \"minor\": 1}],"
             "\"resources\": {\"devices\": [{\"allow\": false, \"access\": \"rwm\"}]}}}", root_dir);
    if (!ok(box_spec_parse(text, strlen(text), &spec, NULL) == 0, "a document that denies all devices"))
        return;
    struct outcome o = run_shell(spec, "head -c 1 /dev/zero >/dev/null && echo zero; head -c 1 /dev/mem || echo no memory");
    is_str(o.output, "zero\nno memory\n", "gets those that every container has, and no other");
    box_spec_free(spec);
}

static void tight_limits(void)
{
    box_spec *spec = new_spec();

    box_spec_set_rlimit(spec, RLIMIT_NOFILE, 3, 3, NULL);
    box_spec_set_rlimit(spec, RLIMIT_FSIZE, 0, 0, NULL);
    for (int i = 0; i < 10; i++)
        box_spec_add_bind(spec, root_dir, "/data", NULL, NULL);
    struct outcome o = run_shell(spec, "ulimit -n");
    is_str(o.output, "3\n", "a limit of three descriptors does not hinder the start");
    box_spec_free(spec);
}

static void sysctl_without_mounts(void)
{
    if (geteuid() != 0) {
        skip("the host's /proc belongs to root");
        return;
    }
    box_spec *spec = box_spec_new_confined();
    box_spec_add_namespace(spec, BOX_SPEC_NETWORK_NAMESPACE, NULL);
    box_spec_set_sysctl(spec, "net.ipv4.ip_default_ttl", "78", NULL);
    /* The host's /proc shows the namespace of who looks. */
    struct outcome o = run_shell(spec, "cat /proc/sys/net/ipv4/ip_default_ttl");
    is_str(o.output, "78\n", "a sysctl of a network namespace is set without a mount namespace as well");
    box_spec_free(spec);
}

/* ---- propagation --------------------------------------------------------------------------------------------------------- */

/* A mount namespace of this program's own, all of it shared, as on most hosts. */
static bool share_all(void)
{
    return geteuid() == 0 && unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL) == 0;
}

static box_spec *propagating(const char *root_propagation, const char *source, const char *options)
{
    box_spec *spec = new_spec();

    box_spec_set_privileged(spec, NULL);
    box_spec_set_root_propagation(spec, root_propagation, NULL);
    box_spec_add_bind(spec, source, "/data", options, NULL);
    return spec;
}

static void propagation(void)
{
    static const char *const words[] = {NULL, "shared", "rshared", "slave", "private", "rprivate", "unbindable", "runbindable"};
    char shared[600], inside[620];

    snprintf(shared, sizeof(shared), "%s/shared", scratch);
    mkdir(shared, 0755);
    if (!share_all() || mount("tmpfs", shared, "tmpfs", 0, NULL) < 0) {
        skip("no mount namespace of the test's own");
        return;
    }
    snprintf(inside, sizeof(inside), "%s/in", shared);
    mkdir(inside, 0755);
    long long before = count_mounts();
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        box_spec *spec = propagating(words[i], shared, NULL);
        struct outcome o = run_shell(spec, "mount -t tmpfs t /data/in && mount -t tmpfs t /tmp && echo mounted");
        is_str(o.output, "mounted\n", words[i] ? words[i] : "nothing said of propagation");
        is_int(count_mounts(), before,
               "neither the start nor the container's mounts nor their end reach the host");
        box_spec_free(spec);
    }
    box_spec *spec = propagating("rshared", shared, "rshared");
    struct outcome o = run_shell(spec, "mount -t tmpfs t /data/in && echo mounted");
    is_str(o.output, "mounted\n", "a mount inside a bind that is shared");
    is_int(count_mounts(), before + 1, "is there on the host");
    umount2(inside, MNT_DETACH);
    box_spec_free(spec);

    spec = propagating(NULL, shared, "rslave");
    char *const args[] = {"/bin/sh", "-c", "until [ -e /data/in/late ]; do sleep 0.01; done; echo seen", NULL};
    box_stdio *io = box_stdio_new();
    box_process *process = NULL;
    char late[640];
    box_spec_set_args(spec, args, NULL);
    box_stdio_set_pipe(io, 1, NULL);
    if (ok(box_launch(spec, io, &process, NULL) == 0, "a bind that is a slave")) {
        mount("tmpfs", inside, "tmpfs", 0, NULL);
        snprintf(late, sizeof(late), "%s/late", inside);
        close(open(late, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
        o = finish(process, box_process_stream_fd(process, 1));
        is_str(o.output, "seen\n", "shows what the host mounts later");
    }
    umount2(inside, MNT_DETACH);
    umount2(shared, MNT_DETACH);
    box_stdio_free(io);
    box_spec_free(spec);
}

/* ---- hooks --------------------------------------------------------------------------------------------------------------- */

static char hook_log[600];

static void add_hook(box_spec *spec, enum box_spec_hook kind, const char *name, const char *command, int timeout)
{
    char text[1024];
    char *const args[] = {"sh", "-c", text, NULL};
    char *const env[] = {"PATH=/bin:/usr/bin", NULL};

    if (command)
        snprintf(text, sizeof(text), "%s", command);
    else
        snprintf(text, sizeof(text), "{ echo \"%s $(readlink /proc/self/ns/mnt)\"; cat; echo; } >>%s", name,
                 kind == BOX_SPEC_HOOK_START_CONTAINER ? "/data/log" : hook_log);
    box_spec_add_hook(spec, kind, "/bin/sh", args, env, timeout, NULL);
}

static box_spec *hook_spec(void)
{
    box_spec *spec = new_spec();

    snprintf(hook_log, sizeof(hook_log), "%s/hooks", scratch);
    close(open(hook_log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    box_spec_add_bind(spec, scratch, "/data", NULL, NULL);
    box_spec_set_annotation(spec, "org.example.key", "its value", NULL);
    return spec;
}

static void all_hooks(void)
{
    static const char *const names[] = {"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"};
    box_spec *spec = hook_spec();
    char *const args[] = {"/bin/sh", "-c", "exit 0", NULL};
    box_process *process = NULL;
    box_error *err = NULL;
    char log[620], own[64] = "", pid[32];
    bool in_order = true;

    for (int i = 0; i < 6; i++)
        if (i != BOX_SPEC_HOOK_START_CONTAINER)
            add_hook(spec, (enum box_spec_hook)i, names[i], NULL, 0);
    add_hook(spec, BOX_SPEC_HOOK_START_CONTAINER, names[3], "{ echo startContainer; cat; echo; grep -e Seccomp: -e CapEff /proc/self/status; } >/data/inside", 0);
    box_spec_set_args(spec, args, NULL);
    if (!ok(box_launch(spec, NULL, &process, &err) == 0, "a start with hooks of all kinds: %s", box_error_message(err)))
        return;
    snprintf(pid, sizeof(pid), "\"pid\":%d,", (int)box_process_pid(process));
    box_process_wait(process, 20000, NULL);
    box_process_free(process);
    char *text = read_file(hook_log), *at = text;
    for (int i = 0; i < 6; i++) {
        if (i == BOX_SPEC_HOOK_START_CONTAINER)
            continue;
        at = strstr(at, names[i]);
        in_order = in_order && at;
        at = at ? at : text;
    }
    ok(in_order, "they run in the order of the specification");
    diag("%s", text);
    ok(says(text, pid) && says(text, "\"status\":\"creating\"") && says(text, "\"status\":\"running\"") &&
           says(text, "\"status\":\"stopped\"") && says(text, "\"org.example.key\":\"its value\""),
       "each with the state of its time: pid, status, annotations");
    ssize_t n = readlink("/proc/self/ns/mnt", own, sizeof(own) - 1);
    own[n > 0 ? n : 0] = '\0';
    char *container = strstr(text, "createContainer"), *runtime = strstr(text, "createRuntime");
    ok(runtime && strstr(runtime, own) && strstr(runtime, own) < strchr(runtime, '\n'), "createRuntime in the host's namespaces");
    ok(container && strncmp(container + strlen("createContainer "), own, strlen(own)) != 0, "createContainer in the container's");
    snprintf(log, sizeof(log), "%s/inside", scratch);
    text = read_file(log);
    ok(says(text, "\"status\":\"created\"") && says(text, "Seccomp:\t2\n") && says(text, "CapEff:\t00000000a80425fb"),
       "startContainer inside, under the container's own filter and capabilities");
    box_spec_free(spec);
}

static void failing_hooks(void)
{
    static const struct {
        enum box_spec_hook kind;
        const char *command;
        int timeout;
        const char *says[3];
    } cases[] = {
        {BOX_SPEC_HOOK_CREATE_RUNTIME, "echo no bridge >&2; exit 3", 0, {"hooks.createRuntime[0]", "status 3", "no bridge"}},
        {BOX_SPEC_HOOK_CREATE_CONTAINER, "echo no mount >&2; exit 4", 0, {"hooks.createContainer[0]", "exited with 4", "no mount"}},
        {BOX_SPEC_HOOK_START_CONTAINER, "sleep 100", 1, {"hooks.startContainer[0]", "/bin/sh", "not done in its time"}},
        {BOX_SPEC_HOOK_POSTSTART, "kill -9 $$", 0, {"hooks.poststart[0]", "signal 9", ""}},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        box_spec *spec = hook_spec();
        add_hook(spec, cases[i].kind, "", cases[i].command, cases[i].timeout);
        add_hook(spec, BOX_SPEC_HOOK_POSTSTOP, "poststop", NULL, 0);
        struct outcome o = run_shell(spec, "sleep 100");
        is_int(o.code, BOX_ESTART, "a hook that fails makes the start fail");
        ok(says(o.error, cases[i].says[0]) && says(o.error, cases[i].says[1]) && says(o.error, cases[i].says[2]),
           "the error tells which, how and why");
        ok(says(read_file(hook_log), "poststop"), "poststop is run all the same");
        box_spec_free(spec);
    }
    box_spec *spec = hook_spec();
    box_spec_add_hook(spec, BOX_SPEC_HOOK_CREATE_RUNTIME, "/no/such/hook", NULL, NULL, 0, NULL);
    refused(spec, BOX_ENOPROGRAM, "hooks.createRuntime[0]", "a hook that is not there");
    box_spec_free(spec);
}

/* ---- supervised calls ---------------------------------------------------------------------------------------------------- */

static box_seccomp *notifying(void)
{
    box_seccomp *policy = box_seccomp_new_default(box_capability_default(), NULL);

    box_seccomp_add_rule(policy, BOX_SECCOMP_NOTIFY, 0, "mkdir", NULL, 0, NULL);
    box_seccomp_add_rule(policy, BOX_SECCOMP_NOTIFY, 0, "mkdirat", NULL, 0, NULL);
    return policy;
}

/* Answers the next mkdir with an error. */
static bool answer(int listener)
{
    box_seccomp_notify *notify = box_seccomp_notify_new(listener, NULL);
    struct box_seccomp_request request;
    bool good = false;

    for (int i = 0; notify && i < 3 && !good; i++) {
        struct pollfd p = {.fd = box_seccomp_notify_fd(notify), .events = POLLIN};
        if (poll(&p, 1, 10000) == 1 && box_seccomp_notify_receive(notify, &request, NULL) == 1)
            good = box_seccomp_notify_error(notify, request.id, EXDEV, NULL) == 0;
    }
    box_seccomp_notify_free(notify);
    return good;
}

static void supervised_by_the_caller(void)
{
    box_spec *spec = new_spec();
    box_seccomp *policy = notifying();
    char *const args[] = {"mkdir", "/tmp/x", NULL};
    box_stdio *io = box_stdio_new();
    box_process *process = NULL;
    box_error *err = NULL;

    /* The stage's own execve is asked about too: the start must not wait for an answer that the caller cannot give yet. */
    box_seccomp_add_rule(policy, BOX_SECCOMP_NOTIFY, 0, "execve", NULL, 0, NULL);
    box_spec_set_seccomp(spec, policy, NULL);
    box_spec_set_args(spec, args, NULL);
    box_stdio_set_pipe(io, 2, NULL);
    if (!ok(box_launch(spec, io, &process, &err) == 0, "a start with supervised calls: %s", box_error_message(err)))
        return;
    int listener = box_process_take_listener(process);
    ok(listener >= 0 && box_process_take_listener(process) == -1, "the listener is the caller's, once");
    ok(answer(listener), "who answers a call");
    close(listener);
    struct outcome o = finish(process, box_process_stream_fd(process, 2));
    ok(strstr(o.output, "cross-device") || strstr(o.output, "ross-device"), "the process gets that answer");
    is_int(o.ending.kind, BOX_ENDING_EXIT, "and lives");

    if (ok(box_launch(spec, io, &process, &err) == 0, "the same, and nobody takes the listener")) {
        is_int(box_process_wait(process, 20000, NULL), 0, "the process does not wait for ever");
        is_int(box_process_ending(process)->kind, BOX_ENDING_EXIT, "its call fails, as where there is no supervisor");
        box_process_free(process);
    }
    box_stdio_free(io);
    box_seccomp_free(policy);
    box_spec_free(spec);
}

static int receive_fd(int s, char *text, size_t size)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {text, size - 1};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(s, &message, MSG_CMSG_CLOEXEC);
    struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    int fd = -1;

    text[n > 0 ? n : 0] = '\0';
    if (c && c->cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(c), sizeof(fd));
    return fd;
}

static void supervised_by_an_agent(void)
{
    box_spec *spec = new_spec();
    box_seccomp *policy = notifying();
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char *const args[] = {"mkdir", "/tmp/x", NULL};
    box_stdio *io = box_stdio_new();
    box_process *process = NULL;
    box_error *err = NULL;
    char text[4096] = "";

    if (snprintf(address.sun_path, sizeof(address.sun_path), "%.90s/agent", scratch) > 90) {
        skip("the directory's name is too long for a socket");
        return;
    }
    unlink(address.sun_path);
    box_seccomp_set_listener(policy, address.sun_path, "for the agent", NULL);
    box_spec_set_seccomp(spec, policy, NULL);
    box_spec_set_args(spec, args, NULL);
    refused(spec, BOX_ENOTFOUND, "linux.seccomp.listenerPath", "an agent that is not there makes the start fail");

    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(s, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(s, 1) < 0)
        return;
    box_spec_set_args(spec, args, NULL);
    box_stdio_set_pipe(io, 2, NULL);
    if (!ok(box_launch(spec, io, &process, &err) == 0, "a start with an agent: %s", box_error_message(err)))
        return;
    int connection = accept(s, NULL, NULL), listener = receive_fd(connection, text, sizeof(text));
    ok(listener >= 0 && says(text, "\"fds\":[\"seccompFd\"]") && says(text, "\"metadata\":\"for the agent\"") &&
           says(text, "\"state\":{"),
       "the agent gets the listener, with the state of the container and its metadata");
    is_int(box_process_take_listener(process), -1, "and nobody else has it");
    ok(answer(listener), "and answers");
    close(listener);
    struct outcome o = finish(process, box_process_stream_fd(process, 2));
    ok(strstr(o.output, "ross-device") != NULL, "the process gets that answer");
    close(connection);
    close(s);
    unlink(address.sun_path);
    box_stdio_free(io);
    box_seccomp_free(policy);
    box_spec_free(spec);
}

int main(void)
{
    const char *tmp = getenv("BOX_TMP");

    if (!make_root())
        skip_all("no busybox to make a root file system of");
    snprintf(scratch, sizeof(scratch), "%s/scratch", tmp ? tmp : "/tmp");
    mkdir(scratch, 0777);
    fields_of_a_document();
    scheduler_policy();
    memory_policy();
    what_is_not_carried_out();
    joined_mount_namespace();
    optional_mounts();
    descriptors_and_binds();
    default_devices_in_spite_of_rules();
    tight_limits();
    sysctl_without_mounts();
    all_hooks();
    failing_hooks();
    supervised_by_the_caller();
    supervised_by_an_agent();
    propagation(); /* last: it leaves this program in a mount namespace of its own */
    return done_testing();
}
