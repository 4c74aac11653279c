/* Who dies first when memory runs out. */
#include <libbox/sched.h>

#include "base/fail.h"
#include "kernel/smallfile.h"

static void path_of(pid_t pid, char *path, size_t size)
{
    if (pid)
        snprintf(path, size, "/proc/%d/oom_score_adj", (int)pid);
    else
        snprintf(path, size, "/proc/self/oom_score_adj");
}

static int fail_file(box_error **err, int errnum, const char *path, const char *call, const char *what)
{
    struct box_fail_info info = {.errnum = errnum, .call = call, .subject = path};

    if (errnum == ENOENT || errnum == ESRCH)
        info.code = BOX_ENOTFOUND;
    if (errnum == EACCES || errnum == EPERM)
        info.remedy = "to go below the value that the process was given needs CAP_SYS_RESOURCE";
    return box_fail_with(err, &info, "%s", what);
}

int box_oom_score_adj_check(int value, box_error **err)
{
    if (value < -1000 || value > 1000)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESPEC, .subject = "oomScoreAdj"},
                             "%d does not lie between -1000 and 1000", value);
    return 0;
}

int box_oom_score_adj_read(pid_t pid, int *value, box_error **err)
{
    char path[48];
    long long number;

    path_of(pid, path, sizeof(path));
    int r = box_smallfile_number(path, &number);
    if (r < 0)
        return fail_file(err, -r, path, "read", "read the OOM score");
    *value = (int)number;
    return 0;
}

int box_oom_score_adj_apply(pid_t pid, int value, box_error **err)
{
    char path[48], text[16];

    int r = box_oom_score_adj_check(value, err);
    if (r < 0)
        return r;
    path_of(pid, path, sizeof(path));
    snprintf(text, sizeof(text), "%d", value);
    r = box_smallfile_write(path, text);
    return r < 0 ? fail_file(err, -r, path, "write", "set the OOM score") : 0;
}
