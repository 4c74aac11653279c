/* Run while building, with the architecture to build for: writes the presets' programs (seccomp_presets.inc),
 * so that a container with the usual capabilities starts without compiling a filter. */
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "kernel/seccomp_compile.h"

/* The compiler generates for a policy; these two are for the library only. */
const struct sock_filter *box_seccomp_ready_program(const box_seccomp *policy, size_t *count)
{
    (void)policy;
    (void)count;
    return NULL;
}

const struct sock_filter *box_seccomp_ready_preset(enum box_seccomp_preset preset, uint64_t caps, bool compat,
                                                   size_t *count)
{
    (void)preset;
    (void)caps;
    (void)compat;
    (void)count;
    return NULL;
}

static unsigned n_programs;
static struct {
    int preset;
    uint64_t caps;
    int compat;
    size_t first, count;
} made[128];
static size_t n_instructions;

static int emit(enum box_seccomp_arch machine, const box_seccomp *policy, int compat)
{
    box_error *err = NULL;
    struct sock_filter *program;
    size_t count;

    if (!policy || box_seccomp_codegen(policy, machine, &program, &count, &err) < 0) {
        fprintf(stderr, "%s\n", box_error_message(err));
        box_error_free(err);
        return -1;
    }
    for (unsigned i = 0; i < n_programs; i++)
        if (made[i].preset == (int)policy->preset && made[i].caps == policy->preset_caps &&
            made[i].compat == compat)
            goto out;
    made[n_programs].preset = (int)policy->preset;
    made[n_programs].caps = policy->preset_caps;
    made[n_programs].compat = compat;
    made[n_programs].first = n_instructions;
    made[n_programs++].count = count;
    for (size_t i = 0; i < count; i++)
        printf("    {%#x, %u, %u, %#x},\n", program[i].code, program[i].jt, program[i].jf, program[i].k);
    n_instructions += count;
out:
    free(program);
    return 0;
}

static int emit_default(enum box_seccomp_arch machine, uint64_t caps)
{
    for (int compat = 0; compat <= 1; compat++) {
        _cleanup_(box_seccomp) box_seccomp *policy = box_seccomp_default_for(machine, caps, compat, NULL);
        if (emit(machine, policy, compat) < 0)
            return -1;
    }
    return 0;
}

/* The default policy without capabilities, with Docker's usual ones, with one more than these, and with all.
 */
static int emit_all(enum box_seccomp_arch machine)
{
    const uint64_t usual = UINT64_C(1) << CAP_SYS_CHROOT, all = box_seccomp_preset_caps();

    if (emit_default(machine, 0) < 0 || emit_default(machine, usual) < 0 || emit_default(machine, all) < 0)
        return -1;
    for (unsigned cap = 0; cap < 64; cap++)
        if ((all & UINT64_C(1) << cap) && emit_default(machine, usual | UINT64_C(1) << cap) < 0)
            return -1;
    _cleanup_(box_seccomp) box_seccomp *strict = box_seccomp_strict_for(machine, NULL);
    return emit(machine, strict, 0);
}

int main(int argc, char **argv)
{
    enum box_seccomp_arch machine;

    if (argc == 2 && strcmp(argv[1], "x86_64") == 0)
        machine = BOX_ARCH_X86_64;
    else if (argc == 2 && strcmp(argv[1], "aarch64") == 0)
        machine = BOX_ARCH_AARCH64;
    else
        return 2;
    printf("/* Made by seccomp_presets_gen.c while building. */\n");
    printf("static const struct sock_filter instructions[] = {\n");
    if (emit_all(machine) < 0)
        return 1;
    printf("};\n\nstatic const struct ready ready_programs[] = {\n");
    for (unsigned i = 0; i < n_programs; i++)
        printf("    {%d, %#llx, %d, %zu, %zu},\n", made[i].preset, (unsigned long long)made[i].caps,
               made[i].compat, made[i].first, made[i].count);
    printf("};\n");
    return fflush(stdout) || ferror(stdout) ? 1 : 0;
}
