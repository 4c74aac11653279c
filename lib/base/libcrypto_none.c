/* A build without libcrypto (-Dlibcrypto=false): the digests are all our own. */
#include "base/libcrypto.h"

const struct box_libcrypto *box_libcrypto(void)
{
    return NULL;
}
