/* The programs that were compiled with the library: which of them, if any, is this policy's? */
#include "kernel/seccomp_compile.h"

#include <string.h>

struct ready {
    int preset;
    uint64_t caps;
    int compat;
    size_t first, count;
};

/* static const struct sock_filter instructions[]; static const struct ready ready_programs[]; */
#include "kernel/seccomp_presets.inc"

const struct sock_filter *box_seccomp_ready_preset(enum box_seccomp_preset preset, uint64_t caps, bool compat,
                                                   size_t *count)
{
    if (preset == BOX_PRESET_DEFAULT)
        caps &= box_seccomp_preset_caps();
    for (size_t i = 0; i < BOX_ARRAY(ready_programs); i++) {
        const struct ready *ready = &ready_programs[i];
        if (ready->preset == (int)preset && ready->caps == caps && ready->compat == (int)compat) {
            *count = ready->count;
            return &instructions[ready->first];
        }
    }
    return NULL;
}

const struct sock_filter *box_seccomp_ready_program(const box_seccomp *policy, size_t *count)
{
    const char *native = box_seccomp_arches[BOX_ARCH_NATIVE].oci;
    const char *second = box_seccomp_arches[box_seccomp_compat_arch(BOX_ARCH_NATIVE)].oci;
    bool compat = false;

    if (policy->preset == BOX_PRESET_NONE || policy->keep_newer)
        return NULL;
    for (size_t i = 0; i < policy->n_arches; i++) {
        if (strcmp(policy->arches[i], second) == 0)
            compat = true;
        else if (strcmp(policy->arches[i], native) != 0)
            return NULL;
    }
    return box_seccomp_ready_preset(policy->preset, policy->preset_caps, compat, count);
}
