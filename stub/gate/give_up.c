#define _GNU_SOURCE
#include "gate/give_up.h"

#include "base/file.h"
#include "base/system.h"
#include "base/text.h"
#include "gate/guard.h"
#include "gate/trace.h"
#include "store/entry.h"
#include "store/layout.h"
#include "store/users.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ENDED "the app was ended, since a file of it cannot be unpacked: "

enum { ROUNDS = 100, ROUND_US = 10000 };

/* Notes the place, unless it is there. When there is no room for more, somebody may be told twice. */
static bool is_new(struct last_words *words, const struct stat *place)
{
	for (size_t i = 0; i < words->told; i++)
		if (words->places[i].device == place->st_dev && words->places[i].inode == place->st_ino)
			return false;
	if (words->told < sizeof words->places / sizeof *words->places) {
		words->places[words->told].device = place->st_dev;
		words->places[words->told++].inode = place->st_ino;
	}
	return true;
}

/* The app's stderr may be a socket, or another user's pipe, which cannot be opened: the journal hears it, by the protocol of
 * syslog(3), and the next start of the image says it. */
static void keep_last_words(const struct filler *filler, const char *why)
{
	static const struct sockaddr_un journal = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
	char line[PATH_MAX + 1200], source[PATH_MAX] = "";
	read_text(filler->gate->entry_fd, ENTRY_SOURCE, source, sizeof source);
	join(line, sizeof line, "<11>tmprun: ", source, ": " ENDED, why, (char *)NULL);
	CLEANUP(close_fd) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	sendto(fd, line, strlen(line), MSG_NOSIGNAL, (const struct sockaddr *)&journal, sizeof journal);
	trace_keep_end(filler->gate->trace, why);
}

void say_last_words(pid_t pid, struct last_words *words)
{
	char path[48], number[24], line[1200];
	struct stat stat;
	if (!words->kept)
		keep_last_words(words->filler, words->text);
	words->kept = true;
	join(path, sizeof path, "/proc/", decimal(number, (uint64_t)pid), "/fd/2", (char *)NULL);
	CLEANUP(close_fd) int fd = open(path, O_WRONLY | O_APPEND | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &stat) < 0 || !is_new(words, &stat))
		return;
	join(line, sizeof line, "tmprun: " ENDED, words->text, "\n", (char *)NULL);
	if (write(fd, line, strlen(line)) < 0)
		return;
}

static void end_process(pid_t pid, void *words)
{
	say_last_words(pid, words);
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

bool filler_unused(const struct filler *filler)
{
	pid_t ours[] = {getpid(), filler->guard, 0};
	return entry_use(filler->gate->entry_fd, filler->gate->key, false, ours) == USE_NONE;
}

/* The number is known to the guard before there is a lock, which would else outlive us for ever. */
bool claim_take(struct filler *filler)
{
	struct gate_shared *shared = filler->gate->shared;
	int lease = openat(filler->gate->entry_fd, ENTRY_LEASE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (lease < 0)
		return errno == ENOENT;
	atomic_store(&shared->claim, lease);
	if (flock(lease, LOCK_EX | LOCK_NB) == 0)
		return true;
	claim_let_go(filler);
	return false;
}

void claim_let_go(struct filler *filler)
{
	int claim = atomic_load(&filler->gate->shared->claim);
	if (claim < 0)
		return;
	close(claim);
	atomic_store(&filler->gate->shared->claim, -1);
}

/* Whether nobody is left, and nobody can come. */
static bool end_users(struct filler *filler, struct last_words *words)
{
	if (filler_users(filler, end_process, words) != 0 || !claim_take(filler))
		return false;
	if (filler_users(filler, NULL, NULL) == 0)
		return true;
	claim_let_go(filler);
	return false;
}

void give_up(struct filler *filler, const char *why)
{
	struct last_words words = {.filler = filler, .text = why};
	int round = 0;
	/* Again, since one that was just being forked may have been missed. */
	while (round < ROUNDS && !end_users(filler, &words)) {
		atomic_fetch_add(&filler->gate->shared->beat, 1);
		usleep(ROUND_US);
		round++;
	}
	if (round == ROUNDS)
		return;
	atomic_store(&filler->gate->shared->leaving, true);
	entry_remove(filler->gate->entry_fd, filler->gate->key);
	guard_dismiss(filler);
	_exit(1);
}
