/* The peer liblxc, used from C in a process of its own: see struct worker in bench.h.
 *
 *     bench-lxc --worker ROOT …      ROOT: a directory with /bin/true, where a container's state goes beside
 * it */
#include "bench.h"

#include <stdio.h>
#include <string.h>

#include <lxc/lxccontainer.h>

static int64_t start(struct subject *s)
{
    struct lxc_container *c = s->data;
    char *const argv[] = {"/bin/true", NULL};
    int64_t from = bench_now();

    if (!c->start(c, 0, argv))
        return bench_fail(s, "liblxc could not start the container (error %d)", c->error_num);
    return c->error_num == 0 ? bench_now() - from : bench_fail(s, "it exited with %d", c->error_num);
}

int main(int argc, char **argv)
{
    char value[BENCH_TEXT], parent[BENCH_TEXT];

    if (argc < 3 || strlen(argv[2]) >= sizeof(value) - 8)
        return 2;
    snprintf(parent, sizeof(parent), "%s", argv[2]);
    char *slash = strrchr(parent, '/');
    if (slash)
        *slash = 0;
    struct lxc_container *c = lxc_container_new("libbox-bench", parent);
    struct subject s = {.run = start, .data = c};
    if (!c)
        return 1;
    snprintf(value, sizeof(value), "dir:%.200s", argv[2]);
    if (!c->set_config_item(c, "lxc.rootfs.path", value) ||
        !c->set_config_item(c, "lxc.net.0.type", "empty") ||
        !c->set_config_item(c, "lxc.mount.auto", "proc:rw") || !c->want_daemonize(c, false))
        return 1;
    int r = bench_serve(&s);
    lxc_container_put(c);
    return r;
}
