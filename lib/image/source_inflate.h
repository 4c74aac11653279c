/* What the two decompressors share; for source_inflate.c and isal.c alone. */
#ifndef BOX_IMAGE_SOURCE_INFLATE_H
#define BOX_IMAGE_SOURCE_INFLATE_H

#include "image/libarchive.h"
#include "image/source.h"

/* Whether ISA-L is installed, and libbox was built for it. */
bool box_isal_usable(void);
/* gzip by ISA-L. Takes `from` over, also on failure. */
struct box_source *box_source_isal(struct box_source *from, box_error **err);
/* Any compression by libarchive's filters, likewise. */
struct box_source *box_source_filter(struct box_source *from, enum box_compression compression,
                                     box_error **err);

#endif
