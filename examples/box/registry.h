/* Registries at a terminal: what run needs of pull. */
#ifndef BOX_EXAMPLE_REGISTRY_H
#define BOX_EXAMPLE_REGISTRY_H

#include "box.h"

/* Global flags. */
struct registry_globals {
    struct list insecure; /* HOST[:PORT]: plain HTTP, or a certificate that nobody signed */
    struct list mirrors;  /* URLs, of docker.io */
    const char *config;   /* the directory of config.json */
    const char *certs;
};
extern struct registry_globals registry_globals;
#define REGISTRY_FLAGS                                                                                                  \
    {0, "insecure-registry", FLAG_LIST, &registry_globals.insecure, "HOST  May be spoken to without TLS"},              \
        {0, "registry-mirror", FLAG_LIST, &registry_globals.mirrors, "URL  Where images of Docker Hub are asked for first"}, \
        {0, "config", FLAG_TEXT, &registry_globals.config, "DIR  Where config.json with the logins is"},                \
        {0, "cert-dir", FLAG_TEXT, &registry_globals.certs, "DIR  Certificates, in place of /etc/docker/certs.d"}

/* A client set up by these flags, for a domain that may be insecure; NULL after having said why not. */
box_registry *open_registry(const char *domain, bool insecure);
/* The config.json of --config; NULL: the usual one. To be freed. */
char *config_path(void);
/* An image for `run`: of the store, or pulled, as --pull says: "missing" (NULL too), "always", "never". NULL after having
 * said why not. */
box_image *image_for_run(const char *name, const char *pull, const char *platform, bool quiet);

int verb_pull(int argc, char **argv);
int verb_push(int argc, char **argv);
int verb_login(int argc, char **argv);
int verb_logout(int argc, char **argv);
int verb_manifest(int argc, char **argv);

#endif
