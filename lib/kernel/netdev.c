/* Network devices from one network namespace to another, by rtnetlink(7): linux.netDevices of the OCI runtime
 * specification (config-linux.md, "Network Devices").
 *
 * In order: each device is looked for, and its name to be; then, one after the other, its addresses are noted, it is
 * moved and renamed in one request, gets its addresses back, which the kernel drops on the way, and is brought up.
 *
 * What is said by sockets comes from the kernel alone: replies of anyone else's port, and lengths that do not add up, are
 * passed over. A namespace that is joined may be in a hostile user's hands, who can make and rename devices in it at any
 * time; what is gained by that is an error. */
#include "kernel/netdev.h"

#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

#define ADDRESSES_MAX 4096
#define REPLY_SIZE    32768 /* of one datagram of a dump; the kernel fills no more */
#define WAIT_SECONDS  10
#define NUMBERS_MAX   4096 /* tried for "eth%d" */

/* ---- messages ------------------------------------------------------------------------------------------------------- */

struct request {
    union {
        struct nlmsghdr header;
        char space[1024];
    };
    bool full;
};

static void *begin(struct request *q, uint16_t type, uint16_t flags, size_t size)
{
    memset(q, 0, sizeof(*q));
    q->header.nlmsg_len = (uint32_t)NLMSG_LENGTH(size);
    q->header.nlmsg_type = type;
    q->header.nlmsg_flags = NLM_F_REQUEST | flags;
    q->header.nlmsg_seq = 1;
    return NLMSG_DATA(&q->header);
}

static void add(struct request *q, uint16_t type, const void *data, size_t size)
{
    size_t at = NLMSG_ALIGN(q->header.nlmsg_len);

    if (size > 512 || at + RTA_SPACE(size) > sizeof(q->space)) {
        q->full = true;
        return;
    }
    struct rtattr *a = (struct rtattr *)(void *)(q->space + at);
    a->rta_type = type;
    a->rta_len = (uint16_t)RTA_LENGTH(size);
    memcpy(RTA_DATA(a), data, size);
    q->header.nlmsg_len = (uint32_t)(at + RTA_SPACE(size));
}

static int send_request(int fd, struct request *q)
{
    const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

    if (q->full)
        return -EMSGSIZE;
    ssize_t n = sendto(fd, q->space, q->header.nlmsg_len, MSG_NOSIGNAL, (const struct sockaddr *)&kernel, sizeof(kernel));
    return n < 0 ? -errno : 0;
}

typedef int (*on_message)(const struct nlmsghdr *m, void *data);

