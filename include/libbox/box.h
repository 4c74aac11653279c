/* libbox: containers inside the program that links it. This header includes every area's header. */
#ifndef LIBBOX_BOX_H
#define LIBBOX_BOX_H

#include <libbox/error.h>

#endif
