/* Platforms: "os/architecture[/variant]", and which image of an index fits one. OCI image-spec, image-index.md; the
 * variants are those of Go (GOARM, GOAMD64), spelled as Docker and containerd do. */
#ifndef BOX_IMAGE_PLATFORM_H
#define BOX_IMAGE_PLATFORM_H

#include <stdbool.h>

#include "base/fail.h"

#define BOX_PLATFORM_PART 32

/* In its usual spelling: "amd64" and not "x86_64", variant "" where it says nothing ("v8" of arm64, "v1" of amd64). */
struct box_platform {
    char os[BOX_PLATFORM_PART], architecture[BOX_PLATFORM_PART], variant[BOX_PLATFORM_PART];
};

/* "linux/arm64/v8", "linux/amd64", "arm64", "linux": what is left out is this machine's. BOX_EPARSE. */
int box_platform_parse(const char *text, struct box_platform *platform, box_error **err);
/* From parts, of which architecture and variant may be NULL; false when one of them is too long or absurd. */
bool box_platform_set(struct box_platform *platform, const char *os, const char *architecture, const char *variant);
/* "os/architecture[/variant]", into out, which it returns. */
#define BOX_PLATFORM_TEXT (3 * BOX_PLATFORM_PART)
char *box_platform_format(const struct box_platform *platform, char out[BOX_PLATFORM_TEXT]);
bool box_platform_equal(const struct box_platform *a, const struct box_platform *b);
/* How well an image for `has` serves where `wanted` is wanted: 0, not at all; more is better. A processor runs what
 * is for older ones of its kind: arm/v7 takes v6 and v5, amd64/v3 takes v2 and v1, arm64 takes 32-bit arm, amd64 takes
 * 386, each after all that fits better. */
unsigned box_platform_fit(const struct box_platform *has, const struct box_platform *wanted);

/* This machine's, as "linux/amd64". Static. */
const char *box_platform_host(void);
/* With the variant that its processor has at most: "v3" of amd64. */
void box_platform_host_best(struct box_platform *platform);

#endif
