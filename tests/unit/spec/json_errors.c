/* Malformed documents: what is wrong, and where. */
#include "document.h"

#include <unistd.h>

/* A fragment goes into a document at a place; the error must have the code and hold the text. */
struct bad {
    const char *fragment;
    const char *text;
    int code; /* 0: BOX_EPARSE */
};

static void expect_refused(const char *document, const char *text, int code)
{
    box_spec *spec = NULL;
    box_error *err = NULL;
    int r = box_spec_parse(document, strlen(document), &spec, &err);

    cr_expect_eq(r, code ? code : BOX_EPARSE, "%s: %d %s", document, r, box_error_message(err));
    cr_expect_not_null(strstr(box_error_message(err), text), "%s\n  said: %s\n  not: %s", document,
                       box_error_message(err), text);
    cr_expect_null(spec);
    box_error_free(err);
    box_spec_free(spec);
}

static void expect_all_refused(const char *before, const struct bad *cases, size_t n, const char *after)
{
    for (size_t i = 0; i < n; i++) {
        char *document = NULL;

        cr_assert_geq(asprintf(&document, "%s%s%s", before, cases[i].fragment, after), 0);
        expect_refused(document, cases[i].text, cases[i].code);
        free(document);
    }
}
#define REFUSED(before, after, ...)                               \
    expect_all_refused(before, (const struct bad[]){__VA_ARGS__}, \
                       sizeof((const struct bad[]){__VA_ARGS__}) / sizeof(struct bad), after)

#define TOP       "{\"ociVersion\": \"1.3.0\", "
#define LINUX_    TOP "\"linux\": {"
#define RESOURCES LINUX_ "\"resources\": {"
#define PROCESS   TOP "\"process\": {\"cwd\": \"/\", "

Test(spec_json_errors, text_that_is_no_document)
{
    REFUSED("", "", {"", ""}, {"null", "null"}, {"[]", "object"}, {"{", ""}, {"{} {}", ""},
            {"\"x\"", "object"}, {"{}", "ociVersion"}, {"{\"ociVersion\": 1}", "ociVersion"},
            {"{\"ociVersion\": null}", "ociVersion"}, {"{\"ociVersion\": \"1.0.0\",}", ""},
            {"{'ociVersion': '1.0.0'}", ""});
}

Test(spec_json_errors, places_and_types_are_named)
{
    REFUSED(
        TOP, "}", {"\"hostname\": 1", "hostname: expected a string, found a number"},
        {"\"mounts\": {}", "mounts: expected an array, found an object"},
        {"\"mounts\": [1]", "mounts[0]: expected an object, found a number"},
        {"\"mounts\": [{\"destination\": \"/\"}, {\"type\": \"x\"}]", "mounts[1].destination"},
        {"\"mounts\": [{\"destination\": \"\"}]", "mounts[0].destination"},
        {"\"mounts\": [{\"destination\": \"/\", \"options\": [\"ro\", 1]}]", "mounts[0].options[1]"},
        {"\"root\": {}", "root"}, {"\"root\": {\"path\": \"\"}", "root"},
        {"\"root\": {\"path\": \"/\", \"readonly\": 1}", "root.readonly: expected a boolean, found a number"},
        {"\"annotations\": {\"a\": 1}", "annotations.a"}, {"\"annotations\": {\"\": \"1\"}", "annotations"},
        {"\"annotations\": []", "annotations: expected an object"},
        {"\"hooks\": {\"prestart\": [{}]}", "hooks.prestart[0].path"},
        {"\"hooks\": {\"poststop\": [{\"path\": \"/x\", \"timeout\": 0}]}", "hooks.poststop[0].timeout"},
        {"\"hooks\": {\"poststop\": [{\"path\": \"/x\", \"timeout\": 1.5}]}", "hooks.poststop[0].timeout"},
        {"\"linux\": []", "linux: expected an object, found an array"});
}

