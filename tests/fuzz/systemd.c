/* What a document says to systemd: the values of annotations, the place of the unit, limits as properties, and the kernel's
 * list of drivers that device rules are named by. The first byte chooses; the rest is the text. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "kernel/cgroup_limits.h"
#include "kernel/systemd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Told by the fuzzer as a crash. */
static void must(bool holds)
{
    if (!holds)
        abort();
}

static void property(const char *name, const char *text)
{
    _systemd_properties_ struct systemd_properties p = {NULL};
    box_error *err = NULL;
    char type[8];
    int r = systemd_parse_property(&p, name, text, &err);

    must((r < 0) == (err != NULL));
    must(p.n == (r < 0 ? 0 : 1));
    for (size_t i = 0; i < p.n; i++) {
        const struct systemd_property *one = &p.list[i];
        systemd_type_of(one, type);
        must(one->array || one->n == 1);
        must(one->fields[0] && (!one->fields[1] || one->n % 2 == 0));
        for (size_t k = 0; k < one->n; k++) {
            char field = one->fields[one->fields[1] ? k % 2 : 0];
            must((one->items[k].text != NULL) == (field == 's' || field == 'o'));
        }
    }
    box_error_free(err);
}

static void place(const char *text)
{
    box_error *err = NULL;
    box_systemd_unit *u = box_systemd_unit_new(text, "id", 0, &err);

    must((u == NULL) == (err != NULL));
    if (u) {
        const char *name = box_systemd_unit_name(u);
        must(!strchr(name, '/') && strlen(name) <= 255 && !strchr(box_systemd_unit_slice(u), '/'));
    }
    box_systemd_unit_free(u);
    box_error_free(err);
}

/* The first line is a list of CPUs, the second cpu.max. */
static void limits(char *text)
{
    _systemd_properties_ struct systemd_properties p = {NULL};
    _cleanup_(box_limits) box_limits *l = box_limits_new(NULL);
    const struct systemd_host host = {252, true, true, NULL};
    char *second = strchr(text, '\n');

    if (second)
        *second++ = '\0';
    if (!l)
        return;
    box_limits_set_raw(l, "cpuset.cpus", text, NULL);
    if (second) {
        box_limits_set_raw(l, "cpu.max", second, NULL);
        box_limits_set_raw(l, "memory.max", second, NULL);
    }
    must(systemd_put_limits(&p, l, &host, NULL) >= 0);
}

static void drivers(const char *text)
{
    _systemd_properties_ struct systemd_properties p = {NULL};
    _cleanup_(box_limits) box_limits *l = box_limits_new(NULL);
    const struct systemd_host host = {252, false, true, text};
    const struct box_device_rule rules[] = {{0, 'a', -1, -1, 7}, {1, 'c', 136, -1, 3}, {1, 'b', 8, -1, 7}};

    for (size_t i = 0; l && i < BOX_ARRAY(rules); i++)
        box_limits_add_device(l, &rules[i], NULL);
    must(!l || systemd_put_limits(&p, l, &host, NULL) >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _free_ char *text = size ? calloc(1, size) : NULL;

    if (!text)
        return 0;
    memcpy(text, data + 1, size - 1);
    if (data[0] == 'p')
        property("Name", text);
    else if (data[0] == 's')
        property("TimeoutStopSec", text);
    else if (data[0] == 'n')
        place(text);
    else if (data[0] == 'c')
        limits(text);
    else
        drivers(text);
    return 0;
}
