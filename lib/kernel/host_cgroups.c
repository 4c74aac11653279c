/* The host report: control groups, as kernel/cgroup_host.c sees them. */
#include <string.h>
#include <unistd.h>

#include <libbox/cgroup.h>

#include "kernel/host_report.h"

static const char *create_remedy(const box_host *h, enum box_cgroup_mode mode)
{
    if (mode == BOX_CGROUP_MODE_NONE)
        return "mount cgroup2: mount -t cgroup2 none /sys/fs/cgroup";
    if (h->uid == 0)
        return "the cgroup file system is read-only or belongs to somebody else: mount it writable";
    if (mode != BOX_CGROUP_MODE_V2)
        return "delegation to ordinary users needs cgroup v2 alone: boot with "
               "systemd.unified_cgroup_hierarchy=1";
    return "run below a unit of systemd with delegation: systemd-run --user --scope -p Delegate=yes PROGRAM; "
           "or have root "
           "give a cgroup to this user";
}

static void probe_controllers(box_host *h, enum box_cgroup_mode mode, unsigned have)
{
    static const struct {
        const char *id;
        unsigned controller;
        const char *without;
    } rows[] = {
        {"cgroup.cpu", BOX_CONTROLLER_CPU, "--cpus and --cpu-shares cannot be had"},
        {"cgroup.cpuset", BOX_CONTROLLER_CPUSET, "--cpuset-cpus cannot be had"},
        {"cgroup.memory", BOX_CONTROLLER_MEMORY, "--memory cannot be had"},
        {"cgroup.pids", BOX_CONTROLLER_PIDS, "--pids-limit cannot be had"},
        {"cgroup.io", BOX_CONTROLLER_IO, "--blkio-weight and --device-read-bps cannot be had"},
        {"cgroup.devices", BOX_CONTROLLER_DEVICES, "the kernel does not hold back devices"},
        {"cgroup.freezer", BOX_CONTROLLER_FREEZER, "containers cannot be paused"},
        {"cgroup.hugetlb", BOX_CONTROLLER_HUGETLB, "limits on huge pages cannot be had"},
    };
    const char *remedy =
        h->uid == 0 ? "the kernel needs the controller, must not switch it off on its command line "
                      "(cgroup_disable=), and must not have it in a v1 hierarchy that is not mounted here"
                    : "delegate the controller: Delegate=yes for user@.service in systemd";

    for (size_t i = 0; i < BOX_ARRAY(rows); i++) {
        bool there = have & rows[i].controller;
        box_host_set(h, rows[i].id,
                     there                                  ? BOX_HOST_OK
                     : mode == BOX_CGROUP_MODE_NONE || have ? BOX_HOST_MISSING
                                                            : BOX_HOST_FORBIDDEN,
                     there || !have ? NULL : remedy, "%s", there ? "" : rows[i].without);
    }
}

void box_host_probe_cgroups(box_host *h)
{
    _cleanup_(box_error) box_error *err = NULL;
    box_cgroup_host *c = box_cgroup_host_new(&err);
    enum box_cgroup_mode mode = c ? box_cgroup_host_mode(c) : BOX_CGROUP_MODE_NONE;
    unsigned have = c ? box_cgroup_controllers(c, NULL) : 0;

    if (box_error_code(err) == BOX_ENOMEM)
        h->failed = true;
    if (mode == BOX_CGROUP_MODE_NONE)
        box_host_set(h, "cgroup", BOX_HOST_MISSING, create_remedy(h, mode), "%s",
                     err ? box_error_message(err) : "");
    else
        box_host_set(h, "cgroup", mode == BOX_CGROUP_MODE_V2 ? BOX_HOST_OK : BOX_HOST_DEGRADED,
                     mode == BOX_CGROUP_MODE_V2
                         ? NULL
                         : "cgroup v2 alone has more to offer: boot with systemd.unified_cgroup_hierarchy=1",
                     "%s", box_cgroup_mode_name(mode));
    box_host_set(h, "cgroup.create", have ? BOX_HOST_OK : BOX_HOST_FORBIDDEN,
                 have ? NULL : create_remedy(h, mode), "%s",
                 have ? "" : "containers cannot have limits of their own");
    probe_controllers(h, mode, have);
    box_host_set_there(
        h, "cgroup.pressure", access("/proc/pressure/memory", F_OK) == 0,
        "the kernel needs CONFIG_PSI, and psi=1 on its command line where it is off by default");
    box_cgroup_host_free(c);
}