Test(spec_json_errors, process)
{
    REFUSED(TOP "\"process\": {", "}}", {"", "process.cwd"}, {"\"cwd\": 1", "process.cwd"});
    REFUSED(
        PROCESS, "}}", {"\"args\": \"sh\"", "process.args: expected an array, found a string"},
        {"\"args\": [\"a\\u0000b\"]", "NUL"}, {"\"env\": [1]", "process.env[0]"},
        {"\"terminal\": \"yes\"", "process.terminal"}, {"\"user\": {\"uid\": 1}", "process.user.gid"},
        {"\"user\": {\"uid\": -1, \"gid\": 0}", "process.user.uid"},
        {"\"user\": {\"uid\": 4294967295, \"gid\": 0}", "process.user.uid"},
        {"\"user\": {\"uid\": 4294967296, \"gid\": 0}", "process.user.uid"},
        {"\"user\": {\"uid\": \"0\", \"gid\": 0}", "process.user.uid"},
        {"\"user\": {\"uid\": 0, \"gid\": 0, \"umask\": 512}", "process.user.umask"},
        {"\"user\": {\"uid\": 0, \"gid\": 0, \"additionalGids\": [1, 1e3]}",
         "process.user.additionalGids[1]"},
        {"\"consoleSize\": {\"height\": 1}", "process.consoleSize.width"},
        {"\"consoleSize\": {\"height\": 65536, \"width\": 1}", "process.consoleSize.height"},
        {"\"capabilities\": {\"bounding\": [\"NET_ADMIN\"]}", "process.capabilities.bounding[0]"},
        {"\"capabilities\": {\"bounding\": [\"CAP_x\"]}", "process.capabilities.bounding[0]"},
        {"\"capabilities\": [\"CAP_KILL\"]", "process.capabilities"},
        {"\"rlimits\": [{\"type\": \"RLIMIT_NOPE\", \"soft\": 1, \"hard\": 1}]", "process.rlimits[0].type"},
        {"\"rlimits\": [{\"type\": \"nofile\", \"soft\": 1, \"hard\": 1}]", "process.rlimits[0]"},
        {"\"rlimits\": [{\"type\": \"RLIMIT_CPU\", \"soft\": 2, \"hard\": 1}]", "process.rlimits[0]"},
        {"\"rlimits\": [{\"type\": \"RLIMIT_CPU\", \"soft\": -1, \"hard\": 1}]", "process.rlimits[0].soft"},
        {"\"rlimits\": [{\"type\": \"RLIMIT_CPU\", \"soft\": 1}]", "process.rlimits[0].hard"},
        {"\"rlimits\": [{\"type\": \"RLIMIT_CPU\", \"soft\": 1, \"hard\": 18446744073709551616}]", ""},
        {"\"rlimits\": [{\"type\": \"RLIMIT_CPU\", \"soft\": 1, \"hard\": 1},"
         " {\"type\": \"RLIMIT_CPU\", \"soft\": 1, \"hard\": 1}]",
         "process.rlimits[1]: RLIMIT_CPU is given twice"},
        {"\"oomScoreAdj\": 1001", "process.oomScoreAdj"}, {"\"oomScoreAdj\": \"1\"", "process.oomScoreAdj"},
        {"\"scheduler\": {}", "process.scheduler.policy"},
        {"\"scheduler\": {\"policy\": \"FIFO\"}", "process.scheduler.policy"},
        {"\"scheduler\": {\"policy\": \"SCHED_OTHER\", \"nice\": 20}", "process.scheduler.nice"},
        {"\"scheduler\": {\"policy\": \"SCHED_OTHER\", \"flags\": [\"X\"]}", "process.scheduler.flags[0]"},
        {"\"ioPriority\": {\"class\": \"IOPRIO_CLASS_BE\"}", "process.ioPriority.priority"},
        {"\"ioPriority\": {\"class\": \"BE\", \"priority\": 1}", "process.ioPriority.class"},
        {"\"execCPUAffinity\": {\"initial\": 1}", "process.execCPUAffinity.initial"});
}

