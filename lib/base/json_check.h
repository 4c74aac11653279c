/* Whether a text is one JSON document. For base/json.c, and for tests. */
#ifndef BOX_BASE_JSON_CHECK_H
#define BOX_BASE_JSON_CHECK_H

#include <stddef.h>

struct box_json_fault {
    size_t at;       /* offset of the first byte that is wrong; the length, where more was expected */
    const char *why; /* static */
    int too_deep;    /* the only fault is the nesting */
};

/* 0, or -1 with *fault filled in. */
int box_json_check(const char *text, size_t length, int depth, struct box_json_fault *fault);

#endif
