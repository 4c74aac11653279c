/* Device rules on cgroup v2: a program that the kernel asks at each open and mknod.
 *
 * The rules are read from the last to the first. Each bit of the access that is asked for (read, write,
 * mknod) is decided by the first rule that matches the device and names the bit; the access is allowed when
 * every bit is. The program keeps the bits that are still undecided:
 *
 *     r2 = type, r3 = undecided bits, r4 = major, r5 = minor
 *     for each rule, backwards:
 *         if the type, major or minor differs: next
 *         allow: r3 &= ~bits; if r3 == 0: return 1
 *         deny:  if r3 & bits: return 0
 *     return 1
 *
 * It is loaded by the raw bpf(2), and attached so that programs of others (systemd's, an outer container's)
 * stay in force beside it. An update replaces the old program in one step, so there is no moment without
 * rules. libbox's programs are known by their name, so a process that only opened the cgroup can update it
 * too. */
#include "kernel/cgroup.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/syscall.h>

#define PROGRAM_NAME  "libbox_devices"
#define ALL_ACCESS    7u
#define RULE_INSNS    7 /* at most, for one rule */
#define FIXED_INSNS   8
#define LOAD_TRIES    5
#define ATTACHED_MOST 64

/* ---- the program ---- */

#define INSN(op, dst, src, offset, value) \
    ((struct bpf_insn){.code = (op), .dst_reg = (dst), .src_reg = (src), .off = (offset), .imm = (value)})
#define LOAD32(dst, src, offset) INSN(BPF_LDX | BPF_MEM | BPF_W, dst, src, offset, 0)
#define MOVE(dst, src)           INSN(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0)
#define MOVE_IMM(dst, value)     INSN(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, value)
#define AND_IMM(dst, value)      INSN(BPF_ALU64 | BPF_AND | BPF_K, dst, 0, 0, value)
#define SHIFT_RIGHT(dst, value)  INSN(BPF_ALU64 | BPF_RSH | BPF_K, dst, 0, 0, value)
#define UNLESS(reg, value, skip) \
    INSN(BPF_JMP32 | BPF_JNE | BPF_K, reg, 0, skip, value) /* jump when they differ */
#define IF_ANY(reg, bits, skip) INSN(BPF_JMP32 | BPF_JSET | BPF_K, reg, 0, skip, bits)
#define JUMP(skip)              INSN(BPF_JMP | BPF_JA, 0, 0, skip, 0)
#define EXIT                    INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

static int kernel_access(unsigned access)
{
    return (access & BOX_DEVICE_READ ? BPF_DEVCG_ACC_READ : 0) |
           (access & BOX_DEVICE_WRITE ? BPF_DEVCG_ACC_WRITE : 0) |
           (access & BOX_DEVICE_MKNOD ? BPF_DEVCG_ACC_MKNOD : 0);
}

/* One rule; it leaves the program when it decides, and falls to its end otherwise. Returns the end. */
static struct bpf_insn *emit_rule(struct bpf_insn *out, const struct box_device_rule *rule, unsigned access)
{
    struct bpf_insn *start = out;

    if (rule->type == 'b' || rule->type == 'c' || rule->type == 'u')
        *out++ = UNLESS(BPF_REG_2, rule->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR, 0);
    if (rule->major >= 0)
        *out++ = UNLESS(BPF_REG_4, (int32_t)(uint32_t)rule->major, 0);
    if (rule->minor >= 0)
        *out++ = UNLESS(BPF_REG_5, (int32_t)(uint32_t)rule->minor, 0);

    struct bpf_insn *conditions_end = out;

    if (rule->allow) {
        *out++ = AND_IMM(BPF_REG_3, ~kernel_access(access));
        *out++ = UNLESS(BPF_REG_3, 0, 2);
        *out++ = MOVE_IMM(BPF_REG_0, 1);
        *out++ = EXIT;
    } else {
        *out++ = IF_ANY(BPF_REG_3, kernel_access(access), 1);
        *out++ = JUMP(2);
        *out++ = MOVE_IMM(BPF_REG_0, 0);
        *out++ = EXIT;
    }
    for (struct bpf_insn *jump = start; jump < conditions_end; jump++)
        jump->off = (int16_t)(out - jump - 1);
    return out;
}

struct bpf_insn *cgroup_bpf_generate(const struct box_device_rule *rules, size_t count, size_t *length)
{
    struct bpf_insn *program = calloc(count * RULE_INSNS + FIXED_INSNS, sizeof(*program)), *out = program;
    int answer = 1;

    if (!program)
        return NULL;
    *out++ = LOAD32(BPF_REG_2, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, access_type));
    *out++ = MOVE(BPF_REG_3, BPF_REG_2);
    *out++ = SHIFT_RIGHT(BPF_REG_3, 16);
    *out++ = AND_IMM(BPF_REG_2, 0xffff);
    *out++ = LOAD32(BPF_REG_4, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, major));
    *out++ = LOAD32(BPF_REG_5, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, minor));
    for (size_t i = count; i > 0; i--) {
        const struct box_device_rule *rule = &rules[i - 1];
        unsigned access = rule->access ? rule->access : ALL_ACCESS;
        bool any = rule->type == 'a' || rule->type == 0;

        if (rule->type == 'p')
            continue;
        if (any && rule->major < 0 && rule->minor < 0 && access == ALL_ACCESS) {
            answer = rule->allow != 0; /* decides whatever is left: nothing behind it can be reached */
            break;
        }
        out = emit_rule(out, rule, access);
    }
    *out++ = MOVE_IMM(BPF_REG_0, answer);
    *out++ = EXIT;
    *length = (size_t)(out - program);
    return program;
}

