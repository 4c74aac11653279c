/* Any bytes as Docker's config.json: what is taken can be asked for logins and helpers, and a helper is never a path. */
#include <stdlib.h>
#include <string.h>

#include "registry/config.h"
#include "registry/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const keys[] = {"https://index.docker.io/v1/", "host:5000", "h", ""};
    _cleanup_(box_error) box_error *err = NULL;
    json_object *config = NULL;
    size_t length = 0;
    char *decoded = NULL;

    _free_ char *text = strndup((const char *)data, size);
    if (text && box_base64_decode(text, &decoded, &length, NULL) == 0) {
        _free_ char *again = box_base64_encode(decoded, length);
        if (!again)
            abort();
        free(decoded);
    }
    if (box_config_parse_text((const char *)data, size, "fuzz", &config, &err) < 0) {
        if (!err || !*box_error_message(err))
            abort();
        return 0;
    }
    for (size_t i = 0; i < BOX_ARRAY(keys); i++) {
        struct box_login login = {0};
        const char *helper = box_config_helper(config, keys[i]);
        if (helper && (strchr(helper, '/') || *helper == '.'))
            abort();
        box_config_login(config, keys[i], &login, NULL);
        box_login_clear(&login);
    }
    json_object_put(config);
    return 0;
}
