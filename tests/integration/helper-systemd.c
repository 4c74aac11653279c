/* The made-up systemd of the unit tests as a program: helper-systemd CGROUP DESCRIPTION. Writes a line with its bus's
 * address, serves until its standard input ends, and writes what it was asked. 77: libsystemd is not installed. */
#include <stdio.h>
#include <unistd.h>

#include "../unit/kernel/systemd_fake.h"

int main(int argc, char **argv)
{
    struct fake_systemd fake = {.control_group = argc > 1 ? argv[1] : NULL, .description = argc > 2 ? argv[2] : NULL};
    char byte;

    if (!fake_systemd_begin(&fake)) {
        printf("none\n");
        return 77;
    }
    printf("%s\n", fake.address);
    fflush(stdout);
    while (read(0, &byte, 1) > 0)
        ;
    fake_systemd_end(&fake);
    fputs(fake.said, stdout);
    return 0;
}
