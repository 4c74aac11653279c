/* Looking system calls up. The table is sorted by name: by name is a binary search, by number (for messages)
 * a scan. */
#include "kernel/seccomp_names.h"

#include <linux/audit.h>
#include <string.h>

#include <libbox/seccomp.h>
#include "base/cleanup.h"

struct row {
    uint16_t name; /* offset in names[] */
    int16_t number[BOX_ARCH_COUNT];
};

/* static const char names[]; static const struct row rows[]; */
#include "kernel/seccomp_names.inc"

const struct box_seccomp_arch_info box_seccomp_arches[BOX_ARCH_COUNT] = {
    [BOX_ARCH_X86_64] = {"SCMP_ARCH_X86_64", AUDIT_ARCH_X86_64, .machine = BOX_ARCH_X86_64},
    [BOX_ARCH_X86] = {"SCMP_ARCH_X86", AUDIT_ARCH_I386, .narrow = true, .machine = BOX_ARCH_X86_64},
    [BOX_ARCH_X32] = {"SCMP_ARCH_X32", AUDIT_ARCH_X86_64, .base = BOX_X32_BIT, .own_first = 512,
                      .own_last = 547, .machine = BOX_ARCH_X86_64},
    [BOX_ARCH_AARCH64] = {"SCMP_ARCH_AARCH64", AUDIT_ARCH_AARCH64, .machine = BOX_ARCH_AARCH64},
    [BOX_ARCH_ARM] = {"SCMP_ARCH_ARM", AUDIT_ARCH_ARM, .narrow = true, .own_first = BOX_ARM_PRIVATE,
                      .own_last = BOX_ARM_PRIVATE + 6, .machine = BOX_ARCH_AARCH64},
};

/* The rest of what config-linux.md and libseccomp name; kept in a policy and never compiled here. */
static const char *const foreign_arches[] = {
    "SCMP_ARCH_MIPS",     "SCMP_ARCH_MIPS64",      "SCMP_ARCH_MIPS64N32",   "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PPC",         "SCMP_ARCH_PPC64",
    "SCMP_ARCH_PPC64LE",  "SCMP_ARCH_S390",        "SCMP_ARCH_S390X",       "SCMP_ARCH_PARISC",
    "SCMP_ARCH_PARISC64", "SCMP_ARCH_RISCV64",     "SCMP_ARCH_LOONGARCH64", "SCMP_ARCH_M68K",
    "SCMP_ARCH_SH",       "SCMP_ARCH_SHEB",
};

int box_seccomp_arch_by_name(const char *oci)
{
    for (int i = 0; i < BOX_ARCH_COUNT; i++)
        if (strcmp(box_seccomp_arches[i].oci, oci) == 0)
            return i;
    return -1;
}

bool box_seccomp_arch_is_oci(const char *oci)
{
    for (size_t i = 0; i < BOX_ARRAY(foreign_arches); i++)
        if (strcmp(foreign_arches[i], oci) == 0)
            return true;
    return box_seccomp_arch_by_name(oci) >= 0;
}

static const struct row *find(const char *name)
{
    size_t low = 0, high = BOX_ARRAY(rows);

    while (low < high) {
        size_t mid = (low + high) / 2;
        int order = strcmp(name, names + rows[mid].name);
        if (order == 0)
            return &rows[mid];
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

static int unpack(enum box_seccomp_arch arch, int packed)
{
    if (packed < 0)
        return -1;
    if (packed >= BOX_SYSCALL_PACKED)
        return packed - BOX_SYSCALL_PACKED + BOX_ARM_PRIVATE;
    return packed + (int)box_seccomp_arches[arch].base;
}

int box_syscall_lookup(enum box_seccomp_arch arch, const char *name)
{
    const struct row *row = find(name);

    return row ? unpack(arch, row->number[arch]) : -1;
}

bool box_syscall_known(const char *name)
{
    return find(name) != NULL;
}

/* An AUDIT_ARCH_* number stands for two columns on x86_64, told apart by the bit in the number. */
static int column(uint32_t audit, int number)
{
    if (!audit)
        audit = box_seccomp_arches[BOX_ARCH_NATIVE].audit;
    if (audit == AUDIT_ARCH_X86_64 && number >= 0 && (number & BOX_X32_BIT))
        return BOX_ARCH_X32;
    for (int i = 0; i < BOX_ARCH_COUNT; i++)
        if (box_seccomp_arches[i].audit == audit)
            return i;
    return -1;
}

const char *box_syscall_name(uint32_t arch, int number)
{
    int c = column(arch, number);

    if (c < 0 || number < 0)
        return NULL;
    for (size_t i = 0; i < BOX_ARRAY(rows); i++)
        if (rows[i].number[c] >= 0 && unpack((enum box_seccomp_arch)c, rows[i].number[c]) == number)
            return names + rows[i].name;
    return NULL;
}

int box_syscall_number(uint32_t arch, const char *name)
{
    int c = name ? column(arch, 0) : -1;

    return c < 0 ? -1 : box_syscall_lookup((enum box_seccomp_arch)c, name);
}

/* The numbers of <linux/net.h> and <linux/ipc.h>. */
static const struct {
    const char *name;
    uint32_t call;
    bool is_ipc;
} carried[] = {
    {"socket", 1, false},    {"bind", 2, false},        {"connect", 3, false},     {"listen", 4, false},
    {"accept", 5, false},    {"getsockname", 6, false}, {"getpeername", 7, false}, {"socketpair", 8, false},
    {"send", 9, false},      {"recv", 10, false},       {"sendto", 11, false},     {"recvfrom", 12, false},
    {"shutdown", 13, false}, {"setsockopt", 14, false}, {"getsockopt", 15, false}, {"sendmsg", 16, false},
    {"recvmsg", 17, false},  {"accept4", 18, false},    {"recvmmsg", 19, false},   {"sendmmsg", 20, false},
    {"semop", 1, true},      {"semget", 2, true},       {"semctl", 3, true},       {"semtimedop", 4, true},
    {"msgsnd", 11, true},    {"msgrcv", 12, true},      {"msgget", 13, true},      {"msgctl", 14, true},
    {"shmat", 21, true},     {"shmdt", 22, true},       {"shmget", 23, true},      {"shmctl", 24, true},
};

bool box_syscall_carrier(const char *name, struct box_syscall_carrier *carrier)
{
    for (size_t i = 0; i < BOX_ARRAY(carried); i++) {
        if (strcmp(carried[i].name, name) == 0) {
            *carrier = (struct box_syscall_carrier){.is_ipc = carried[i].is_ipc, .call = carried[i].call};
            return true;
        }
    }
    return false;
}
