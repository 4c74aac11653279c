/* CVE-2022-0492: from a container to the host by cgroup v1's release_agent. Three layers, each tried alone: the
 * hierarchies are read-only, the cgroup namespace shows the container's own part, and CAP_SYS_ADMIN is not there. */
#include "hostile.h"

static box_spec *cgroup_spec(const char *root)
{
    box_spec *spec = hostile_spec(root, "cgroups", NULL);
    box_error *err = NULL;

    /* a cgroup of its own, so that "/" in the namespace is not "/" of the host */
    must(box_limits_set(box_spec_limits(spec), BOX_LIMIT_PIDS_MAX, 64, &err), err, "set a limit");
    return spec;
}

int main(void)
{
    box_error *err = NULL;

    if (geteuid() != 0)
        skip_all("needs root");
    char *root = hostile_root("cgroups");
    struct outcome o = hostile_run(cgroup_spec(root));

    if (!o.started) {
        outcome_show(&o);
        skip_all("no start with limits here: %s", o.error);
    }
    SAYS(&o, "mount cgroup: EPERM", "a cgroup hierarchy cannot be mounted (CVE-2022-0492)");
    SAYS(&o, "mount cgroup2: EPERM", "nor the unified one");
    SAYS(&o, "sys admin: no", "there is no CAP_SYS_ADMIN");
    SAYS(&o, "cgroup paths: own", "the cgroup namespace hides where in the hierarchy the container is");
    SAYS(&o, "cgroup entries: some", "the hierarchies are shown");
    SAYS(&o, "cgroup made: 0", "no cgroup can be made in them");
    SAYS(&o, "cgroup writable: 0", "no release_agent, notify_on_release or cgroup.procs can be opened for writing");

    /* Without the filter the capability is what is missing. */
    box_spec *spec = cgroup_spec(root);
    must(box_spec_set_seccomp(spec, NULL, &err), err, "take the filter away");
    o = hostile_run(spec);
    SAYS(&o, "mount cgroup: EPERM", "without the filter, cgroups cannot be mounted for want of the capability");
    SAYS(&o, "cgroup writable: 0", "without the filter, the hierarchies are read-only still");

    /* With both gone, the read-only mount is left for what is shown, and the namespace for what is mounted anew. */
    spec = cgroup_spec(root);
    must(box_spec_add_capability(spec, "SYS_ADMIN", &err), err, "give the capability");
    o = hostile_run(spec);
    SAYS(&o, "cgroup made: 0", "with CAP_SYS_ADMIN what is shown is read-only still");
    SAYS(&o, "cgroup paths: own", "and the paths are the container's own");
    free(root);
    return done_testing();
}
