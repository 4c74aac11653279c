#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/cleanup.h"

Test(buffer, appends_of_all_kinds_follow_each_other)
{
    _buffer_ struct box_buffer b = {0};

    box_buffer_puts(&b, "a");
    box_buffer_putc(&b, 'b');
    box_buffer_printf(&b, "%d-%s", 7, "x");
    box_buffer_append(&b, "\0z", 2);
    cr_assert(box_buffer_ok(&b));
    cr_assert_eq(b.length, 7);
    cr_assert_eq(memcmp(b.data, "ab7-x\0z", 8), 0);
    _free_ char *text = box_buffer_take(&b);
    cr_assert_str_eq(text, "ab7-x");
    cr_assert_null(b.data);
}

Test(buffer, grows_past_any_first_size)
{
    _buffer_ struct box_buffer b = {0};

    for (int i = 0; i < 100000; i++)
        box_buffer_printf(&b, "%05d", i);
    cr_assert_eq(b.length, 500000);
    cr_assert_str_eq(b.data + b.length - 10, "9999899999");
}

Test(buffer, empty_one_gives_an_empty_string)
{
    struct box_buffer b = {0};
    _free_ char *text = box_buffer_take(&b);

    cr_assert_str_eq(text, "");
}

Test(buffer, failure_sticks_until_the_end)
{
    _buffer_ struct box_buffer b = {0};

    box_buffer_puts(&b, "x");
    cr_assert_null(box_buffer_reserve(&b, SIZE_MAX - 5));
    box_buffer_puts(&b, "y");
    cr_assert_not(box_buffer_ok(&b));
    cr_assert_eq(b.length, 1);
    cr_assert_null(box_buffer_take(&b));
}

Test(array, grows_and_zeroes_each_new_item)
{
    struct item {
        int a;
        char *b;
    } *items = NULL;
    size_t count = 0, capacity = 0;

    for (int i = 0; i < 100; i++) {
        struct item *new = box_array_add(&items, &count, &capacity);
        cr_assert(new &&new->a == 0 && !new->b);
        new->a = i;
        new->b = (char *)items;
    }
    cr_assert_eq(count, 100);
    for (int i = 0; i < 100; i++)
        cr_assert_eq(items[i].a, i);
    free(items);
}

Test(clock, deadline_counts_down_and_passes)
{
    struct box_deadline soon = box_deadline_in_ms(20), now = box_deadline_in_ms(0);

    cr_assert(box_deadline_passed(now) && box_deadline_left_ms(now) == 0);
    cr_assert(!box_deadline_passed(soon) && box_deadline_left_ms(soon) <= 20);
    box_deadline_sleep(soon, 10 * BOX_S);
    cr_assert(box_deadline_passed(soon), "the sleep ended at the deadline and not before");
}

Test(clock, never_is_never_and_overflow_is_never)
{
    struct timespec room;

    cr_assert(box_deadline_is_never(box_deadline_in_ms(-1)));
    cr_assert(box_deadline_is_never(box_deadline_in_ms(INT64_MAX)));
    cr_assert(box_deadline_is_never(box_deadline_in_ns(INT64_MAX)));
    cr_assert_eq(box_deadline_left_ms(BOX_NEVER), -1);
    cr_assert_null(box_deadline_left_timespec(BOX_NEVER, &room));
    cr_assert_eq(box_deadline_left_ms(box_deadline_in_ms(1ll << 40)), INT_MAX);
    cr_assert_eq(box_deadline_sooner(BOX_NEVER, (struct box_deadline){5}).at, 5);
}
