/* The ELF note that tells packagers and loaders which libraries are opened at run time:
 * https://uapi-group.org/specifications/specs/elf_dlopen_metadata/. Read it with `readelf -n` or
 * dlopen-notes.
 *
 *     BOX_DLOPEN_NOTE(libcrypto, "digests by the processor's own instructions", "recommended",
 * "libcrypto.so.3");
 */
#ifndef BOX_BASE_DLNOTE_H
#define BOX_BASE_DLNOTE_H

#include <stdint.h>

#define BOX_DLOPEN_NOTE(feature, description, priority, soname)                               \
    BOX_DLOPEN_NOTE_(feature, "[{\"feature\":\"" #feature "\",\"description\":\"" description \
                              "\",\"priority\":\"" priority "\",\"soname\":[\"" soname "\"]}]")

#define BOX_DLOPEN_NOTE_(feature, json)                                                        \
    static const struct {                                                                      \
        uint32_t name_size, content_size, type;                                                \
        char name[4];                                                                          \
        char content[sizeof(json)];                                                            \
    } box_dlopen_note_##feature __attribute__((used, section(".note.dlopen"), aligned(4))) = { \
        4, sizeof(json), 0x407c0c0a, "FDO", json}

#endif
