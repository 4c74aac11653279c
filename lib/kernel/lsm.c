/* AppArmor and SELinux: whether they are active, what a label looks like, and how one is asked for.
 *
 * Both work alike: a thread writes a text into a file of its own below /proc/thread-self/attr, and its next
 * execve(2) puts the label on. A thread of a container's set-up must not trust that path (a /proc may be
 * faked, CVE-2019-16884), so the stage takes only the file's name and the text from here and opens the file
 * in a procfs of its own. */
#include <libbox/lsm.h>

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include <libbox/landlock.h>

#include "base/fail.h"
#include "kernel/lsm_attr.h"
#include "kernel/smallfile.h"

#define LABEL_MAX 4095 /* a label is written in one go, and the kernel takes a page at most */

static const char *const names[] = {[BOX_LSM_APPARMOR] = "AppArmor", [BOX_LSM_SELINUX] = "SELinux"};

const char *box_lsm_name(enum box_lsm lsm)
{
    return (unsigned)lsm < BOX_ARRAY(names) ? names[lsm] : "unknown";
}

/* A name in a list with commas. */
static bool listed(const char *list, const char *name)
{
    size_t n = strlen(name);

    for (const char *at = list; (at = strstr(at, name)); at += n)
        if ((at == list || at[-1] == ',') && (at[n] == ',' || at[n] == '\0'))
            return true;
    return false;
}

static bool apparmor_enabled(void)
{
    char answer[8];

    return box_smallfile_line("/sys/module/apparmor/parameters/enabled", answer, sizeof(answer)) == 1 &&
           *answer == 'Y';
}

/* Active, and with a policy: without one, every process has the label "kernel". */
static bool selinux_enabled(void)
{
    char list[512], label[LABEL_MAX + 1];
    bool active =
        access("/sys/fs/selinux/enforce", F_OK) == 0 ||
        (box_smallfile_line("/sys/kernel/security/lsm", list, sizeof(list)) > 0 && listed(list, "selinux"));

    return active && box_smallfile_line("/proc/thread-self/attr/current", label, sizeof(label)) > 0 &&
           strcmp(label, "kernel") != 0;
}

int box_lsm_enabled(enum box_lsm lsm)
{
    switch (lsm) {
    case BOX_LSM_APPARMOR:
        return apparmor_enabled();
    case BOX_LSM_SELINUX:
        return selinux_enabled();
    }
    return 0;
}

char *box_lsm_list(void)
{
    char list[512];

    if (box_smallfile_line("/sys/kernel/security/lsm", list, sizeof(list)) > 0)
        return strdup(list);
    /* securityfs is often not mounted inside of containers: tell what shows elsewhere. */
    snprintf(list, sizeof(list), "capability%s%s%s%s", box_landlock_abi() > 0 ? ",landlock" : "",
             access("/proc/sys/kernel/yama", F_OK) == 0 ? ",yama" : "", selinux_enabled() ? ",selinux" : "",
             apparmor_enabled() ? ",apparmor" : "");
    return strdup(list);
}

/* Labels */

static int fail_label(box_error **err, enum box_lsm lsm, const char *label, const char *why)
{
    return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESPEC, .subject = label}, "%s label: %s",
                         box_lsm_name(lsm), why);
}

int box_lsm_label_check(enum box_lsm lsm, const char *label, box_error **err)
{
    size_t length = label ? strlen(label) : 0;

    if ((unsigned)lsm >= BOX_ARRAY(names))
        return box_fail(err, BOX_EINVAL, "%d is no security module", (int)lsm);
    if (length == 0)
        return fail_label(err, lsm, label, "it is empty");
    if (length > LABEL_MAX)
        return fail_label(err, lsm, NULL, "it is longer than 4095 bytes");
    for (const char *s = label; *s; s++)
        if ((unsigned char)*s < ' ' || *s == 0x7f)
            return fail_label(err, lsm, NULL, "it has control characters");
    if (lsm == BOX_LSM_APPARMOR) {
        if (label[0] == ' ' || label[length - 1] == ' ')
            return fail_label(err, lsm, label, "it begins or ends with a blank");
        return 0;
    }

    /* user:role:type[:range] */
    if (strchr(label, ' '))
        return fail_label(err, lsm, label, "it has a blank");
    const char *s = label;
    for (int part = 0; part < 3; part++) {
        size_t n = strcspn(s, ":");
        if (n == 0 || (part < 2 && s[n] == '\0'))
            return fail_label(err, lsm, label, "it is not of the form user:role:type[:range]");
        s += n + (s[n] == ':');
    }
    if (*s == '\0' && label[length - 1] == ':')
        return fail_label(err, lsm, label, "its range is empty");
    return 0;
}

static int fail_inactive(box_error **err, enum box_lsm lsm, const char *label)
{
    struct box_fail_info info = {.code = BOX_EUNSUPPORTED, .subject = label};

    info.remedy =
        lsm == BOX_LSM_APPARMOR
            ? "install the package apparmor and boot with it, ask for no profile, or let AppArmor be missing"
            : "boot with SELinux and a policy, ask for no label, or let SELinux be missing";
    return box_fail_with(err, &info, "%s is not active on this host", box_lsm_name(lsm));
}

