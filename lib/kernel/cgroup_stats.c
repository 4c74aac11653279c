/* Statistics: one reading of every controller that the cgroup has, in the terms of libbox/cgroup.h whatever
 * the version of cgroups (cgroup_stats_v1.c, cgroup_stats_v2.c). A file that this kernel lacks leaves its
 * numbers 0. */
#include "kernel/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

/* ---- lists ---- */

struct box_cgroup_io_stats *cgroup_stats_io(struct box_cgroup_stats *stats, uint64_t major, uint64_t minor)
{
    struct box_cgroup_io_stats *list = (struct box_cgroup_io_stats *)stats->io;

    for (size_t i = 0; i < stats->io_count; i++) {
        if (list[i].major == major && list[i].minor == minor)
            return &list[i];
    }
    list = reallocarray(list, stats->io_count + 1, sizeof(*list));
    if (!list)
        return NULL;
    stats->io = list;
    list += stats->io_count++;
    *list = (struct box_cgroup_io_stats){.major = major, .minor = minor};
    return list;
}

struct box_cgroup_hugetlb_stats *cgroup_stats_hugetlb(struct box_cgroup_stats *stats, const char *page_size)
{
    struct box_cgroup_hugetlb_stats *list = (struct box_cgroup_hugetlb_stats *)stats->hugetlb;
    char *name = strdup(page_size);

    list = name ? reallocarray(list, stats->hugetlb_count + 1, sizeof(*list)) : NULL;
    if (!list) {
        free(name);
        return NULL;
    }
    stats->hugetlb = list;
    list += stats->hugetlb_count++;
    *list = (struct box_cgroup_hugetlb_stats){.page_size = name, .limit = BOX_CGROUP_UNLIMITED};
    return list;
}

/* ---- reading ---- */

static bool is_missing(int r)
{
    return r == -ENOENT || r == -EOPNOTSUPP;
}

int cgroup_stats_number(const struct cgroup_dir *dir, const char *file, uint64_t *value)
{
    int r = cgroup_read_u64(dir->fd, file, value);

    return is_missing(r) ? 0 : r;
}

int cgroup_stats_flat(const struct cgroup_dir *dir, const char *file, const struct cgroup_key *keys,
                      size_t count, struct box_cgroup_stats *stats)
{
    _free_ char *text = NULL;
    int r = cgroup_read(dir->fd, file, &text);

    if (r < 0)
        return is_missing(r) ? 0 : r;
    return cgroup_parse_flat(text, keys, count, stats);
}

/* The SIZE of "hugetlb.SIZE.SUFFIX". */
static bool page_size_of(const char *file, const char *suffix, char size[16])
{
    static const char prefix[] = "hugetlb.";
    const char *start = file + strlen(prefix), *dot;

    if (strncmp(file, prefix, strlen(prefix)) != 0 || !(dot = strchr(start, '.')) || dot - start > 15 ||
        strcmp(dot + 1, suffix) != 0)
        return false;
    memcpy(size, start, (size_t)(dot - start));
    size[dot - start] = '\0';
    return true;
}

int cgroup_stats_each_page_size(struct box_cgroup_stats *stats, const struct cgroup_dir *dir,
                                const char *suffix,
                                int (*read)(struct box_cgroup_hugetlb_stats *out,
                                            const struct cgroup_dir *dir))
{
    int fd = cgroup_open_at(dir->fd, ".", O_RDONLY | O_DIRECTORY), r = 0;
    _closedir_ DIR *stream = fd < 0 ? NULL : fdopendir(fd);

    if (!stream) {
        r = fd < 0 ? fd : -errno;
        if (fd >= 0)
            close(fd);
        return r;
    }
    for (struct dirent *entry; r == 0 && (entry = readdir(stream));) {
        char size[16];

        if (!page_size_of(entry->d_name, suffix, size))
            continue;
        struct box_cgroup_hugetlb_stats *out = cgroup_stats_hugetlb(stats, size);
        r = out ? read(out, dir) : -ENOMEM;
    }
    return r;
}

static void add_totals(struct box_cgroup_stats *stats)
{
    for (size_t i = 0; i < stats->io_count; i++) {
        const struct box_cgroup_io_stats *io = &stats->io[i];

        stats->io_total.read_bytes += io->read_bytes;
        stats->io_total.write_bytes += io->write_bytes;
        stats->io_total.discard_bytes += io->discard_bytes;
        stats->io_total.reads += io->reads;
        stats->io_total.writes += io->writes;
        stats->io_total.discards += io->discards;
    }
}

static int read_all(struct box_cgroup_stats *stats, box_cgroup *cgroup, box_error **err)
{
    static const unsigned parts[] = {BOX_CONTROLLER_CPU,  BOX_CONTROLLER_CPUACCT, BOX_CONTROLLER_MEMORY,
                                     BOX_CONTROLLER_PIDS, BOX_CONTROLLER_IO,      BOX_CONTROLLER_HUGETLB};

    for (size_t i = 0; i < BOX_ARRAY(parts); i++) {
        const struct cgroup_dir *dir = cgroup_dir_for(cgroup, parts[i]);
        int r;

        if (!dir)
            continue;
        r = dir->v2 ? cgroup_stats_v2(stats, dir, parts[i]) : cgroup_stats_v1(stats, dir, parts[i]);
        if (r < 0)
            return cgroup_fail(err, dir, box_controller_name(parts[i]), r, NULL,
                               "read the statistics of the cgroup");
        stats->controllers |= parts[i];
    }
    add_totals(stats);
    return 0;
}

struct box_cgroup_stats *box_cgroup_stats_read(box_cgroup *cgroup, box_error **err)
{
    struct box_cgroup_stats *stats;

    if (!cgroup) {
        box_fail(err, BOX_EINVAL, "no cgroup given");
        return NULL;
    }
    /* The files of a cgroup that was removed are as missing as those of an old kernel. */
    if (!cgroup_has_file(cgroup->dir[0].fd, "cgroup.procs")) {
        cgroup_fail(err, &cgroup->dir[0], "cgroup.procs", -ENOENT, NULL, "read the statistics of the cgroup");
        return NULL;
    }
    stats = calloc(1, sizeof(*stats));
    if (!stats) {
        box_fail_nomem(err);
        return NULL;
    }
    stats->memory.limit = stats->memory.swap_limit = stats->pids.limit = BOX_CGROUP_UNLIMITED;
    if (read_all(stats, cgroup, err) == 0)
        return stats;
    box_cgroup_stats_free(stats);
    return NULL;
}

void box_cgroup_stats_free(struct box_cgroup_stats *stats)
{
    if (!stats)
        return;
    for (size_t i = 0; i < stats->hugetlb_count; i++)
        free((char *)stats->hugetlb[i].page_size);
    free((void *)stats->hugetlb);
    free((void *)stats->io);
    free(stats);
}
