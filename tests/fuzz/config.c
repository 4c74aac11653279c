/* Any bytes as an image's config. */
#include <stdlib.h>
#include <string.h>

#include "image/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t length_of(char *const *vector)
{
    size_t n = 0, bytes = 0;

    for (; vector && vector[n]; n++)
        bytes += strlen(vector[n]);
    return n + bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(box_error) box_error *err = NULL;
    _config_ struct box_config config = {0};
    char *text = malloc(size + 1);

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    if (box_config_parse(text, size, "fuzz", &config, &err) < 0) {
        if (!err || !*box_error_message(err))
            abort();
    } else {
        /* Strings are there where readers take them for granted, and digests are digests. */
        if (!config.os || !config.architecture || !config.user || !config.workdir)
            abort();
        for (size_t i = 0; i < config.n_diff_ids; i++)
            if (!config.diff_ids[i].algorithm)
                abort();
        length_of(config.env);
        length_of(config.cmd);
        length_of(config.entrypoint);
        length_of(config.volumes);
        box_time_parse(config.created);
    }
    free(text);
    return 0;
}