/* Whether a profile is in the kernel's list of "NAME (MODE)" lines; true when that cannot be told. */
static bool profile_loaded(const char *label)
{
    _free_ char *text = NULL;
    size_t n = strlen(label);

    /* Stacks of profiles, and profiles in a namespace, are not on this list under that name. */
    if (strcmp(label, "unconfined") == 0 || strstr(label, "//&") || label[0] == ':')
        return true;
    if (box_smallfile_load("/sys/kernel/security/apparmor/profiles", &text) < 0)
        return true;
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, label, n) == 0 && line[n] == ' ' && line[n + 1] == '(')
            return true;
    }
    return false;
}

int box_lsm_label_usable(enum box_lsm lsm, const char *label, box_error **err)
{
    int r = box_lsm_label_check(lsm, label, err);

    if (r < 0)
        return r;
    if (!box_lsm_enabled(lsm))
        return fail_inactive(err, lsm, label);
    if (lsm == BOX_LSM_APPARMOR && !profile_loaded(label))
        return box_fail_with(err,
                             &(struct box_fail_info){.code = BOX_ENOTFOUND,
                                                     .subject = label,
                                                     .remedy = "load it: apparmor_parser -r FILE"},
                             "there is no such AppArmor profile in the kernel");
    /* The policy itself says whether it knows a context; other failures only mean that we may not ask. */
    if (lsm == BOX_LSM_SELINUX && box_smallfile_write("/sys/fs/selinux/context", label) == -EINVAL)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ENOTFOUND, .subject = label},
                             "the SELinux policy has no such context");
    return 0;
}

/* Where labels are read and written. AppArmor has a directory of its own since 5.1; before that, and for
 * SELinux, the files belong to whichever module came first. */
static const char *attr_file(enum box_lsm lsm, bool exec)
{
    bool own = lsm == BOX_LSM_APPARMOR && access("/proc/thread-self/attr/apparmor", F_OK) == 0;

    if (exec)
        return own ? "apparmor/exec" : "exec";
    return own ? "apparmor/current" : "current";
}

int box_lsm_exec_text(enum box_lsm lsm, const char *label, char **text, box_error **err)
{
    int n = asprintf(text, "%s%s", lsm == BOX_LSM_APPARMOR ? "exec " : "", label);

    if (n < 0) {
        *text = NULL;
        return box_fail_nomem(err);
    }
    return 0;
}

int box_lsm_exec_attr(enum box_lsm lsm, const char *label, bool may_be_missing, const char **attr,
                      char **text, box_error **err)
{
    *attr = NULL;
    *text = NULL;
    if (label && !*label)
        return 0;
    int r = box_lsm_label_check(lsm, label, err);
    if (r < 0 || (may_be_missing && !box_lsm_enabled(lsm)))
        return r;
    r = box_lsm_label_usable(lsm, label, err);
    if (r == 0)
        r = box_lsm_exec_text(lsm, label, text, err);
    if (r == 0)
        *attr = attr_file(lsm, true);
    return r;
}

char *box_lsm_label_read(enum box_lsm lsm, pid_t pid, box_error **err)
{
    char path[64], label[LABEL_MAX + 64];

    if (!box_lsm_enabled(lsm)) {
        fail_inactive(err, lsm, NULL);
        return NULL;
    }
    if (pid)
        snprintf(path, sizeof(path), "/proc/%d/attr/%s", (int)pid, attr_file(lsm, false));
    else
        snprintf(path, sizeof(path), "/proc/thread-self/attr/%s", attr_file(lsm, false));
    ssize_t n = box_smallfile_line(path, label, sizeof(label));
    if (n < 0) {
        box_fail_with(err,
                      &(struct box_fail_info){
                          .code = n == -ENOENT || n == -ESRCH ? BOX_ENOTFOUND : 0,
                          .errnum = (int)-n,
                          .call = "read",
                          .subject = path,
                      },
                      "read the %s label", box_lsm_name(lsm));
        return NULL;
    }
    char *mode = lsm == BOX_LSM_APPARMOR ? strrchr(label, '(') : NULL;
    if (mode && mode > label && mode[-1] == ' ')
        mode[-1] = '\0';
    char *own = strdup(label);
    if (!own)
        box_fail_nomem(err);
    return own;
}

int box_lsm_label_on_exec(enum box_lsm lsm, const char *label, box_error **err)
{
    _free_ char *text = NULL;
    const char *attr;
    char path[64];

    int r = box_lsm_exec_attr(lsm, label, false, &attr, &text, err);
    if (r < 0 || !attr)
        return r;
    snprintf(path, sizeof(path), "/proc/thread-self/attr/%s", attr);
    r = box_smallfile_write(path, text);
    if (r < 0)
        return box_fail_with(err, &(struct box_fail_info){.errnum = -r, .call = "write", .subject = path},
                             "ask for the %s label %s", box_lsm_name(lsm), label);
    return 0;
}
