/* The flags of `run` and `create`, and the parts of a spec that they make. */
#ifndef BOX_EXAMPLE_RUN_H
#define BOX_EXAMPLE_RUN_H

#include "box.h"

struct run_options {
    bool interactive, tty, detach, remove, read_only, init, privileged, oom_kill_disable, quiet, no_healthcheck, publish_all;
    bool sig_proxy;
    const char *name, *workdir, *user, *memory, *memory_swap, *memory_reservation, *memory_swappiness, *cpus, *cpu_shares,
        *cpu_period, *cpu_quota, *cpuset_cpus, *cpuset_mems, *pids_limit, *network, *entrypoint, *hostname, *domainname,
        *cidfile, *oom_score_adj, *shm_size, *pid, *ipc, *uts, *userns, *cgroupns, *stop_signal, *stop_timeout, *blkio_weight,
        *cgroup_parent, *pull, *platform, *detach_keys, *restart, *log_driver;
    struct list env, env_file, volumes, mounts, tmpfs, volumes_from, cap_add, cap_drop, security, ulimit, device, device_rule,
        device_rate[4], label, label_file, group_add, sysctl, annotation, add_host, dns, dns_search, dns_option, attach, expose,
        publish, log_opt;
};

/* run_options.c */
/* Reads the flags; the index of the image among the arguments, or -1 after having complained. */
int read_run_options(int argc, char **argv, struct run_options *o, const char *usage);
/* The spec of a container; NULL after having complained, or with an error. */
box_spec *make_spec(const struct run_options *o, const box_image *image, char **command, box_error **err);
/* Complains about a flag's value; a code, with no error object: all has been said. */
int wrong(box_error **err, const char *flag, const char *value);
int add_limits(box_limits *limits, const struct run_options *o, box_error **err);
/* Files of variables first, then single ones. */
int add_environment(box_spec *spec, const struct list *files, const struct list *entries, box_error **err);

/* mounts.c */
int add_volume(box_spec *spec, const char *text, box_error **err);
int add_mount(box_spec *spec, const char *text, box_error **err);
int add_tmpfs(box_spec *spec, const char *text, box_error **err);
int add_volumes_from(box_spec *spec, const char *text, box_error **err);
/* What the image calls volumes, and nothing else is mounted on. */
int add_image_volumes(box_spec *spec, const box_image *image, box_error **err);
/* Takes the volumes away that have no name and belonged to this container. */
void remove_anonymous_volumes(char **paths);
char **anonymous_volumes(const box_spec *spec);

/* confine.c */
int add_security(box_spec *spec, const char *option, bool *own_seccomp, box_error **err);
int add_capabilities(box_spec *spec, const struct run_options *o, box_error **err);
int match_seccomp(box_spec *spec, box_error **err);
int add_ulimit(box_spec *spec, const char *text, box_error **err);
int add_device(box_spec *spec, const char *text, box_error **err);
int add_device_rule(box_spec *spec, const char *text, box_error **err);
int set_namespaces(box_spec *spec, const struct run_options *o, box_error **err);

/* attach.c */
struct attach_options {
    bool tty, interactive, sig_proxy;
    bool tells; /* that it was left by the keys, and by an exit code of 1 */
    const char *detach_keys;
};
/* Starts a container under a keeper: a process of its own that holds its terminal or pipes, which others attach to by a
 * socket. *client is the first who is attached, or -1 for none when NULL. 0, or an exit code after having complained. */
int start_kept(box_container *c, bool tty, bool interactive, int *client);
/* Takes part in it until it ends or the keys for it are typed; the exit code. Closes the socket. */
int take_part(box_container *c, int client, const struct attach_options *o);
/* Whether the keys are a comma-separated list such as "ctrl-p,ctrl-q". */
bool check_detach_keys(const char *keys);

/* run.c */
/* Starts one that goes on without this program: under a keeper where it has an open standard input. */
int start_in_background(box_container *c);

#endif