/* Reads up to the end of the answer. The result is the kernel's, or that of a handler. */
static int answer(int fd, on_message handler, void *data)
{
    _free_ char *buffer = malloc(REPLY_SIZE);
    int result = 0;

    while (buffer) {
        struct sockaddr_nl from = {0};
        socklen_t size = sizeof(from);
        ssize_t n = recvfrom(fd, buffer, REPLY_SIZE, MSG_TRUNC, (struct sockaddr *)&from, &size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (from.nl_pid != 0)
            continue;
        if (n > REPLY_SIZE)
            return -EMSGSIZE;
        size_t left = (size_t)n;
        for (struct nlmsghdr *m = (struct nlmsghdr *)(void *)buffer; NLMSG_OK(m, left); m = NLMSG_NEXT(m, left)) {
            if (m->nlmsg_type == NLMSG_DONE)
                return result;
            if (m->nlmsg_type == NLMSG_ERROR)
                return m->nlmsg_len < NLMSG_LENGTH(sizeof(struct nlmsgerr)) ? -EBADMSG
                       : ((struct nlmsgerr *)NLMSG_DATA(m))->error         ? ((struct nlmsgerr *)NLMSG_DATA(m))->error
                                                                           : result;
            int r = handler ? handler(m, data) : 0;
            if (r < 0)
                result = r;
        }
    }
    return -ENOMEM;
}

static int ask(int fd, struct request *q, on_message handler, void *data)
{
    int r = send_request(fd, q);

    return r < 0 ? r : answer(fd, handler, data);
}

int netdev_open(box_error **err)
{
    const struct timeval wait = {.tv_sec = WAIT_SECONDS};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

    if (fd < 0)
        return box_fail_sys(err, "socket", "linux.netDevices", "talk to the kernel about network devices");
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    return fd;
}

/* ---- devices -------------------------------------------------------------------------------------------------------- */

static int take_index(const struct nlmsghdr *m, void *data)
{
    if (m->nlmsg_type == RTM_NEWLINK && m->nlmsg_len >= NLMSG_LENGTH(sizeof(struct ifinfomsg)))
        *(int *)data = ((const struct ifinfomsg *)NLMSG_DATA(m))->ifi_index;
    return 0;
}

/* The index of a device, -ENODEV when there is none of this name. */
static int find(int fd, const char *name)
{
    struct request q;
    int index = 0;

    begin(&q, RTM_GETLINK, NLM_F_ACK, sizeof(struct ifinfomsg));
    add(&q, IFLA_IFNAME, name, strlen(name) + 1);
    int r = ask(fd, &q, take_index, &index);
    return r < 0 ? r : index > 0 ? index : -ENODEV;
}

static int bring_up(int fd, int index)
{
    struct request q;
    struct ifinfomsg *link = begin(&q, RTM_NEWLINK, NLM_F_ACK, sizeof(*link));

    link->ifi_index = index;
    link->ifi_flags = IFF_UP;
    link->ifi_change = IFF_UP;
    return ask(fd, &q, NULL, NULL);
}

/* Both at once: no moment in which the new namespace has it under a name that means another there. */
static int send_away(int fd, int index, int namespace, const char *name)
{
    struct request q;
    struct ifinfomsg *link = begin(&q, RTM_NEWLINK, NLM_F_ACK, sizeof(*link));
    uint32_t number = (uint32_t)namespace;

    link->ifi_index = index;
    add(&q, IFLA_NET_NS_FD, &number, sizeof(number));
    add(&q, IFLA_IFNAME, name, strlen(name) + 1);
    return ask(fd, &q, NULL, NULL);
}

/* ---- addresses ------------------------------------------------------------------------------------------------------ */

/* Requests for the new namespace, ready but for the device's index there. */
struct addresses {
    int index;
    struct request *list;
    size_t n;
};

static struct request *one_more(struct addresses *all)
{
    if (all->n >= ADDRESSES_MAX)
        return NULL;
    struct request *grown = reallocarray(all->list, all->n + 1, sizeof(*grown));
    if (grown)
        all->list = grown;
    return grown ? &grown[all->n++] : NULL;
}

/* Those that somebody configured, and that mean something beyond one link: what was given for a time, or made up from the
 * link, the new namespace finds out for itself. */
static int note_address(const struct nlmsghdr *m, void *data)
{
    static const uint32_t kept_flags = IFA_F_NODAD | IFA_F_HOMEADDRESS | IFA_F_NOPREFIXROUTE | IFA_F_MCAUTOJOIN;
    struct addresses *all = data;
    const struct ifaddrmsg *a = NLMSG_DATA(m);
    uint32_t flags;

    if (m->nlmsg_type != RTM_NEWADDR || m->nlmsg_len < NLMSG_LENGTH(sizeof(*a)) || (int)a->ifa_index != all->index ||
        a->ifa_scope != RT_SCOPE_UNIVERSE)
        return 0;
    flags = a->ifa_flags;
    size_t length = m->nlmsg_len - NLMSG_LENGTH(sizeof(*a));
    size_t left = length;
    for (const struct rtattr *t = IFA_RTA(a); RTA_OK(t, left); t = RTA_NEXT(t, left))
        if (t->rta_type == IFA_FLAGS && RTA_PAYLOAD(t) >= sizeof(flags))
            memcpy(&flags, RTA_DATA(t), sizeof(flags));
    if (!(flags & IFA_F_PERMANENT))
        return 0;
    struct request *q = one_more(all);
    if (!q)
        return all->n >= ADDRESSES_MAX ? -E2BIG : -ENOMEM;
    struct ifaddrmsg *copy = begin(q, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, sizeof(*copy));
    *copy = (struct ifaddrmsg){.ifa_family = a->ifa_family, .ifa_prefixlen = a->ifa_prefixlen, .ifa_scope = a->ifa_scope};
    flags &= kept_flags;
    add(q, IFA_FLAGS, &flags, sizeof(flags));
    left = length;
    for (const struct rtattr *t = IFA_RTA(a); RTA_OK(t, left); t = RTA_NEXT(t, left)) /* no label: it has the old name */
        if (t->rta_type == IFA_LOCAL || t->rta_type == IFA_ADDRESS || t->rta_type == IFA_BROADCAST ||
            t->rta_type == IFA_RT_PRIORITY)
            add(q, t->rta_type, RTA_DATA(t), RTA_PAYLOAD(t));
    return 0;
}

static int note_addresses(int fd, struct addresses *all)
{
    struct request q;

    begin(&q, RTM_GETADDR, NLM_F_DUMP, sizeof(struct ifaddrmsg));
    return ask(fd, &q, note_address, all);
}

static int give_addresses(int fd, int index, struct addresses *all)
{
    int r = 0;

    for (size_t i = 0; i < all->n && r >= 0; i++) {
        ((struct ifaddrmsg *)NLMSG_DATA(&all->list[i].header))->ifa_index = (uint32_t)index;
        r = ask(fd, &all->list[i], NULL, NULL);
    }
    return r;
}

/* ---- all of it ------------------------------------------------------------------------------------------------------ */

static int fail(const char *name, int errnum, const char *what, box_error **err)
{
    char field[64];
    struct box_fail_info info = {.errnum = errnum, .call = "rtnetlink", .subject = field};

    snprintf(field, sizeof(field), "linux.netDevices.%s", name);
    if (errnum == ENODEV)
        info.code = BOX_ENOTFOUND;
    if (errnum == EEXIST)
        info.code = BOX_EEXISTS;
    if (errnum == EPERM)
        info.remedy = "a device can be moved by root of the user namespace that its network namespace belongs to";
    if (errnum == EINVAL)
        info.code = BOX_EINVAL, info.remedy = "some devices belong to their network namespace for good: lo is one";
    return box_fail_with(err, &info, "%s", what);
}

/* The name that it gets: a template's number is chosen here, since the kernel would not tell which one it chose. */
static int choose_name(int to, const struct netdev_move *move, char name[IFNAMSIZ], box_error **err)
{
    const char *wanted = move->there && *move->there ? move->there : move->name;
    const char *percent = strstr(wanted, "%d");
    int found = -ENODEV;

    if (strlen(wanted) >= IFNAMSIZ)
        return fail(wanted, ENAMETOOLONG, "name the network device", err);
    for (int number = 0; percent && number < NUMBERS_MAX; number++) {
        int n = snprintf(name, IFNAMSIZ, "%.*s%d%s", (int)(percent - wanted), wanted, number, percent + 2);
        if (n >= IFNAMSIZ)
            return fail(wanted, ENAMETOOLONG, "name the network device", err);
        if ((found = find(to, name)) < 0)
            break;
    }
    if (!percent) {
        snprintf(name, IFNAMSIZ, "%s", wanted);
        found = find(to, name);
    }
    if (found == -ENODEV)
        return 0;
    return fail(wanted, found < 0 ? -found : EEXIST,
                found < 0 ? "look for the network device's new name" : "the container has a network device of this name already", err);
}

static int check_all(int from, int to, const struct netdev_move *moves, size_t n, box_error **err)
{
    char name[IFNAMSIZ];

    for (size_t i = 0; i < n; i++) {
        int index = find(from, moves[i].name);
        if (index < 0)
            return fail(moves[i].name, -index, "there is no such network device to give to the container", err);
        int r = choose_name(to, &moves[i], name, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int move_one(int from, int to, int namespace, const struct netdev_move *move, char name[IFNAMSIZ], box_error **err)
{
    struct addresses addresses = {.index = find(from, move->name)};
    int r = addresses.index < 0 ? fail(move->name, -addresses.index, "find the network device", err)
                                : choose_name(to, move, name, err);

    if (r < 0)
        return r;
    r = note_addresses(from, &addresses);
    const char *what = "read the addresses of the network device";
    if (r >= 0) {
        r = send_away(from, addresses.index, namespace, name);
        what = "move the network device to the container's network namespace";
    }
    int index = r < 0 ? r : find(to, name);
    if (r >= 0) {
        r = index < 0 ? index : give_addresses(to, index, &addresses);
        what = "give the network device its addresses in the container";
    }
    if (r >= 0) {
        r = bring_up(to, index);
        what = "bring the network device up in the container";
    }
    free(addresses.list);
    return r < 0 ? fail(move->name, -r, what, err) : 0;
}

static int namespace_of(int socket, box_error **err)
{
    int fd = ioctl(socket, SIOCGSKNS);

    if (fd < 0)
        return box_fail_with(err, &(struct box_fail_info){.errnum = errno, .call = "SIOCGSKNS", .subject = "linux.netDevices",
                                                          .remedy = "CAP_NET_ADMIN is needed over the network namespace"},
                             "find the network namespace");
    fcntl(fd, F_SETFD, FD_CLOEXEC); /* the kernel sets it already */
    return fd;
}

/* ---- and back ------------------------------------------------------------------------------------------------------- */

struct netdev_name {
    char before[IFNAMSIZ], now[IFNAMSIZ];
};

struct netdev_moved {
    int from, to; /* sockets of the namespaces */
    size_t n;
    struct netdev_name names[];
};

void netdev_moved_free(struct netdev_moved *moved)
{
    if (!moved)
        return;
    if (moved->from >= 0)
        close(moved->from);
    if (moved->to >= 0)
        close(moved->to);
    free(moved);
}

static struct netdev_moved *new_moved(int from, int to, size_t n, box_error **err)
{
    struct netdev_moved *moved = calloc(1, sizeof(*moved) + n * sizeof(moved->names[0]));

    if (!moved) {
        box_fail_nomem(err);
        return NULL;
    }
    moved->from = fcntl(from, F_DUPFD_CLOEXEC, 3);
    moved->to = fcntl(to, F_DUPFD_CLOEXEC, 3);
    if (moved->from < 0 || moved->to < 0) {
        box_fail_sys(err, "fcntl", "linux.netDevices", "keep the network namespaces");
        netdev_moved_free(moved);
        return NULL;
    }
    return moved;
}

void netdev_bring_back(const struct netdev_moved *moved)
{
    _close_ int here = namespace_of(moved->from, NULL);
    char name[IFNAMSIZ];

    for (size_t i = moved->n; here >= 0 && i > 0; i--)
        move_one(moved->to, moved->from, here, &(struct netdev_move){moved->names[i - 1].now, moved->names[i - 1].before}, name, NULL);
}

int netdev_move(int from, int to, const struct netdev_move *moves, size_t n, struct netdev_moved **moved, box_error **err)
{
    _close_ int there = namespace_of(to, err);

    if (there < 0)
        return there;
    struct netdev_moved *done = new_moved(from, to, n, err);
    if (!done)
        return err && *err ? box_error_code(*err) : BOX_ESYSTEM;
    int r = check_all(from, to, moves, n, err);
    for (; r >= 0 && done->n < n; done->n += r >= 0) {
        struct netdev_name *names = &done->names[done->n];
        snprintf(names->before, IFNAMSIZ, "%s", moves[done->n].name);
        r = move_one(from, to, there, &moves[done->n], names->now, err);
    }
    if (r < 0) {
        netdev_bring_back(done);
        netdev_moved_free(done);
        return r;
    }
    *moved = done;
    return 0;
}
