/* The same as unpack_hostile.c, with the layer as an EROFS image that is mounted: whatever holds for a directory holds for it. */
#define UNPACK_EROFS
#include "unpack_hostile.c"
