/* The host report: namespaces. */
#include <unistd.h>

#include "kernel/host_report.h"
#include "kernel/idmap.h"
#include "kernel/smallfile.h"

static void probe_kinds(box_host *h)
{
    static const struct {
        const char *id, *file, *remedy;
    } kinds[] = {
        {"namespace.mount", "/proc/self/ns/mnt", "the kernel is too old"},
        {"namespace.pid", "/proc/self/ns/pid", "the kernel needs CONFIG_PID_NS"},
        {"namespace.network", "/proc/self/ns/net", "the kernel needs CONFIG_NET_NS"},
        {"namespace.ipc", "/proc/self/ns/ipc", "the kernel needs CONFIG_IPC_NS"},
        {"namespace.uts", "/proc/self/ns/uts", "the kernel needs CONFIG_UTS_NS"},
        {"namespace.user", "/proc/self/ns/user", "the kernel needs CONFIG_USER_NS"},
        {"namespace.cgroup", "/proc/self/ns/cgroup", "the kernel needs CONFIG_CGROUPS"},
        {"namespace.time", "/proc/self/ns/time", "the kernel needs CONFIG_TIME_NS (5.6 or newer)"},
    };

    for (size_t i = 0; i < BOX_ARRAY(kinds); i++)
        box_host_set_there(h, kinds[i].id, access(kinds[i].file, F_OK) == 0, kinds[i].remedy);
}

static void refused(box_host *h, int failure)
{
    bool cloned = h->nested.result[BOX_TRY_CLONE] == 0, mapped = h->nested.result[BOX_TRY_ID_MAP] == 0;
    const char *remedy = box_userns_remedy(-failure);

    if (cloned && !mapped && h->uid == 0)
        remedy = "to map the id 0 takes CAP_SETFCAP: keep it in the container that this program runs in";
    box_host_set(h, "userns", BOX_HOST_FORBIDDEN, remedy, "%s: %s",
                 !cloned   ? "clone"
                 : !mapped ? "id map"
                           : "no power inside of it",
                 box_host_errno(-failure));
}

void box_host_probe_namespaces(box_host *h)
{
    int failure = box_try_failure(&h->nested, BOX_TRY_PRIVATE);
    long long most;

    probe_kinds(h);
    if (!h->privileged)
        box_host_set_essential(h, "userns");
    if (access("/proc/self/ns/user", F_OK) < 0)
        box_host_set(h, "userns", BOX_HOST_MISSING, "the kernel needs CONFIG_USER_NS", "%s", "");
    else if (failure)
        refused(h, failure);
    else if (box_smallfile_number("/proc/sys/user/max_user_namespaces", &most) == 0)
        box_host_set(h, "userns", BOX_HOST_OK, NULL, "at most %lld", most);
    else
        box_host_set(h, "userns", BOX_HOST_OK, NULL, "%s", "");
}
