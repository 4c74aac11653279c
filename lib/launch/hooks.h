/* Hooks of the OCI runtime specification, and the state document that they and a seccomp agent are given. Those of the
 * host's side (prestart, createRuntime, poststart, poststop) run here; the stage runs the others (stage/hook.c). */
#ifndef BOX_LAUNCH_HOOKS_H
#define BOX_LAUNCH_HOOKS_H

#include "base/fail.h"
#include "spec/spec.h"

/* What is known of the process at the time. */
struct hook_state {
    const char *id;     /* NULL: made of the pid that it has or had */
    const char *bundle; /* NULL: the root's directory */
    const char *status; /* "creating", "created", "running", "stopped" */
    pid_t pid;
};

/* Whether a spec has any hook, and any that the stage runs. */
bool hooks_any(const box_spec *spec);
const char *hooks_kind_name(enum spec_hook_kind kind);
bool hooks_of_stage(const box_spec *spec);
/* A spec of nothing but what hooks need: themselves, annotations, the root's path. For plans and processes, which
 * outlive the spec they were made of. */
int hooks_keep(const box_spec *spec, box_spec **kept, box_error **err);
/* The state as JSON; malloc'ed. */
int hooks_state_text(const box_spec *spec, const struct hook_state *state, char **text, box_error **err);
/* Runs those of one kind in order, each with the state on its standard input, up to the first that fails: its error
 * names it, how it ended and what it said. */
int hooks_run(const box_spec *spec, enum spec_hook_kind kind, const struct hook_state *state, box_error **err);
/* The same, past all failures: for poststop, which nothing can be undone for any more. */
void hooks_run_all(const box_spec *spec, enum spec_hook_kind kind, const struct hook_state *state);

/* Connects to the agent of linux.seccomp.listenerPath and hands the listener over with the containerProcessState. */
int listener_hand_over(const box_spec *spec, const char *path, const char *metadata, const struct hook_state *state,
                       int listener, box_error **err);

#endif
