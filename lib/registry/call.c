/* An operation: how long it may take, and what ends it early. */
#include "registry/client.h"

#include <errno.h>
#include <poll.h>

int box_call_init(struct box_call *call, box_registry *registry, const box_transfer_options *options, box_error **err)
{
    *call = (struct box_call){.registry = registry, .deadline = BOX_NEVER, .cancel_fd = -1};
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

static int look_for_cancel(const struct box_call *call, int timeout_ms, box_error **err)
{
    struct pollfd fd = {.fd = call->cancel_fd, .events = POLLIN}; /* a negative one is passed over */
    int n = poll(&fd, 1, timeout_ms);

    if (n > 0)
        return box_fail(err, BOX_ECANCELLED, "cancelled");
    return n < 0 && errno != EINTR ? box_fail_sys(err, "poll", NULL, "cannot wait") : 0;
}

int box_call_check(const struct box_call *call, box_error **err)
{
    int r = 0;

    if (box_deadline_passed(call->deadline))
        return box_fail(err, BOX_ETIMEOUT, "the time allowed for the operation is over");
    if (call->cancel_fd >= 0)
        r = look_for_cancel(call, 0, err);
    return r == 0 && call->idle ? call->idle(call->idle_data, err) : r;
}

int box_call_sleep(const struct box_call *call, int64_t ms, box_error **err)
{
    struct box_deadline until = box_deadline_in_ms(ms);
    int r = 0, left;

    if (until.at >= call->deadline.at)
        return box_fail(err, BOX_ETIMEOUT, "the time allowed for the operation would be over before the next attempt");
    while (r == 0 && (left = box_deadline_left_ms(until)) > 0) {
        r = look_for_cancel(call, call->idle && left > BOX_CALL_IDLE_MS ? BOX_CALL_IDLE_MS : left, err);
        if (r == 0 && call->idle)
            r = call->idle(call->idle_data, err);
    }
    return r;
}
