/* CVE-2026-30892 and its kind: a user that is given as text must be that user or an error, never another one; and the
 * files that it is looked up in are those of the root, whatever links the root holds. */
#include "hostile.h"

static char *root;

static struct outcome run_as(const char *user)
{
    box_spec *spec = hostile_spec(root, "id", NULL);
    box_error *err = NULL;
    struct outcome o = {.code = -1};

    if (box_spec_set_user_name(spec, user, &err) < 0) {
        keep_error(&o, err);
        box_spec_free(spec);
        return o;
    }
    return hostile_run(spec);
}

static void refused(void)
{
    static const char *const users[] = {
        "4294967296", "4294967295", "4294968296", "18446744073709551616", "99999999999999999999999", "-1", "-0", "+0", " 0", "0 ",
        "0x0", "1000x", "1e3", "0\n", "1000:4294967296", "1000:-1", "1000:0x0", "1000:+0", "1000: 0", "4294967296:0", "nobody-here",
        "1000:nobody-here", "\xd9\xa1", "0:0:0", "big", "minus", "empty", "1000:biggroup",
    };

    for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
        struct outcome o = run_as(users[i]);
        CHECK(&o, !o.started && *o.error, "the user \"%s\" is refused (CVE-2026-30892)", users[i]);
    }
}

static void exact(void)
{
    static const struct {
        const char *user, *uid, *gid, *groups;
    } users[] = {
        {"0", "uid: 0 0 0", "gid: 0", "groups: 0"},
        {"0000", "uid: 0 0 0", "gid: 0", "groups: 0"},
        {"65534", "uid: 65534 65534 65534", "gid: 0", "groups: 0"},
        {"4294967294", "uid: 4294967294 4294967294 4294967294", "gid: 0", "groups: 0"},
        {"web", "uid: 33 33 33", "gid: 34", "groups: 34 50"},
        {"33", "uid: 33 33 33", "gid: 34", "groups: 34 50"},
        {"web:audio", "uid: 33 33 33", "gid: 29", "groups: 29"},
        {"web:7", "uid: 33 33 33", "gid: 7", "groups: 7"},
        {"12ab", "uid: 44 44 44", "gid: 44", "groups: 44"},
    };

    for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
        struct outcome o = run_as(users[i].user);
        CHECK(&o, outcome_says(&o, users[i].uid) && outcome_says(&o, users[i].gid) && outcome_says(&o, users[i].groups),
              "the user \"%s\" is that one", users[i].user);
    }
    struct outcome o = run_as("web");
    SAYS(&o, "effective: 0", "a user who is not root has no capabilities in effect");
}

/* The image's passwd is a link to a file of the host's, which would make anybody root. */
static void linked_files(void)
{
    char *evil = hostile_path("%s/evil-passwd", hostile_tmp()), *passwd = hostile_path("%s/etc/passwd", root);

    hostile_write(evil, "evil:x:0:0::/root:/bin/sh\n");
    unlink(passwd);
    if (symlink(evil, passwd) < 0)
        exit(99);
    struct outcome o = run_as("evil");
    CHECK(&o, !o.started && strstr(o.error, "evil"), "a passwd that is a link to the host's is not read");
    unlink(passwd);
    if (symlink("../../../../../../../../../etc/passwd", passwd) < 0)
        exit(99);
    o = run_as("daemon");
    CHECK(&o, !o.started, "nor one with '..'");
    unlink(passwd);
    if (mkfifo(passwd, 0644) < 0)
        exit(99);
    o = run_as("daemon");
    CHECK(&o, !o.started, "a passwd that is a FIFO is an error, and hangs nobody");
    free(evil);
    free(passwd);
}

int main(void)
{
    if (geteuid() != 0)
        skip_all("needs root");
    root = hostile_root("users");
    char *passwd = hostile_path("%s/etc/passwd", root), *group = hostile_path("%s/etc/group", root);
    hostile_write(passwd, "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34::/var/www:/bin/sh\n12ab:x:44:44::/:/bin/sh\n"
                          "big:x:4294967296:0::/:/bin/sh\nminus:x:-1:0::/:/bin/sh\nempty:x::0::/:/bin/sh\n");
    hostile_write(group, "root:x:0:\naudio:x:29:\nstaff:x:50:web\nbiggroup:x:4294967296:\n");
    free(passwd);
    free(group);
    refused();
    exact();
    linked_files();
    free(root);
    return done_testing();
}