Test(spec_json_errors, linux_part)
{
    REFUSED(
        LINUX_, "}}", {"\"namespaces\": [{\"type\": \"net\"}]", "linux.namespaces[0].type"},
        {"\"namespaces\": [{}]", "linux.namespaces[0].type"},
        {"\"namespaces\": [{\"type\": \"pid\"}, {\"type\": \"pid\"}]", "linux.namespaces[1]"},
        {"\"uidMappings\": [{\"containerID\": 0, \"hostID\": 0}]", "linux.uidMappings[0].size"},
        {"\"uidMappings\": [{\"containerID\": 0, \"hostID\": 0, \"size\": 0}]", "linux.uidMappings[0]",
         BOX_ESPEC},
        {"\"uidMappings\": [{\"containerID\": 0, \"hostID\": 0, \"size\": 2},"
         " {\"containerID\": 1, \"hostID\": 9, \"size\": 1}]",
         "linux.uidMappings[1]", BOX_ESPEC},
        {"\"gidMappings\": [{\"containerID\": 0, \"hostID\": 4294967290, \"size\": 10}]",
         "linux.gidMappings[0]", BOX_ESPEC},
        {"\"timeOffsets\": {\"realtime\": {}}", "linux.timeOffsets.realtime"},
        {"\"timeOffsets\": {\"boottime\": {\"nanosecs\": 1000000000}}",
         "linux.timeOffsets.boottime.nanosecs"},
        {"\"devices\": [{\"path\": \"/x\", \"type\": \"d\"}]", "linux.devices[0].type"},
        {"\"devices\": [{\"path\": \"/x\", \"type\": \"c\", \"major\": 1}]", "linux.devices[0].minor"},
        {"\"devices\": [{\"type\": \"p\"}]", "linux.devices[0].path"},
        {"\"devices\": [{\"path\": \"/x\", \"type\": \"p\", \"fileMode\": 65536}]",
         "linux.devices[0].fileMode"},
        {"\"netDevices\": {\"a/b\": {}}", "linux.netDevices.a/b"},
        {"\"netDevices\": {\"sixteen-letters-\": {}}", "linux.netDevices"},
        {"\"netDevices\": {\"eth0\": {\"name\": \"x y\"}}", "linux.netDevices.eth0"},
        {"\"netDevices\": {\"eth0\": 1}", "linux.netDevices.eth0"},
        {"\"intelRdt\": {\"closID\": \"a/b\"}", "closID"}, {"\"intelRdt\": {\"closID\": \"..\"}", "closID"},
        {"\"intelRdt\": {\"memBwSchema\": \"0=20\"}", "linux.intelRdt.memBwSchema"},
        {"\"intelRdt\": {\"schemata\": [\"a\\nb\"]}", "linux.intelRdt.schemata[0]"},
        {"\"intelRdt\": {\"enableMonitoring\": 1}", "linux.intelRdt.enableMonitoring"},
        {"\"memoryPolicy\": {}", "linux.memoryPolicy.mode"},
        {"\"memoryPolicy\": {\"mode\": \"X\"}", "linux.memoryPolicy"},
        {"\"memoryPolicy\": {\"mode\": \"MPOL_BIND\", \"nodes\": \"x\"}", "linux.memoryPolicy"},
        {"\"memoryPolicy\": {\"mode\": \"MPOL_BIND\", \"flags\": [\"X\"]}", "linux.memoryPolicy.flags[0]"},
        {"\"sysctl\": {\"a\": 1}", "linux.sysctl.a: expected a string, found a number"},
        {"\"seccomp\": {}", "linux.seccomp"}, {"\"seccomp\": []", "linux.seccomp"},
        {"\"seccomp\": {\"defaultAction\": \"ALLOW\"}", "linux.seccomp.defaultAction"},
        {"\"maskedPaths\": [1]", "linux.maskedPaths[0]"}, {"\"mountLabel\": 1", "linux.mountLabel"},
        {"\"personality\": {}", "linux.personality.domain"},
        {"\"personality\": {\"domain\": \"BSD\"}", "linux.personality"},
        {"\"personality\": {\"domain\": \"LINUX\", \"flags\": [\"X\"]}", "linux.personality.flags"});
}

Test(spec_json_errors, resources)
{
    REFUSED(
        RESOURCES, "}}}",
        {"\"memory\": {\"limit\": \"1g\"}",
         "linux.resources.memory.limit: expected an integer, found a string"},
        {"\"memory\": {\"limit\": 9223372036854775808}", "linux.resources.memory.limit"},
        {"\"memory\": {\"limit\": 1.5}", "linux.resources.memory.limit"},
        {"\"memory\": {\"disableOOMKiller\": 1}", "linux.resources.memory.disableOOMKiller"},
        {"\"memory\": {\"swappiness\": 101}", "linux.resources.memory.swappiness", BOX_ESPEC},
        {"\"memory\": []", "linux.resources.memory"},
        {"\"cpu\": {\"shares\": -1}", "linux.resources.cpu.shares"},
        {"\"cpu\": {\"period\": 1}", "linux.resources.cpu.period", BOX_ESPEC},
        {"\"cpu\": {\"cpus\": \"a\"}", "linux.resources.cpu.cpus", BOX_ESPEC},
        {"\"cpu\": {\"mems\": 0}", "linux.resources.cpu.mems"},
        {"\"devices\": [{}]", "linux.resources.devices[0].allow"},
        {"\"devices\": [{\"allow\": true, \"type\": \"x\"}]", "linux.resources.devices[0]"},
        {"\"devices\": [{\"allow\": true, \"access\": \"rx\"}]", "linux.resources.devices[0]"},
        {"\"devices\": [{\"allow\": true, \"major\": -2}]", "linux.resources.devices[0].major"},
        {"\"blockIO\": {\"weight\": 65536}", "linux.resources.blockIO.weight"},
        {"\"blockIO\": {\"weightDevice\": [{\"major\": 1, \"minor\": 1}]}",
         "linux.resources.blockIO.weightDevice[0]"},
        {"\"blockIO\": {\"throttleReadBpsDevice\": [{\"major\": 1, \"minor\": 1}]}",
         "linux.resources.blockIO.throttleReadBpsDevice[0].rate"},
        {"\"blockIO\": {\"throttleWriteIOPSDevice\": [{\"minor\": 1, \"rate\": 1}]}",
         "linux.resources.blockIO.throttleWriteIOPSDevice[0].major"},
        {"\"hugepageLimits\": [{\"limit\": 1}]", "linux.resources.hugepageLimits[0].pageSize"},
        {"\"hugepageLimits\": [{\"pageSize\": \"../x\", \"limit\": 1}]", "linux.resources.hugepageLimits[0]",
         BOX_ESPEC},
        {"\"network\": {\"classID\": 4294967296}", "linux.resources.network.classID"},
        {"\"network\": {\"priorities\": [{\"name\": \"eth0\"}]}",
         "linux.resources.network.priorities[0].priority"},
        {"\"rdma\": {\"mlx\": {}}", "linux.resources.rdma.mlx"},
        {"\"rdma\": {\"mlx\": {\"hcaHandles\": -1}}", "linux.resources.rdma.mlx.hcaHandles"},
        {"\"unified\": {\"memory.max\": 1}", "linux.resources.unified.memory.max"},
        {"\"unified\": {\"../cgroup.procs\": \"1\"}", "linux.resources.unified", BOX_ESPEC},
        {"\"pids\": {\"limit\": true}", "linux.resources.pids.limit: expected an integer, found a boolean"});
}

