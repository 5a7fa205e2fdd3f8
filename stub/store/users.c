#define _GNU_SOURCE
#include "store/users.h"

#include "base/file.h"
#include "base/sha256.h"
#include "base/system.h"
#include "base/text.h"
#include "store/kin.h"
#include "store/layout.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The first PID namespace's number (PROC_PID_INIT_INO): whoever is in it sees every process. */
#define PID_NAMESPACE 0xEFFFFFFCul

enum {
	ROUNDS = 3,
	NAMESPACES = 64,
	UNSEEN_S = 7 * 86400,
};

/* What is looked for, and in how many mount namespaces it has been. */
struct look {
	const char *name;
	bool held_only; /* arguments and environments keep the name that an entry had when they were made */
	ino_t namespaces[NAMESPACES];
	unsigned seen;
};

/* Of two answers about one entry the one that keeps it, and of two that do, the one that is certain. */
static enum use worse(enum use one, enum use other)
{
	return one == USE_SEEN || other == USE_NONE ? one : other;
}

/* What a failure to read something of a process says: that it has ended, or that nobody lets us look. */
static enum use failure(void)
{
	return errno == ENOENT || errno == ESRCH ? USE_NONE : USE_UNKNOWN;
}

/* Whether the bytes name the entry: "/NAME", and then nothing that would make it another one. A name that ends with the bytes
 * counts only at the `end` of all. */
static bool names_entry(const char *bytes, size_t size, const char *name, bool end)
{
	size_t length = strlen(name);
	bool any_generation = length == KEY_LENGTH;
	for (const char *at = bytes, *stop = bytes + size; (at = memchr(at, '/', (size_t)(stop - at))); at++) {
		size_t left = (size_t)(stop - at) - 1;
		/* Who has the lock of its name open builds it, or waits for that, and uses nothing yet. */
		if (left < length || memcmp(at + 1, name, length) != 0 || layout_on_locks(bytes, at))
			continue;
		if (left == length && end)
			return true;
		unsigned char next = left == length ? 'x' : (unsigned char)at[1 + length];
		if (!isalnum(next) && (any_generation || next != '.'))
			return true;
	}
	return false;
}

static enum use link_names(int dir, const char *name, const struct look *look)
{
	char target[PATH_MAX];
	ssize_t length = readlinkat(dir, name, target, sizeof target);
	if (length < 0)
		return failure();
	return names_entry(target, (size_t)length, look->name, true) ? USE_SEEN : USE_NONE;
}

