/* The small files of /proc and /sys, read in whole. Only for paths that the host itself names: nothing here
 * guards against links, so a path inside a container never comes this way. */
#ifndef BOX_KERNEL_SMALLFILE_H
#define BOX_KERNEL_SMALLFILE_H

#include <stddef.h>
#include <sys/types.h>

/* Reads at most size - 1 bytes and ends them with NUL. Returns their number or a negative errno: -EFBIG when
 * there are more. */
ssize_t box_smallfile_read(const char *path, char *buffer, size_t size);
/* As above, without the white space at the end. */
ssize_t box_smallfile_line(const char *path, char *buffer, size_t size);
/* Reads one decimal number. 0 or a negative errno; -EINVAL when it is something else. */
int box_smallfile_number(const char *path, long long *value);
/* Reads a file of any length below 16 MiB. Sets *text, ended with NUL, which the caller frees. 0 or a
 * negative errno. */
int box_smallfile_load(const char *path, char **text);
/* Writes a text with one write(2), as these files want it. 0 or a negative errno. */
int box_smallfile_write(const char *path, const char *text);
/* The value of "Key:" in the text of a file such as /proc/PID/status, without leading white space; it ends at
 * a newline. NULL when there is none. */
const char *box_smallfile_field(const char *text, const char *key);

#endif