/* ---- the kernel ---- */

static int sys_bpf(int command, union bpf_attr *attr)
{
    long r = syscall(__NR_bpf, command, attr, sizeof(*attr));

    return r < 0 ? -errno : (int)r;
}

bool cgroup_bpf_allowed(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    uint64_t effective;

    if (syscall(__NR_capget, &header, data) < 0)
        return false;
    effective = (uint64_t)data[1].effective << 32 | data[0].effective;
    if (!(effective & UINT64_C(1) << CAP_SYS_ADMIN) &&
        !(effective & UINT64_C(1) << CAP_BPF && effective & UINT64_C(1) << CAP_NET_ADMIN))
        return false;
    return !cgroup_in_user_namespace();
}

int cgroup_bpf_load(const struct bpf_insn *program, size_t length)
{
    static const char license[] = "Dual MIT/GPL";
    int r = -EAGAIN;

    /* -EAGAIN: a signal came while the program was being checked. */
    for (int try = 0; try < LOAD_TRIES && r == -EAGAIN; try++) {
        union bpf_attr attr = {.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
                               .insns = (uint64_t)(uintptr_t)program,
                               .insn_cnt = (uint32_t)length,
                               .license = (uint64_t)(uintptr_t)license,
                               .expected_attach_type = BPF_CGROUP_DEVICE};

        memcpy(attr.prog_name, PROGRAM_NAME, sizeof(PROGRAM_NAME));
        r = sys_bpf(BPF_PROG_LOAD, &attr);
    }
    return r;
}

/* The fd of a program if it is one of libbox's; otherwise -1. */
static int open_if_ours(uint32_t id)
{
    union bpf_attr attr = {.prog_id = id};
    _close_ int fd = sys_bpf(BPF_PROG_GET_FD_BY_ID, &attr);
    struct bpf_prog_info info = {0};

    if (fd < 0)
        return -1;
    attr = (union bpf_attr){
        .info = {.bpf_fd = (uint32_t)fd, .info_len = sizeof(info), .info = (uintptr_t)&info}};
    if (sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr) < 0 || strcmp(info.name, PROGRAM_NAME) != 0)
        return -1;
    return box_take_fd(&fd);
}

/* Our program on the directory, or -1. */
static int find_ours(int dirfd)
{
    uint32_t ids[ATTACHED_MOST];
    union bpf_attr attr = {.query = {.target_fd = (uint32_t)dirfd,
                                     .attach_type = BPF_CGROUP_DEVICE,
                                     .prog_ids = (uintptr_t)ids,
                                     .prog_cnt = ATTACHED_MOST}};

    if (sys_bpf(BPF_PROG_QUERY, &attr) < 0)
        return -1;
    for (uint32_t i = 0; i < attr.query.prog_cnt && i < ATTACHED_MOST; i++) {
        int fd = open_if_ours(ids[i]);
        if (fd >= 0)
            return fd;
    }
    return -1;
}

static int attach(int dirfd, int program, int old)
{
    union bpf_attr attr = {.target_fd = (uint32_t)dirfd,
                           .attach_bpf_fd = (uint32_t)program,
                           .attach_type = BPF_CGROUP_DEVICE,
                           .attach_flags = BPF_F_ALLOW_MULTI};
    int r;

    if (old < 0)
        return sys_bpf(BPF_PROG_ATTACH, &attr);
    attr.attach_flags |= BPF_F_REPLACE;
    attr.replace_bpf_fd = (uint32_t)old;
    r = sys_bpf(BPF_PROG_ATTACH, &attr);
    if (r != -EINVAL)
        return r;
    /* Before Linux 5.6: both for a moment, which is stricter than either, then the old one goes. */
    attr.attach_flags = BPF_F_ALLOW_MULTI;
    attr.replace_bpf_fd = 0;
    r = sys_bpf(BPF_PROG_ATTACH, &attr);
    if (r < 0)
        return r;
    attr = (union bpf_attr){
        .target_fd = (uint32_t)dirfd, .attach_bpf_fd = (uint32_t)old, .attach_type = BPF_CGROUP_DEVICE};
    return sys_bpf(BPF_PROG_DETACH, &attr);
}

int cgroup_bpf_apply(const struct cgroup_dir *dir, const struct box_device_rule *rules, size_t count,
                     const char **call)
{
    size_t length;
    _free_ struct bpf_insn *program = cgroup_bpf_generate(rules, count, &length);
    _close_ int loaded = -1, old = -1;

    if (!program)
        return -ENOMEM;
    *call = "bpf(BPF_PROG_LOAD)";
    loaded = cgroup_bpf_load(program, length);
    if (loaded < 0)
        return loaded;
    *call = "bpf(BPF_PROG_ATTACH)";
    old = find_ours(dir->fd);
    return attach(dir->fd, loaded, old);
}
