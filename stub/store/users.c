#define _GNU_SOURCE
#include "store/users.h"

#include "base/file.h"
#include "base/system.h"
#include "base/text.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

static bool link_names(int dir, const char *name, const char *text)
{
	char target[PATH_MAX];
	ssize_t length = readlinkat(dir, name, target, sizeof target - 1);
	if (length < 0)
		return false;
	target[length] = '\0';
	return contains(target, (size_t)length, text);
}

static bool descriptor_names(int process, const char *text)
{
	CLEANUP(close_fd) int fds = openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct listing listing = {.fd = fds};
	bool found = false;
	for (const char *name; fds >= 0 && !found && (name = listing_next(&listing));)
		found = link_names(fds, name, text);
	return found;
}

/* In pieces that overlap by the length of what is looked for. */
static bool maps_name(int process, const char *text)
{
	char piece[4096];
	size_t kept = 0, length = strlen(text);
	CLEANUP(close_fd) int fd = openat(process, "maps", O_RDONLY | O_CLOEXEC);
	for (ssize_t got; fd >= 0 && (got = read(fd, piece + kept, sizeof piece - kept)) > 0;) {
		size_t have = kept + (size_t)got;
		if (contains(piece, have, text))
			return true;
		kept = have < length ? have : length;
		memmove(piece, piece + have - kept, kept);
	}
	return false;
}

/* Fillers hold descriptors of their trees, and two of them must not keep each other at work for ever. */
static bool is_filler(int process)
{
	char name[32];
	return read_text(process, "comm", name, sizeof name) > 0 &&
	       (strcmp(name, FILLER_NAME "\n") == 0 || strcmp(name, GUARD_NAME "\n") == 0);
}

static bool uses(int proc, const char *pid, const char *text)
{
	CLEANUP(close_fd) int process = openat(proc, pid, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (process < 0 || is_filler(process))
		return false;
	return link_names(process, "exe", text) || link_names(process, "cwd", text) || link_names(process, "root", text) ||
	       descriptor_names(process, text) || maps_name(process, text);
}

static bool is_one_of(pid_t pid, const pid_t *list)
{
	while (*list && *list != pid)
		list++;
	return *list;
}

int users_each(const char *text, const pid_t *except, void (*act)(pid_t pid, void *context), void *context)
{
	CLEANUP(close_fd) int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct listing listing = {.fd = proc};
	int count = 0;
	if (proc < 0)
		return -1;
	for (const char *name; (name = listing_next(&listing));) {
		uint64_t number = parse_decimal(name);
		pid_t pid = number <= INT_MAX ? (pid_t)number : 0;
		if (pid <= 0 || is_one_of(pid, except) || !uses(proc, name, text))
			continue;
		count++;
		if (act)
			act(pid, context);
	}
	return count;
}