Test(spec_json_errors, libbox_part)
{
    REFUSED(TOP "\"mounts\": [{\"destination\": \"/x\"}], \"libbox\": {", "}}",
            {"\"init\": 1", "libbox.init"}, {"\"optionalMounts\": [1]", "libbox.optionalMounts[0]"},
            {"\"mayMiss\": [\"x\"]", "libbox.mayMiss[0]"},
            {"\"root\": {\"lower\": [\"/a\"], \"host\": true}", "libbox.root"},
            {"\"seccomp\": {\"reportKills\": true}", "libbox.seccomp"},
            {"\"preserveFds\": -1", "libbox.preserveFds"},
            {"\"landlock\": {\"fs\": [\"fly\"]}", "libbox.landlock.fs[0]"},
            {"\"landlock\": {\"paths\": [{\"access\": []}]}", "libbox.landlock.paths[0].path"},
            {"\"landlock\": {\"ports\": [{\"port\": 65536}]}", "libbox.landlock.ports[0].port"});
}

/* A document with an array of `n` elements at a place. */
static char *with_array(const char *before, const char *element, size_t n, const char *after)
{
    size_t length = strlen(element), size = strlen(before) + n * (length + 1) + strlen(after) + 1;
    char *text = malloc(size), *p = stpcpy(text, before);

    for (size_t i = 0; i < n; i++)
        p = stpcpy(stpcpy(p, i ? "," : ""), element);
    strcpy(p, after);
    return text;
}

Test(spec_json_errors, arrays_that_are_too_long)
{
    static const struct {
        const char *before, *element, *after, *place;
        size_t limit;
    } cases[] = {
        {TOP "\"mounts\": [", "{\"destination\":\"/x\"}", "]}", "mounts", 4096},
        {PROCESS "\"rlimits\": [", "{\"type\":\"RLIMIT_CPU\",\"soft\":1,\"hard\":1}", "]}}",
         "process.rlimits", 1024},
        {PROCESS "\"args\": [", "\"x\"", "]}}", "process.args", 65536},
        {TOP "\"hooks\": {\"prestart\": [", "{\"path\":\"/x\"}", "]}}", "hooks.prestart", 1024},
        {LINUX_ "\"devices\": [", "{\"path\":\"/x\",\"type\":\"p\"}", "]}}", "linux.devices", 4096},
        {LINUX_ "\"maskedPaths\": [", "\"/x\"", "]}}", "linux.maskedPaths", 4096},
        {RESOURCES "\"devices\": [", "{\"allow\":true}", "]}}}", "linux.resources.devices", 4096},
    };

    for (size_t i = 0; i < BOX_ARRAY(cases); i++) {
        char *text = with_array(cases[i].before, cases[i].element, cases[i].limit + 1, cases[i].after);

        expect_refused(text, cases[i].place, BOX_ELIMIT);
        free(text);
    }
}

Test(spec_json_errors, documents_that_are_too_deep_or_too_large)
{
    char deep[512] = TOP "\"x\": ", *large;
    box_spec *spec = NULL;

    memset(deep + strlen(deep), '[', 100);
    expect_refused(deep, "", BOX_ELIMIT);
    large = calloc(1, (4u << 20) + 2);
    memset(large, ' ', (4u << 20) + 1);
    memcpy(large, "{\"ociVersion\": \"1.0.0\"}", 23);
    cr_assert_eq(box_spec_parse(large, (4u << 20) + 1, &spec, NULL), BOX_ELIMIT);
    cr_assert_eq(box_spec_parse(large, 4u << 20, &spec, NULL), 0);
    box_spec_free(spec);
    free(large);
}
