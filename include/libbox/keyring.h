/* Session keyrings: keys that a process has by belonging to a session. keyrings(7).
 *
 * A container with the host's session keyring could read the host's keys (Kerberos tickets, disk
 * passphrases), as keys belong to no namespace; so each container gets a session keyring of its own.
 *
 * Thread rules: every function may be called from any thread. A session keyring belongs to a thread, and its
 * children inherit it.
 */
#ifndef LIBBOX_KEYRING_H
#define LIBBOX_KEYRING_H

#include <stdint.h>

#include <libbox/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Gives the calling thread a new, empty session keyring. name may be NULL, for one that no other process can
 * join; with a name, a keyring of that name is joined where the user has one. serial may be NULL. Errors:
 * BOX_EUNSUPPORTED for a kernel built without keys or a filter that hides them; BOX_ELIMIT when the user's
 * quota of keys is used up
 * (/proc/sys/kernel/keys/maxkeys). keyctl_join_session_keyring(3). */
BOX_API int box_keyring_join_session(const char *name, int32_t *serial, box_error **err);
/* The serial of the calling thread's session keyring. */
BOX_API int box_keyring_session(int32_t *serial, box_error **err);

#ifdef __cplusplus
}
#endif

#endif
