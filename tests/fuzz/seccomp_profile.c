/* Seccomp profiles as bytes: whatever is read can be written, compiled, run and kept, and comes back the same.
 *
 * The first byte chooses the format: '{' is OCI, anything else is skipped and what follows is Docker's. */
#include <linux/filter.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/seccomp_compile.h"
#include "kernel/seccomp_filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Told by the fuzzer as a crash. */
static void must(bool holds)
{
    if (!holds)
        abort();
}

static void run(const box_seccomp_filter *filter)
{
    static const uint64_t values[] = {0, 1, 40, 0x5412, UINT32_MAX, UINT64_MAX};
    size_t count;
    const struct sock_filter *program = box_seccomp_filter_program(filter, &count);

    must(box_seccomp_program_ok(program, count));
    for (int n = -1; n < 500; n++) {
        uint64_t v = values[(unsigned)(n + 1) % BOX_ARRAY(values)];
        struct box_seccomp_call call = {.number = n, .args = {v, v, v, v, v, v}};
        int action = box_seccomp_filter_evaluate(filter, &call, NULL);
        must(action >= BOX_SECCOMP_ALLOW && action <= BOX_SECCOMP_KILL_PROCESS);
    }
}

static void keep(const box_seccomp_filter *filter)
{
    void *bytes = NULL;
    size_t len = 0;

    if (box_seccomp_filter_save(filter, &bytes, &len, NULL) < 0)
        return;
    _cleanup_(box_seccomp_filter) box_seccomp_filter *back = box_seccomp_filter_load(bytes, len, NULL);
    must(back != NULL);
    free(bytes);
}

static void write_and_read(const box_seccomp *policy)
{
    char *one = NULL, *two = NULL;

    must(box_seccomp_save_oci(policy, &one, NULL) == 0);
    _cleanup_(box_seccomp) box_seccomp *back = box_seccomp_load_oci(one, strlen(one), NULL);
    must(back != NULL);
    must(box_seccomp_save_oci(back, &two, NULL) == 0);
    must(strcmp(one, two) == 0);
    free(one);
    free(two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    box_error *err = NULL;

    if (size == 0)
        return 0;
    _cleanup_(box_seccomp) box_seccomp *policy =
        *text == '{' ? box_seccomp_load_oci(text, size, &err)
                     : box_seccomp_load_docker(text + 1, size - 1, UINT64_C(0xa80425fb), &err);
    must((policy == NULL) == (err != NULL));
    box_error_free(err);
    if (!policy)
        return 0;
    box_seccomp_unknown(policy, 0);
    write_and_read(policy);
    box_seccomp_report_kills(policy, size % 2);
    _cleanup_(box_seccomp_filter) box_seccomp_filter *filter = box_seccomp_compile(policy, NULL);
    if (filter) {
        run(filter);
        keep(filter);
    }
    return 0;
}