/* In pieces that overlap by the length of what is looked for. */
static enum use text_names(int process, const char *file, const struct look *look)
{
	char piece[4096];
	size_t kept = 0, length = strlen(look->name) + 1;
	CLEANUP(close_fd) int fd = openat(process, file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return failure();
	for (;;) {
		ssize_t got = read(fd, piece + kept, sizeof piece - kept);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return failure();
		size_t have = kept + (size_t)got;
		if (names_entry(piece, have, look->name, got == 0))
			return USE_SEEN;
		if (got == 0)
			return USE_NONE;
		kept = have < length ? have : length;
		memmove(piece, piece + have - kept, kept);
	}
}

static enum use descriptor_names(int process, const struct look *look)
{
	CLEANUP(close_fd) int fds = openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct listing listing = {.fd = fds};
	enum use found = fds < 0 ? failure() : USE_NONE;
	for (const char *name; fds >= 0 && found != USE_SEEN && (name = listing_next(&listing));)
		found = worse(found, link_names(fds, name, look));
	return found;
}

/* What the kernel itself connects with a process, or with one thread of it. */
static enum use task_holds(int task, const struct look *look)
{
	static const char *const links[] = {"exe", "cwd", "root"};
	enum use found = USE_NONE;
	for (size_t i = 0; i < COUNT(links) && found != USE_SEEN; i++)
		found = worse(found, link_names(task, links[i], look));
	if (found != USE_SEEN)
		found = worse(found, descriptor_names(task, look));
	return found == USE_SEEN ? found : worse(found, text_names(task, "maps", look));
}

/* When its first thread has ended, a process shows none of this; its other threads do. */
static enum use threads_hold(int process, const struct look *look)
{
	CLEANUP(close_fd) int tasks = openat(process, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct listing listing = {.fd = tasks};
	enum use found = tasks < 0 ? failure() : USE_NONE;
	for (const char *name; tasks >= 0 && found != USE_SEEN && (name = listing_next(&listing));) {
		CLEANUP(close_fd) int task = openat(tasks, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		found = worse(found, task < 0 ? failure() : task_holds(task, look));
	}
	return found;
}

/* Its mounts, once a mount namespace: a directory of a tree may be mounted under another name. */
static enum use mounts_name(int process, struct look *look)
{
	struct stat namespace;
	if (fstatat(process, "ns/mnt", &namespace, 0) == 0) {
		for (unsigned i = 0; i < look->seen; i++)
			if (look->namespaces[i] == namespace.st_ino)
				return USE_NONE;
		if (look->seen < NAMESPACES)
			look->namespaces[look->seen++] = namespace.st_ino;
	}
	enum use found = text_names(process, "mountinfo", look);
	return found == USE_UNKNOWN && errno == EINVAL ? USE_NONE : found; /* of a process that has ended and not been waited for */
}

static enum use names_it(int process, const struct look *look)
{
	if (look->held_only)
		return USE_NONE;
	enum use found = text_names(process, "cmdline", look);
	return found == USE_SEEN ? found : worse(found, text_names(process, "environ", look));
}

static enum use process_uses(int process, struct look *look)
{
	char link[1];
	enum use found = task_holds(process, look);
	if (found != USE_SEEN && readlinkat(process, "exe", link, sizeof link) < 0 && errno == ENOENT)
		found = worse(found, threads_hold(process, look));
	if (found != USE_SEEN)
		found = worse(found, mounts_name(process, look));
	return found == USE_SEEN ? found : worse(found, names_it(process, look));
}

/* Fillers hold descriptors of their trees, and two of them must not keep each other at work for ever. */
static bool is_helper(int process)
{
	char name[32];
	return read_text(process, "comm", name, sizeof name) > 0 &&
	       (strcmp(name, FILLER_NAME "\n") == 0 || strcmp(name, GUARD_NAME "\n") == 0);
}

static bool is_one_of(pid_t pid, const pid_t *list)
{
	while (*list && *list != pid)
		list++;
	return *list;
}

/* The next process of the listing that counts, open as *process; 0 at the end. */
static pid_t next_process(struct listing *listing, const pid_t *except, int *process)
{
	for (const char *name; (name = listing_next(listing));) {
		uint64_t number = parse_decimal(name);
		pid_t pid = number <= INT_MAX ? (pid_t)number : 0;
		if (pid <= 0 || is_one_of(pid, except))
			continue;
		*process = openat(listing->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (*process >= 0 && !is_helper(*process))
			return pid;
		close_fd(process);
	}
	return 0;
}

static enum use look_once(int proc, const struct question *question, struct look *look)
{
	struct listing listing = {.fd = proc};
	enum use found = USE_NONE;
	pid_t pid;
	if (lseek(proc, 0, SEEK_SET) < 0)
		return USE_UNKNOWN;
	for (int process = -1; found != USE_SEEN && (pid = next_process(&listing, question->except, &process)); close_fd(&process)) {
		enum use its = process_uses(process, look);
		if (its == USE_UNKNOWN && !kin_possible(proc, pid, question->built))
			its = USE_NONE;
		found = worse(found, its);
	}
	return found;
}

/* The number that the newest process got, the last word in it; 0 when that cannot be known. */
static uint64_t newest(int proc)
{
	char text[128];
	const char *last = read_text(proc, "loadavg", text, sizeof text) > 0 ? strrchr(text, ' ') : NULL;
	return last ? parse_decimal(last + 1) : 0;
}

/* In a PID namespace of our own, or where /proc hides other users' processes, there may be some that we do not see. */
static bool sees_all(int proc)
{
	struct stat namespace;
	char text[64];
	return fstatat(proc, "self/ns/pid", &namespace, 0) == 0 && namespace.st_ino == PID_NAMESPACE &&
	       read_text(proc, "1/stat", text, sizeof text) > 0;
}

enum use users_look(const struct question *question)
{
	CLEANUP(close_fd) int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat ourselves;
	if (proc < 0 || fstatat(proc, "self/exe", &ourselves, AT_SYMLINK_NOFOLLOW) < 0)
		return USE_UNKNOWN;
	enum use found = USE_NONE;
	struct look look = {.name = question->name, .held_only = strlen(question->name) > KEY_LENGTH};
	/* While we look, a process may fork a child with a number that we have passed already, and exit: again, until no process
	 * came meanwhile. Where they come and go all the time that never happens, and three looks are enough. */
	for (int round = 0; round < ROUNDS && found != USE_SEEN; round++) {
		uint64_t before = newest(proc);
		look.seen = 0;
		found = worse(look_once(proc, question, &look), found);
		if (before && newest(proc) == before)
			break;
	}
	if (found == USE_NONE && question->last_use && !sees_all(proc) && llabs((long long)(time(NULL) - question->last_use)) < UNSEEN_S)
		return USE_UNKNOWN;
	return found;
}

int users_each(const char *path, const pid_t *except, void (*act)(pid_t pid, void *context), void *context)
{
	CLEANUP(close_fd) int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct listing listing = {.fd = proc};
	struct look look = {.name = path + 1, .held_only = true};
	int count = 0;
	pid_t pid;
	if (proc < 0)
		return -1;
	for (int process = -1; (pid = next_process(&listing, except, &process)); close_fd(&process)) {
		if (task_holds(process, &look) != USE_SEEN)
			continue;
		count++;
		if (act)
			act(pid, context);
	}
	return count;
}
