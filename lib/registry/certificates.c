/* /etc/docker/certs.d: DIR/HOST[:PORT]/ with CAs (*.crt) and client certificates (*.cert with *.key of the same
 * name). https://docs.docker.com/engine/security/certificates/ */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/strings.h"
#include "registry/client.h"

#define SYSTEM_DIR "/etc/docker/certs.d"

static int add_file(box_registry *registry, const char *domain, const char *dir, const char *name, box_error **err)
{
    _free_ char *path = box_strf("%s/%s", dir, name), *key = NULL;

    if (!path)
        return box_fail_nomem(err);
    if (box_ends_with(name, ".crt"))
        return box_registry_set_ca(registry, domain, path, err);
    if (!box_ends_with(name, ".cert"))
        return 0;
    key = box_strf("%s/%.*s.key", dir, (int)(strlen(name) - strlen(".cert")), name);
    if (!key)
        return box_fail_nomem(err);
    if (access(key, R_OK) < 0) {
        struct box_fail_info info = {.code = BOX_ENOTFOUND, .subject = key};
        return box_fail_with(err, &info, "a client certificate lies in %s without its key", dir);
    }
    return box_registry_set_client_certificate(registry, domain, path, key, err);
}

static int add_host(box_registry *registry, const char *above, const char *domain, box_error **err)
{
    _free_ char *dir = box_strf("%s/%s", above, domain);
    _closedir_ DIR *files = dir ? opendir(dir) : NULL;
    const struct dirent *entry;
    int r = 0;

    if (!dir)
        return box_fail_nomem(err);
    if (!files)
        return errno == ENOTDIR || errno == ENOENT ? 0 : box_fail_sys(err, "opendir", dir, "cannot read certificates");
    while (r == 0 && (entry = readdir(files)))
        if (entry->d_name[0] != '.')
            r = add_file(registry, domain, dir, entry->d_name, err);
    return r;
}

static int add_all(box_registry *registry, const char *dir, bool must, box_error **err)
{
    _closedir_ DIR *hosts = opendir(dir);
    const struct dirent *entry;
    int r = 0;

    if (!hosts)
        return !must && (errno == ENOENT || errno == EACCES)
                   ? 0
                   : box_fail_sys(err, "opendir", dir, "cannot read certificates");
    while (r == 0 && (entry = readdir(hosts)))
        if (entry->d_name[0] != '.')
            r = add_host(registry, dir, entry->d_name, err);
    return r;
}

int box_registry_load_certificates(box_registry *registry, const char *dir, box_error **err)
{
    const char *home = getenv("HOME");

    if (!registry)
        return box_fail(err, BOX_EINVAL, "box_registry_load_certificates: registry must not be NULL");
    if (dir)
        return add_all(registry, dir, true, err);
    int r = add_all(registry, SYSTEM_DIR, false, err);
    if (r < 0 || geteuid() == 0 || !home || !*home)
        return r;
    _free_ char *own = box_strf("%s/.config/docker/certs.d", home);
    return own ? add_all(registry, own, false, err) : box_fail_nomem(err);
}
