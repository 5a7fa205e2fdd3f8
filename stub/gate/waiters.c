/* /proc/locks shows a lease that is to be broken and, below it, who waits for that (fs/locks.c of the kernel):
 *
 *     111: LEASE  BREAKING  READ 5645 00:1b:17177 0 EOF
 *     111: -> LEASE  BREAKER   READ 5648 <none>:0 0 EOF
 *
 * The numbers in front of the file's are those of processes: who took the lease, and who waits. The file's device is the
 * superblock's, which is not st_dev everywhere, so the inode and the lease's taker must do. */
#define _GNU_SOURCE
#include "gate/waiters.h"

#include "base/file.h"
#include "base/system.h"
#include "base/text.h"
#include "gate/give_up.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	AT_ONCE = 64, /* those who are ended in one round */
	WORDS = 8,    /* of a line that are looked at */
	ROUNDS = 100,
	ROUND_US = 10000,
	PIDFD_OPEN = 434, /* system calls of Linux 5.3 and 5.1 */
	PIDFD_SEND_SIGNAL = 424,
};

/* What is looked for, and what was found. */
struct search {
	uint64_t inode;
	pid_t taker;
	bool inside; /* the last lease was that one */
	bool shown;
	pid_t pids[AT_ONCE];
	unsigned count;
	struct last_words words;
};

static void look_at(struct search *search, char *line)
{
	char *words[WORDS] = {NULL};
	unsigned count = 0;
	for (char *word; count < WORDS && (word = strsep(&line, " "));)
		if (*word)
			words[count++] = word;
	if (count < 6)
		return;
	if (strcmp(words[1], "->") == 0) {
		uint64_t pid = parse_decimal(words[5]);
		if (search->inside && pid > 0 && pid <= INT32_MAX && search->count < AT_ONCE)
			search->pids[search->count++] = (pid_t)pid;
		return;
	}
	const char *inode = strrchr(words[5], ':');
	search->inside = strcmp(words[1], "LEASE") == 0 && parse_decimal(words[4]) == (uint64_t)search->taker && inode &&
			 parse_decimal(inode + 1) == search->inode;
	search->shown |= search->inside;
}

static void look_for(struct search *search)
{
	CLEANUP(close_fd) int fd = open("/proc/locks", O_RDONLY | O_CLOEXEC);
	char text[4096 + 1];
	size_t kept = 0;
	search->count = 0;
	search->inside = search->shown = false;
	for (ssize_t got; fd >= 0 && (got = read(fd, text + kept, sizeof text - 1 - kept)) > 0;) {
		char *at = text, *end;
		text[kept + (size_t)got] = '\0';
		for (; (end = strchr(at, '\n')); at = end + 1) {
			*end = '\0';
			look_at(search, at);
		}
		kept = strlen(at);
		memmove(text, at, kept);
		if (kept == sizeof text - 1)
			kept = 0; /* no line is that long */
	}
}

static bool is_waiting(struct search *search, pid_t pid)
{
	look_for(search);
	for (unsigned i = 0; i < search->count; i++)
		if (search->pids[i] == pid)
			return true;
	return false;
}

/* The process is held by a descriptor before it is looked for again: its number may be another's by now. */
static void end_waiter(struct search *search, pid_t pid)
{
	CLEANUP(close_fd) int pidfd = (int)syscall(PIDFD_OPEN, pid, 0);
	if (!is_waiting(search, pid))
		return;
	say_last_words(pid, &search->words);
	if (pidfd < 0 || syscall(PIDFD_SEND_SIGNAL, pidfd, SIGKILL, NULL, 0) < 0)
		kill(pid, SIGKILL);
}

/* Where the kernel shows nothing of the lease: what it says of a thread of theirs. */
static void end_if_asleep(pid_t pid, void *context)
{
	struct search *search = context;
	char path[48], number[24], name[80], at[32];
	join(path, sizeof path, "/proc/", decimal(number, (uint64_t)pid), "/task", (char *)NULL);
	CLEANUP(close_fd) int tasks = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct listing listing = {.fd = tasks};
	for (const char *task; tasks >= 0 && (task = listing_next(&listing));)
		if (join(name, sizeof name, task, "/wchan", (char *)NULL) && read_text(tasks, name, at, sizeof at) > 0 &&
		    strcmp(at, "__break_lease") == 0) {
			say_last_words(pid, &search->words);
			kill(pid, SIGKILL);
			return;
		}
}

static unsigned end_those(struct filler *filler, struct search *search)
{
	pid_t pids[AT_ONCE];
	look_for(search);
	unsigned count = search->count;
	/* A pid namespace hides a lease whose taker is no more. Only then, and only if nobody waits for another file. */
	if (!search->shown && atomic_load(&filler->waiting) == 0)
		filler_users(filler, end_if_asleep, search);
	memcpy(pids, search->pids, sizeof pids);
	for (unsigned i = 0; i < count; i++)
		end_waiter(search, pids[i]);
	return count;
}

void waiters_end(struct filler *filler, int fd, pid_t taker, const char *why)
{
	struct stat stat;
	if (fstat(fd, &stat) < 0)
		return;
	struct search search = {.inode = stat.st_ino, .taker = taker, .words = {.filler = filler, .text = why}};
	/* Twice in a row nobody, since one that was about to wait may have been missed. */
	for (unsigned round = 0, quiet = 0; round < ROUNDS && quiet < 2; round++) {
		atomic_fetch_add(&filler->gate->shared->beat, 1);
		quiet = end_those(filler, &search) ? 0 : quiet + 1;
		usleep(ROUND_US);
	}
}
