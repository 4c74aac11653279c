/* lib/base from many threads at once: the parts that several threads may use together, and those that libbox
 * uses from threads of its own. Under TSan a race is a failure. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/file.h"
#include "base/resolve.h"
#include "base/workqueue.h"
#include "tap.h"

enum { THREADS = 8, ROUNDS = 100 };

static char directory[64] = "/tmp/libbox-test-XXXXXX";
static int directory_fd;
static atomic_int wrong, done, released;

static void in_threads(void *(*body)(void *), void *data, const char *fact)
{
    pthread_t threads[THREADS];
    int started = 0;

    atomic_store(&wrong, 0);
    while (started < THREADS && pthread_create(&threads[started], NULL, body, data) == 0)
        started++;
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    ok(started == THREADS && atomic_load(&wrong) == 0, "%s (%d wrong)", fact, atomic_load(&wrong));
}

static void *digest(void *unused)
{
    static const char abc[] = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        struct box_digest d;
        char text[BOX_DIGEST_TEXT];
        if (box_digest_data(BOX_SHA256, "abc", 3, &d, NULL) < 0 ||
            strcmp(box_digest_format(&d, text), abc) != 0)
            atomic_fetch_add(&wrong, 1);
    }
    return NULL;
}

static void *make_paths(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        int fd =
            box_resolve_mkdirs(directory_fd, "root/one/two/three", NULL, i % 2 ? BOX_RESOLVE_WALK : 0, NULL);
        if (fd < 0 && fd != -EAGAIN)
            atomic_fetch_add(&wrong, 1);
        if (fd >= 0)
            close(fd);
        unlinkat(directory_fd, "root/one/two/three", AT_REMOVEDIR);
        unlinkat(directory_fd, "root/one/two", AT_REMOVEDIR);
        unlinkat(directory_fd, "root/one", AT_REMOVEDIR);
    }
    return NULL;
}

static void *replace_file(void *unused)
{
    static const char *const contents[] = {"one one one", "two two two"};

    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        _free_ char *seen = NULL;
        if (box_file_replace(directory_fd, "file", contents[i % 2], 11, 0600, BOX_FILE_NO_SYNC, NULL) < 0 ||
            box_file_read(directory_fd, "file", 100, &seen, NULL, NULL) < 0 ||
            (strcmp(seen, contents[0]) != 0 && strcmp(seen, contents[1]) != 0))
            atomic_fetch_add(&wrong, 1);
    }
    return NULL;
}

/* Guarded by the lock file alone; TSan is told of the order that the kernel makes by the two atomics. */
static atomic_int holders;

static void *lock(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        int fd = box_lock_take(directory_fd, "lock", BOX_LOCK_EXCLUSIVE, box_deadline_in_ms(60000), NULL);
        if (fd < 0 || atomic_fetch_add(&holders, 1) != 0)
            atomic_fetch_add(&wrong, 1);
        atomic_fetch_sub(&holders, 1);
        if (i % 4)
            box_lock_remove(directory_fd, "lock", fd);
        else if (fd >= 0)
            close(fd);
    }
    return NULL;
}

static void on_release(void *data)
{
    (void)data;
    atomic_fetch_add(&released, 1);
}

static int work(void *data, struct box_workqueue *queue, box_error **err)
{
    (void)queue;
    atomic_fetch_add(&done, 1);
    return data == &wrong ? box_fail(err, BOX_EDIGEST, "as asked") : 0;
}

static void *submit(void *queue)
{
    for (int i = 0; i < ROUNDS; i++)
        if (box_workqueue_submit(queue, work, NULL, on_release, NULL) < 0)
            atomic_fetch_add(&wrong, 1);
    return NULL;
}

/* What fails, stops or is freed does so between the submits of others. */
static void *disturb(void *queue)
{
    for (int i = 0; i < ROUNDS; i++) {
        box_workqueue_submit(queue, work, i % 10 ? NULL : &wrong, on_release, NULL);
        box_workqueue_stopping(queue);
        if (i % 7 == 0)
            box_workqueue_wait(queue, NULL);
    }
    return NULL;
}

static void queues(void)
{
    box_error *err = NULL;
    struct box_workqueue *q = box_workqueue_new(4, 5, &err);

    in_threads(submit, q, "a queue takes work from many threads");
    is_int(box_workqueue_wait(q, &err), 0, "nothing failed");
    is_int(atomic_load(&done), THREADS * ROUNDS, "all work is done");
    is_int(atomic_load(&released), THREADS * ROUNDS, "all data is released");
    atomic_store(&released, 0);
    in_threads(disturb, q, "a queue survives failures and waits from many threads");
    box_workqueue_cancel(q);
    ok(box_workqueue_submit(q, work, NULL, on_release, NULL) == BOX_ECANCELLED,
       "a cancelled queue takes nothing");
    box_workqueue_free(q);
    is_int(atomic_load(&released), THREADS * ROUNDS + 1, "what was not done is released too");
}

int main(void)
{
    if (!mkdtemp(directory) || (directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        skip_all("no directory in /tmp");
    mkdirat(directory_fd, "root", 0755);
    in_threads(digest, NULL, "threads that open libcrypto at once get the same digests");
    in_threads(make_paths, NULL, "threads that make and remove the same path never fail");
    in_threads(replace_file, NULL, "a file that is replaced by many is always one of the contents");
    in_threads(lock, NULL, "a lock has one holder, also while its file is removed and made again");
    queues();
    int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    is_int(box_remove_tree(tmp, directory + 5, NULL), 0, "nothing is left that cannot be removed");
    close(tmp);
    close(directory_fd);
    return done_testing();
}
