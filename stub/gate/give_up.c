#define _GNU_SOURCE
#include "gate/give_up.h"

#include "base/file.h"
#include "base/system.h"
#include "base/text.h"
#include "gate/guard.h"
#include "store/entry.h"
#include "store/users.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the app's user is told, and where that was said last: processes of one app share their stderr. */
struct last_words {
	const char *text;
	dev_t device;
	ino_t inode;
};

static void say(pid_t pid, struct last_words *words)
{
	char path[48], number[24], line[1200];
	struct stat stat;
	join(path, sizeof path, "/proc/", decimal(number, (uint64_t)pid), "/fd/2", (char *)NULL);
	CLEANUP(close_fd) int fd = open(path, O_WRONLY | O_APPEND | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &stat) < 0 || (stat.st_dev == words->device && stat.st_ino == words->inode))
		return;
	words->device = stat.st_dev;
	words->inode = stat.st_ino;
	join(line, sizeof line, "tmprun: the app was ended, since a file of it cannot be unpacked: ", words->text, "\n", (char *)NULL);
	if (write(fd, line, strlen(line)) < 0)
		return;
}

static void end_process(pid_t pid, void *words)
{
	say(pid, words);
	kill(pid, SIGKILL);
}

int filler_users(const struct filler *filler, void (*act)(pid_t, void *), void *context)
{
	char link[40], number[24], path[PATH_MAX];
	pid_t ours[] = {getpid(), filler->guard, 0};
	/* Its path as it is now, which is what /proc shows of those who use it: other stores have a tree of the same name. */
	join(link, sizeof link, "/proc/self/fd/", decimal(number, (uint64_t)filler->gate->entry_fd), (char *)NULL);
	ssize_t length = readlink(link, path, sizeof path - 2);
	if (length <= 0)
		return -1;
	static const char deleted[] = " (deleted)";
	size_t mark = sizeof deleted - 1, end = (size_t)length;
	if (end > mark && memcmp(path + end - mark, deleted, mark) == 0)
		end -= mark;
	path[end] = '\0';
	return users_each(path, ours, act, context);
}

void give_up(struct filler *filler, const char *why)
{
	static atomic_flag giving_up = ATOMIC_FLAG_INIT;
	struct last_words words = {.text = why};
	while (atomic_flag_test_and_set(&giving_up))
		pause(); /* another thread is at it */
	/* Again, since one that was just being forked may have been missed. */
	for (int round = 0; round < 100 && filler_users(filler, end_process, &words) > 0; round++)
		usleep(10000);
	entry_remove(filler->gate->entry_fd, filler->gate->key);
	guard_dismiss(filler);
	_exit(1);
}
