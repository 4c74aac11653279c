/* A program that is no part of libbox and knows only what is installed. Valid C11 and C++17. */
#include <libbox/box.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    printf("libbox %s %s\n", box_version(), box_error_code_name(BOX_ENOTFOUND));
    return strcmp(box_error_code_name(BOX_ENOTFOUND), "BOX_ENOTFOUND") == 0 ? 0 : 1;
}
