/* In the place of deflate_isal.c where ISA-L's header, which tells how large its state is, is not installed. */
#include "image/deflate.h"

const struct box_block_codec *box_codec_isal(void)
{
    return NULL;
}
