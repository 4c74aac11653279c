/* Between a keeper and those who are attached to it. */
#ifndef BOX_EXAMPLE_KEEPER_H
#define BOX_EXAMPLE_KEEPER_H

#include "run.h"

#define MESSAGE_MOST 16384

/* A socket to the keeper of a container, or -1 where it has none. */
int connect_keeper(const box_container *c);
bool send_message(int fd, char kind, const void *data, size_t n);

#endif
