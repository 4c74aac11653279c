/* What a cgroup tells while it runs: pressure, and running out of memory.
 *
 * v2: memory.events changes, and inotify(7) says so; its keys are the counts. v1: an eventfd(2) that is
 * registered with cgroup.event_control for memory.oom_control, whose oom_kill line is the count. */
#include "kernel/cgroup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>

/* ---- pressure ---- */

/* "12.34" to 12.34, without the locale that strtod(3) listens to. */
static bool parse_percent(const char *text, double *value)
{
    char whole[24];
    size_t length = strcspn(text, ".");
    uint64_t before, after = 0;

    if (length >= sizeof(whole))
        return false;
    memcpy(whole, text, length);
    whole[length] = '\0';
    if (!cgroup_parse_u64(whole, &before) || before == BOX_CGROUP_UNLIMITED)
        return false;
    if (text[length] == '.' &&
        (strlen(text + length) != 3 || !cgroup_parse_u64(text + length + 1, &after) || after > 99))
        return false;
    *value = (double)before + (double)after / 100;
    return true;
}

/* "avg10=0.00 avg60=0.00 avg300=0.00 total=0" */
static bool parse_pressure_line(char *line, struct box_pressure_line *out)
{
    const struct {
        const char *name;
        double *average;
    } averages[] = {{"avg10=", &out->avg10}, {"avg60=", &out->avg60}, {"avg300=", &out->avg300}};

    for (size_t i = 0; i < BOX_ARRAY(averages); i++) {
        const char *word = cgroup_next_word(&line);
        size_t length = strlen(averages[i].name);

        if (!word || strncmp(word, averages[i].name, length) != 0 ||
            !parse_percent(word + length, averages[i].average))
            return false;
    }

    const char *total = cgroup_next_word(&line);

    return total && strncmp(total, "total=", 6) == 0 && cgroup_parse_u64(total + 6, &out->total_us);
}

int cgroup_parse_pressure(char *text, struct box_pressure *out)
{
    struct box_pressure parsed = {0};
    bool some = false;

    for (char *line; (line = cgroup_next_line(&text));) {
        const char *kind = cgroup_next_word(&line);
        bool ok = true;

        if (kind && strcmp(kind, "some") == 0)
            ok = some = parse_pressure_line(line, &parsed.some);
        else if (kind && strcmp(kind, "full") == 0) /* not for the CPU before Linux 5.13 */
            ok = parse_pressure_line(line, &parsed.full);
        if (!ok)
            return -EBADMSG;
    }
    if (!some)
        return -EBADMSG;
    *out = parsed;
    return 0;
}

int box_cgroup_pressure(box_cgroup *cgroup, enum box_pressure_kind kind, struct box_pressure *out,
                        box_error **err)
{
    static const char *const files[] = {"cpu.pressure", "memory.pressure", "io.pressure"};
    _free_ char *text = NULL;

    if (!cgroup || !out || (unsigned)kind >= BOX_ARRAY(files))
        return box_fail(err, BOX_EINVAL, "no cgroup, no such pressure, or nowhere to put it");

    const struct cgroup_dir *dir = cgroup_dir_for(cgroup, BOX_CONTROLLER_UNIFIED);
    int r = dir ? cgroup_read(dir->fd, files[kind], &text) : -ENOENT;

    if (r == -ENOENT || r == -EOPNOTSUPP)
        return box_fail_with(
            err,
            &(struct box_fail_info){.code = BOX_EUNSUPPORTED,
                                    .call = files[kind],
                                    .remedy = "it needs a cgroup v2 hierarchy and a kernel with PSI "
                                              "(CONFIG_PSI, booted with psi=1)"},
            "the pressure of the cgroup is not counted");
    if (r == 0)
        r = cgroup_parse_pressure(text, out);
    return r == 0 ? 0 : cgroup_fail(err, dir, files[kind], r, NULL, "read the pressure of the cgroup");
}

/* ---- out of memory ---- */

static int fail_no_memory(box_error **err)
{
    return box_fail_with(err,
                         &(struct box_fail_info){.code = BOX_EUNSUPPORTED,
                                                 .remedy =
                                                     "the host may need cgroup_enable=memory on its kernel's "
                                                     "command line"},
                         "the cgroup has no memory controller");
}

static int oom_fd_v2(const struct cgroup_dir *dir)
{
    _close_ int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    char path[64];

    if (fd < 0)
        return -errno;
    /* inotify has no way to start at a directory fd but this. */
    snprintf(path, sizeof(path), "/proc/self/fd/%d/memory.events", dir->fd);
    if (inotify_add_watch(fd, path, IN_MODIFY | IN_DELETE_SELF) < 0)
        return -errno;
    return box_take_fd(&fd);
}

static int oom_fd_v1(const struct cgroup_dir *dir)
{
    _close_ int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    _close_ int control = cgroup_open_at(dir->fd, "memory.oom_control", O_RDONLY);
    char line[32];
    int r;

    if (fd < 0 || control < 0)
        return fd < 0 ? -errno : control;
    snprintf(line, sizeof(line), "%d %d", fd, control);
    r = cgroup_write(dir->fd, "cgroup.event_control", line);
    return r < 0 ? r : box_take_fd(&fd);
}

int box_cgroup_oom_fd(box_cgroup *cgroup, box_error **err)
{
    const struct cgroup_dir *dir = cgroup ? cgroup_dir_for(cgroup, BOX_CONTROLLER_MEMORY) : NULL;

    if (!cgroup)
        return box_fail(err, BOX_EINVAL, "no cgroup given");
    if (!dir)
        return fail_no_memory(err);

    int fd = dir->v2 ? oom_fd_v2(dir) : oom_fd_v1(dir);

    return fd >= 0 ? fd
                   : cgroup_fail(err, dir, dir->v2 ? "memory.events" : "memory.oom_control", fd, NULL,
                                 "watch the cgroup for running out of memory");
}

int box_cgroup_oom_drain(int fd, box_error **err)
{
    _Alignas(struct inotify_event) char buffer[4096];

    /* An eventfd is empty after one read and says EAGAIN to the next, as inotify does when its queue is
     * empty. */
    for (;;) {
        ssize_t n = read(fd, buffer, sizeof(buffer));

        if (n > 0 || (n < 0 && errno == EINTR))
            continue;
        if (n == 0 || errno == EAGAIN)
            return 0;
        return box_fail_sys(err, "read", "", "take the notification away");
    }
}

static int oom_count(box_cgroup *cgroup, const char *v2_file, uint64_t *count, box_error **err)
{
    const struct cgroup_dir *dir = cgroup ? cgroup_dir_for(cgroup, BOX_CONTROLLER_MEMORY) : NULL;

    if (!cgroup || !count)
        return box_fail(err, BOX_EINVAL, "no cgroup, or nowhere to put the count");
    if (!dir)
        return fail_no_memory(err);

    const char *file = dir->v2 ? v2_file : "memory.oom_control";
    int r = cgroup_read_key(dir->fd, file, "oom_kill", count);

    return r == 0 ? 0 : cgroup_fail(err, dir, file, r, NULL, "count the OOM kills of the cgroup");
}

int box_cgroup_oom_count(box_cgroup *cgroup, uint64_t *count, box_error **err)
{
    return oom_count(cgroup, "memory.events", count, err);
}

int box_cgroup_oom_count_local(box_cgroup *cgroup, uint64_t *count, box_error **err)
{
    return oom_count(cgroup, "memory.events.local", count, err);
}
