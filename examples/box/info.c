/* What there is: info, version, doctor. */
#include "box.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "rows.h"

/* As images call it. */
static const char *machine_architecture(void)
{
    static struct utsname machine;

    uname(&machine);
    return strcmp(machine.machine, "x86_64") == 0 ? "amd64" : strcmp(machine.machine, "aarch64") == 0 ? "arm64" : machine.machine;
}

int verb_version(int argc, char **argv)
{
    const char *format = NULL;
    const struct flag flags[] = {{'f', "format", FLAG_TEXT, &format, "TEMPLATE, or json"}, {0}};
    struct utsname machine;
    int first = read_flags(argc, argv, flags, true, "version [OPTIONS]");

    if (first < 0)
        return EXIT_BOX;
    if (first < argc)
        return wrong_count(argv[0], "accepts no arguments");
    uname(&machine);
    if (!format) {
        printf("Client:\n Version:           %s\n OS/Arch:           linux/%s\n\nlibbox:\n Version:          %s\n Kernel:           %s\n",
               box_version(), machine_architecture(), box_version(), machine.release);
        return 0;
    }
    json_object *all = json_object_new_object(), *part[2];
    for (int i = 0; i < 2; i++) {
        part[i] = json_object_new_object();
        put_string(part[i], "Version", i ? box_version() : box_version());
        put_string(part[i], "Os", "linux");
        put_string(part[i], "Arch", machine_architecture());
        put_string(part[i], "KernelVersion", machine.release);
        json_object_object_add(all, i ? "Server" : "Client", part[i]);
    }
    bool good = expand_template(stdout, strcmp(format, "json") == 0 ? "{{json .}}" : format, all);
    putchar('\n');
    json_object_put(all);
    return good ? 0 : 1;
}

/* ---- info ---------------------------------------------------------------------------------------------------------------- */

static char *operating_system(void)
{
    FILE *f = fopen("/etc/os-release", "re");
    char line[512], *name = NULL;

    while (f && !name && fgets(line, sizeof(line), f)) {
        if (strncmp(line, "PRETTY_NAME=", 12) != 0)
            continue;
        char *text = line + 12 + (line[12] == '"');
        text[strcspn(text, "\"\n")] = '\0';
        name = strdup(text);
    }
    if (f)
        fclose(f);
    return name ? name : strdup("Linux");
}

static int count(json_object *info)
{
    static const char *const keys[] = {"Containers", "ContainersRunning", "ContainersPaused", "ContainersStopped"};
    box_container **list = NULL;
    box_image_list *images = NULL;
    box_error *err = NULL;
    int64_t n[4] = {0};

    if (!store())
        return 1;
    if (box_container_list(store(), &list, NULL, &err) < 0 || box_image_list_new(store(), &images, &err) < 0) {
        box_container_list_free(list);
        return fail(err), 1;
    }
    for (box_container **c = list; *c; c++) {
        enum box_container_state state = box_container_state(*c);
        n[0]++;
        n[state == BOX_CONTAINER_RUNNING ? 1 : state == BOX_CONTAINER_PAUSED ? 2 : 3]++;
    }
    for (int i = 0; i < 4; i++)
        json_object_object_add(info, keys[i], json_object_new_int64(n[i]));
    json_object_object_add(info, "Images", json_object_new_int64((int64_t)box_image_list_count(images)));
    box_container_list_free(list);
    box_image_list_free(images);
    return 0;
}

int verb_info(int argc, char **argv)
{
    const char *format = NULL;
    const struct flag flags[] = {{'f', "format", FLAG_TEXT, &format, "TEMPLATE, or json"}, {0}};
    static const char usual[] =
        "Containers: {{.Containers}}\n Running: {{.ContainersRunning}}\n Paused: {{.ContainersPaused}}\n Stopped: {{.ContainersStopped}}\n"
        "Images: {{.Images}}\nServer Version: {{.ServerVersion}}\nStorage Driver: {{.Driver}}\nCgroup Version: {{.CgroupVersion}}\n"
        "Kernel Version: {{.KernelVersion}}\nOperating System: {{.OperatingSystem}}\nOSType: {{.OSType}}\n"
        "Architecture: {{.Architecture}}\nCPUs: {{.NCPU}}\nTotal Memory: {{.TotalMemory}}\nName: {{.Name}}\n"
        "Root Dir: {{.DockerRootDir}}\nRun Dir: {{.RunRootDir}}";
    struct utsname machine;
    int first = read_flags(argc, argv, flags, true, "info [OPTIONS]");
    double memory = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);

    if (first < 0)
        return EXIT_BOX;
    if (first < argc)
        return wrong_count(argv[0], "accepts no arguments");
    json_object *info = json_object_new_object();
    if (count(info) != 0) {
        json_object_put(info);
        return 1;
    }
    uname(&machine);
    put_string(info, "ServerVersion", box_version());
    put_string(info, "Driver", "overlay");
    put_string(info, "CgroupVersion", access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0 ? "2" : "1");
    put_string(info, "KernelVersion", machine.release);
    put_made(info, "OperatingSystem", operating_system());
    put_string(info, "OSType", "linux");
    put_string(info, "Architecture", machine.machine);
    json_object_object_add(info, "NCPU", json_object_new_int64(sysconf(_SC_NPROCESSORS_ONLN)));
    json_object_object_add(info, "MemTotal", json_object_new_int64((int64_t)memory));
    put_made(info, "TotalMemory", format_size(memory, true));
    put_string(info, "Name", machine.nodename);
    put_string(info, "DockerRootDir", box_store_root(store()));
    put_string(info, "RunRootDir", box_store_runroot(store()));
    bool good = expand_template(stdout, !format ? usual : strcmp(format, "json") == 0 ? "{{json .}}" : format, info);
    putchar('\n');
    json_object_put(info);
    return good ? 0 : 1;
}

/* ---- doctor ---------------------------------------------------------------------------------------------------------- */

int verb_doctor(int argc, char **argv)
{
    bool json = false;
    const struct flag flags[] = {{0, "json", FLAG_BOOL, &json, "For programs"}, {0}};
    static const char *const marks[] = {"ok", "part", "no", "barred"};
    box_error *err = NULL;
    const char *group = "";
    int missing = 0;

    if (read_flags(argc, argv, flags, true, "doctor [OPTIONS]") < 0)
        return EXIT_BOX;
    box_host *host = box_host_probe(&err);
    if (!host)
        return fail(err);
    if (json) {
        char *text = box_host_json(host, &err);
        if (text)
            printf("%s\n", text);
        free(text);
        box_host_free(host);
        return text ? 0 : fail(err);
    }
    for (size_t i = 0; i < box_host_count(host); i++) {
        const box_host_feature *f = box_host_at(host, i);
        enum box_host_state state = box_host_feature_state(f);
        if (strcmp(group, box_host_feature_group(f)) != 0) {
            group = box_host_feature_group(f);
            printf("%s%s\n", i ? "\n" : "", group);
        }
        printf("  %-6s %-38s %s\n", marks[state], box_host_feature_title(f), box_host_feature_detail(f));
        if (state != BOX_HOST_OK && *box_host_feature_remedy(f))
            printf("         to get it: %s\n", box_host_feature_remedy(f));
        missing += state >= BOX_HOST_MISSING && box_host_feature_essential(f);
    }
    box_host_free(host);
    printf("\n%s\n", missing ? "Containers cannot be started here: see above." : "Containers can be started here.");
    return missing ? 1 : 0;
}
