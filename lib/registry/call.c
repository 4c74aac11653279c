/* An operation: how long it may take, and what ends it early. */
#include "registry/client.h"

#include <errno.h>
#include <poll.h>

int box_call_init(struct box_call *call, box_registry *registry, const box_transfer_options *options, box_error **err)
{
    *call = (struct box_call){registry, BOX_NEVER, -1};
    if (!registry)
        return box_fail(err, BOX_EINVAL, "a registry client is needed");
    if (!options)
        return 0;
    if (options->version != 1)
        return box_fail(err, BOX_EINVAL, "transfer options of version 1 are needed");
    call->deadline = box_deadline_in_ms(options->timeout_ms);
    call->cancel_fd = options->cancel_fd;
    return 0;
}

static int wait_for_cancel(const struct box_call *call, struct box_deadline until, box_error **err)
{
    struct pollfd fd = {.fd = call->cancel_fd, .events = POLLIN};

    for (;;) {
        int left = box_deadline_left_ms(until), n = poll(&fd, 1, left); /* a negative fd is passed over */
        if (n > 0)
            return box_fail(err, BOX_ECANCELLED, "cancelled");
        if (n < 0 && errno != EINTR)
            return box_fail_sys(err, "poll", NULL, "cannot wait");
        if (n == 0 && left == 0)
            return 0;
    }
}

int box_call_check(const struct box_call *call, box_error **err)
{
    if (box_deadline_passed(call->deadline))
        return box_fail(err, BOX_ETIMEOUT, "the time allowed for the operation is over");
    return call->cancel_fd < 0 ? 0 : wait_for_cancel(call, box_deadline_in_ns(0), err);
}

int box_call_sleep(const struct box_call *call, int64_t ms, box_error **err)
{
    struct box_deadline until = box_deadline_in_ms(ms);

    if (until.at >= call->deadline.at)
        return box_fail(err, BOX_ETIMEOUT, "the time allowed for the operation would be over before the next attempt");
    return wait_for_cancel(call, until, err);
}
