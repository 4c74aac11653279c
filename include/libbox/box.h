/* libbox: containers inside the program that links it. This header includes every area's header. */
#ifndef LIBBOX_BOX_H
#define LIBBOX_BOX_H

#include <libbox/error.h>
#include <libbox/capability.h>
#include <libbox/host.h>
#include <libbox/keyring.h>
#include <libbox/landlock.h>
#include <libbox/lsm.h>
#include <libbox/rlimit.h>
#include <libbox/sched.h>
#include <libbox/seccomp.h>
#include <libbox/cgroup.h>
#include <libbox/systemd.h>
#include <libbox/spec.h>
#include <libbox/idmap.h>
#include <libbox/mount.h>
#include <libbox/namespace.h>
#include <libbox/pidfd.h>
#include <libbox/store.h>
#include <libbox/reference.h>
#include <libbox/image.h>
#include <libbox/registry.h>
#include <libbox/launch.h>
#include <libbox/container.h>
#include <libbox/archive.h>
#include <libbox/oci.h>

#endif
