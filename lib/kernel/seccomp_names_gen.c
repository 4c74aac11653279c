/* Run while building: writes the table of system calls (seccomp_names.inc) to standard output, from the
 * tables of the build machine's libseccomp, which know all architectures, and from the list below of calls
 * that Debian 12's may lack. */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/seccomp_names.h"

enum { MAX_ROWS = 1024, LAST_NUMBER = 1023, ARM_PRIVATE_LAST = 15 };

static const uint32_t tokens[BOX_ARCH_COUNT] = {
    [BOX_ARCH_X86_64] = SCMP_ARCH_X86_64,   [BOX_ARCH_X86] = SCMP_ARCH_X86, [BOX_ARCH_X32] = SCMP_ARCH_X32,
    [BOX_ARCH_AARCH64] = SCMP_ARCH_AARCH64, [BOX_ARCH_ARM] = SCMP_ARCH_ARM,
};

/* Newer than Linux 6.6, with the number that they have everywhere; where: a bit for each column, 0 for all.
 */
static const struct {
    const char *name;
    int number;
    unsigned where;
} newer[] = {
    {"futex_waitv", 449, 0},
    {"set_mempolicy_home_node", 450, 0},
    {"cachestat", 451, 0},
    {"fchmodat2", 452, 0},
    {"map_shadow_stack", 453, 0},
    {"futex_wake", 454, 0},
    {"futex_wait", 455, 0},
    {"futex_requeue", 456, 0},
    {"statmount", 457, 0},
    {"listmount", 458, 0},
    {"lsm_get_self_attr", 459, 0},
    {"lsm_set_self_attr", 460, 0},
    {"lsm_list_modules", 461, 0},
    {"mseal", 462, 0},
    {"setxattrat", 463, 0},
    {"getxattrat", 464, 0},
    {"listxattrat", 465, 0},
    {"removexattrat", 466, 0},
    {"open_tree_attr", 467, 0},
    {"file_getattr", 468, 0},
    {"file_setattr", 469, 0},
    {"listns", 470, 0},
    {"rseq_slice_yield", 471, 0},
    {"uretprobe", 335, 1u << BOX_ARCH_X86_64 | 1u << BOX_ARCH_X32},
    {"uprobe", 336, 1u << BOX_ARCH_X86_64 | 1u << BOX_ARCH_X32},
};

struct entry {
    char *name;
    int number[BOX_ARCH_COUNT];
};
static struct entry table[MAX_ROWS];
static size_t n_table;

static struct entry *entry_for(const char *name)
{
    for (size_t i = 0; i < n_table; i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    if (n_table == MAX_ROWS)
        return NULL;
    struct entry *entry = &table[n_table];
    for (int c = 0; c < BOX_ARCH_COUNT; c++)
        entry->number[c] = -1;
    entry->name = strdup(name);
    return entry->name ? &table[n_table++] : NULL;
}

/* By number, not by name: only so does libseccomp tell the direct numbers of calls that 32-bit x86
 * multiplexes. */
static int read_one(int column, int number, int packed)
{
    char *name = seccomp_syscall_resolve_num_arch(tokens[column], number);
    struct entry *entry = NULL;

    if (!name)
        return 0;
    entry = entry_for(name);
    free(name);
    if (!entry)
        return -1;
    entry->number[column] = packed;
    return 0;
}

static int read_libseccomp(void)
{
    for (int c = 0; c < BOX_ARCH_COUNT; c++)
        for (int n = 0; n <= LAST_NUMBER; n++)
            if (read_one(c, n + (c == BOX_ARCH_X32 ? BOX_X32_BIT : 0), n) < 0)
                return -1;
    for (int n = 0; n <= ARM_PRIVATE_LAST; n++)
        if (read_one(BOX_ARCH_ARM, BOX_ARM_PRIVATE + n, BOX_SYSCALL_PACKED + n) < 0)
            return -1;
    return 0;
}

static int add_newer(void)
{
    for (size_t i = 0; i < sizeof(newer) / sizeof(newer[0]); i++) {
        struct entry *entry = entry_for(newer[i].name);
        if (!entry)
            return -1;
        for (int c = 0; c < BOX_ARCH_COUNT; c++) {
            if (newer[i].where && !(newer[i].where & 1u << c))
                continue;
            if (entry->number[c] >= 0 && entry->number[c] != newer[i].number) {
                fprintf(stderr, "%s: libseccomp says %d, the list says %d\n", newer[i].name, entry->number[c],
                        newer[i].number);
                return -1;
            }
            entry->number[c] = newer[i].number;
        }
    }
    return 0;
}

/* Names that stand for a carrier's call alone (accept on 32-bit x86) are in the table through other
 * architectures. */
static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static void write_table(void)
{
    size_t offset = 0;

    /* One string longer than ISO C promises to take: the pragma keeps -Wpedantic quiet about it. */
    printf("/* Made by seccomp_names_gen.c while building. */\n#pragma GCC system_header\n");
    printf("static const char names[] =\n");
    for (size_t i = 0; i < n_table; i++)
        printf("    \"%s\\0\"\n", table[i].name);
    printf("    ;\n\nstatic const struct row rows[] = {\n");
    for (size_t i = 0; i < n_table; i++) {
        printf("    {%zu, {", offset);
        for (int c = 0; c < BOX_ARCH_COUNT; c++)
            printf("%s%d", c ? ", " : "", table[i].number[c]);
        printf("}}, /* %s */\n", table[i].name);
        offset += strlen(table[i].name) + 1;
    }
    printf("};\n");
}

int main(void)
{
    int r = read_libseccomp() < 0 || add_newer() < 0 ? 1 : 0;

    if (r == 0) {
        qsort(table, n_table, sizeof(table[0]), by_name);
        write_table();
        r = fflush(stdout) || ferror(stdout) ? 1 : 0;
    }
    for (size_t i = 0; i < n_table; i++)
        free(table[i].name);
    return r;
}
