/* A root of its own for a test that is run in a chroot(2), as a machine has one: tests make the whole of "/" private and
 * make user namespaces, and neither can be had in a chroot. Nothing happens where there is none, or no right to leave. */
#ifndef BOX_TEST_OWN_ROOT_H
#define BOX_TEST_OWN_ROOT_H

#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Into a mount namespace of its own, at its top. *root is what "/" was, as it is there. */
static int own_root_leave(int *root)
{
    int self = (int)syscall(SYS_pidfd_open, getpid(), 0);

    if (unshare(CLONE_NEWNS) < 0 || (*root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
        return -1;
    return self >= 0 && setns(self, CLONE_NEWNS) == 0 && close(self) == 0 ? 0 : -1;
}

static int own_root_in_chroot(void)
{
    int status = 0, root;
    pid_t pid = fork();

    if (pid == 0) {
        struct stat before, after;
        _exit(stat("/", &before) == 0 && own_root_leave(&root) == 0 && stat("/", &after) == 0 &&
              (before.st_dev != after.st_dev || before.st_ino != after.st_ino));
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

static void own_root(void)
{
    /* Of <sys/mount.h>, which clashes with <linux/mount.h> in Debian 12. */
    const unsigned long private_all = (1 << 14) | (1 << 18);
    char *here = getcwd(NULL, 0);
    int root;

    if (geteuid() != 0 || !here || !own_root_in_chroot()) {
        free(here);
        return;
    }
    if (own_root_leave(&root) < 0 || syscall(SYS_mount, NULL, "/", NULL, private_all, NULL) < 0)
        _exit(126);
    int tree = (int)syscall(SYS_open_tree, root, "", OPEN_TREE_CLONE | 0x8000 /* AT_RECURSIVE */ | AT_EMPTY_PATH);
    if (tree < 0 || syscall(SYS_move_mount, tree, "", root, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0 ||
        fchdir(tree) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || syscall(SYS_umount2, ".", 2 /* MNT_DETACH */) < 0 ||
        chdir(here) < 0)
        _exit(126);
    close(tree);
    close(root);
    free(here);
}

#endif
