#include <criterion/criterion.h>
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/workqueue.h"

static atomic_int done, released, running, most_running;

static void on_release(void *data)
{
    (void)data;
    atomic_fetch_add(&released, 1);
}

static int count(void *data, struct box_workqueue *queue, box_error **err)
{
    (void)data, (void)queue, (void)err;
    int now = atomic_fetch_add(&running, 1) + 1, most = atomic_load(&most_running);
    while (now > most && !atomic_compare_exchange_weak(&most_running, &most, now))
        ;
    usleep(500);
    atomic_fetch_sub(&running, 1);
    atomic_fetch_add(&done, 1);
    return 0;
}

static int fail_on_seven(void *data, struct box_workqueue *queue, box_error **err)
{
    (void)queue;
    if (data == (void *)7)
        return box_fail(err, BOX_EDIGEST, "seven");
    atomic_fetch_add(&done, 1);
    return 0;
}

static int wait_for_stop(void *data, struct box_workqueue *queue, box_error **err)
{
    (void)data, (void)err;
    atomic_fetch_add(&running, 1);
    while (!box_workqueue_stopping(queue))
        usleep(200);
    return 0;
}

static unsigned threads_of_process(void)
{
    DIR *d = opendir("/proc/self/task");
    unsigned n = 0;

    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

Test(workqueue, all_work_is_done_and_all_data_released)
{
    _cleanup_(box_workqueue) struct box_workqueue *q = box_workqueue_new(4, 3, NULL);

    cr_assert_not_null(q);
    for (int i = 0; i < 200; i++)
        cr_assert_eq(box_workqueue_submit(q, count, NULL, on_release, NULL), 0);
    cr_assert_eq(box_workqueue_wait(q, NULL), 0);
    cr_assert(done == 200 && released == 200, "%d done, %d released", done, released);
    cr_assert(most_running > 1 && most_running <= 4, "%d at once", most_running);
}

Test(workqueue, threads_are_gone_after_free)
{
    unsigned before = threads_of_process();
    struct box_workqueue *q = box_workqueue_new(3, 1, NULL);

    cr_assert_eq(threads_of_process(), before + 3);
    box_workqueue_free(q);
    cr_assert_eq(threads_of_process(), before);
    box_workqueue_free(NULL);
}

Test(workqueue, first_failure_is_kept_and_stops_the_rest)
{
    _cleanup_(box_workqueue) struct box_workqueue *q = box_workqueue_new(1, 100, NULL);
    _cleanup_(box_error) box_error *err = NULL;
    int submitted = 0;

    for (long i = 0; i < 100; i++)
        submitted += box_workqueue_submit(q, fail_on_seven, (void *)i, on_release, NULL) == 0;
    cr_assert_eq(box_workqueue_wait(q, &err), BOX_EDIGEST);
    cr_assert_str_eq(box_error_message(err), "seven");
    cr_assert_eq(done, 7);
    cr_assert_eq(released, 100, "also what was not done, or not taken");
    cr_assert_geq(submitted, 8);

    cr_assert_eq(box_workqueue_submit(q, fail_on_seven, NULL, NULL, NULL), 0);
    cr_assert_eq(box_workqueue_wait(q, NULL), 0, "the queue works again");
    cr_assert_eq(done, 8);
}

Test(workqueue, failure_without_anybody_to_tell_is_not_lost_memory)
{
    struct box_workqueue *q = box_workqueue_new(1, 1, NULL);

    cr_assert_eq(box_workqueue_submit(q, fail_on_seven, (void *)7, NULL, NULL), 0);
    cr_assert_eq(box_workqueue_wait(q, NULL), BOX_EDIGEST);
    cr_assert_eq(box_workqueue_submit(q, fail_on_seven, (void *)7, NULL, NULL), 0);
    box_workqueue_free(q);
}

static void *cancel_soon(void *q)
{
    while (atomic_load(&running) == 0)
        usleep(100);
    usleep(2000);
    box_workqueue_cancel(q);
    return NULL;
}

Test(workqueue, cancel_from_another_thread_ends_submit_wait_and_work)
{
    _cleanup_(box_workqueue) struct box_workqueue *q = box_workqueue_new(1, 1, NULL);
    _cleanup_(box_error) box_error *err = NULL;
    pthread_t thread;
    int r = 0, n = 0;

    cr_assert_eq(pthread_create(&thread, NULL, cancel_soon, q), 0);
    for (; r == 0; n++)
        r = box_workqueue_submit(q, wait_for_stop, NULL, on_release, NULL);
    cr_assert_eq(r, BOX_ECANCELLED);
    cr_assert_eq(box_workqueue_wait(q, &err), BOX_ECANCELLED);
    cr_assert_eq(box_error_code(err), BOX_ECANCELLED);
    cr_assert_eq(released, n);
    cr_assert_eq(running, 1, "what waited was not started");
    pthread_join(thread, NULL);
}

Test(workqueue, free_with_work_in_hand_waits_for_what_runs_and_drops_the_rest)
{
    struct box_workqueue *q = box_workqueue_new(1, 5, NULL);

    for (int i = 0; i < 5; i++)
        cr_assert_eq(box_workqueue_submit(q, wait_for_stop, NULL, on_release, NULL), 0);
    while (atomic_load(&running) == 0)
        usleep(100);
    box_workqueue_free(q);
    cr_assert_eq(running, 1);
    cr_assert_eq(released, 5);
}

static sigset_t mask_in_worker;

static int look_at_mask(void *data, struct box_workqueue *queue, box_error **err)
{
    (void)data, (void)queue, (void)err;
    pthread_sigmask(SIG_SETMASK, NULL, &mask_in_worker);
    return 0;
}

Test(workqueue, signals_are_blocked_in_workers_and_as_before_in_the_caller)
{
    sigset_t mine, after;

    sigemptyset(&mine);
    sigaddset(&mine, SIGUSR2);
    pthread_sigmask(SIG_SETMASK, &mine, NULL);
    _cleanup_(box_workqueue) struct box_workqueue *q = box_workqueue_new(1, 1, NULL);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    cr_expect(sigismember(&after, SIGUSR2) && !sigismember(&after, SIGUSR1) && !sigismember(&after, SIGTERM));
    cr_assert_eq(box_workqueue_submit(q, look_at_mask, NULL, NULL, NULL), 0);
    cr_assert_eq(box_workqueue_wait(q, NULL), 0);
    cr_expect(sigismember(&mask_in_worker, SIGUSR1) && sigismember(&mask_in_worker, SIGTERM) &&
              sigismember(&mask_in_worker, SIGCHLD));
}

static int whose_thread(void *data, struct box_workqueue *queue, box_error **err)
{
    (void)queue, (void)err;
    *(long *)data = syscall(SYS_gettid);
    atomic_fetch_add(&done, 1);
    return 0;
}

/* In a process that ends by _exit: who has given root up cannot be looked into by a leak checker at its end.
 */
static int work_without_threads(void)
{
    struct rlimit none = {0, 0};
    long tid = 0;

    /* Root is not held to the limit; an ordinary user is. */
    if (geteuid() == 0 && (setresgid(1234, 1234, 1234) != 0 || setresuid(1234, 1234, 1234) != 0))
        return 1;
    setrlimit(RLIMIT_NPROC, &none);
    struct box_workqueue *q = box_workqueue_new(4, 1, NULL);
    if (!q)
        return 2;
    for (int i = 0; i < 3; i++)
        if (box_workqueue_submit(q, whose_thread, &tid, on_release, NULL) != 0 || tid != syscall(SYS_gettid))
            return 3;
    if (box_workqueue_wait(q, NULL) != 0 || done != 3 || released != 3)
        return 4;
    box_workqueue_free(q);
    return 0;
}

Test(workqueue, work_is_done_by_the_caller_when_no_thread_can_be_had)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0)
        _exit(work_without_threads());
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "step %d", WEXITSTATUS(status));
}

static void *submit_many(void *q)
{
    for (int i = 0; i < 300; i++)
        box_workqueue_submit(q, fail_on_seven, NULL, on_release, NULL);
    return NULL;
}

Test(workqueue, many_threads_may_submit_at_once)
{
    _cleanup_(box_workqueue) struct box_workqueue *q = box_workqueue_new(2, 4, NULL);
    pthread_t threads[6];

    for (int i = 0; i < 6; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, submit_many, q), 0);
    for (int i = 0; i < 6; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(box_workqueue_wait(q, NULL), 0);
    cr_assert(done == 1800 && released == 1800);
}

Test(workqueue, absurd_sizes_are_the_callers_mistake)
{
    _cleanup_(box_error) box_error *err = NULL;

    cr_assert_null(box_workqueue_new(65, 1, &err));
    cr_assert_eq(box_error_code(err), BOX_EINVAL);
    cr_assert_null(box_workqueue_new(1, 0, NULL));
}
