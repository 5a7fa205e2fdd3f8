#define _GNU_SOURCE
#include "store/kin.h"

#include "base/file.h"
#include "base/system.h"
#include "base/text.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

enum {
	GENERATIONS = 64,
	ROUNDING_S = 2, /* of two clocks' seconds */
	/* Of /proc/PID/stat, proc_pid_stat(5). */
	STATE_FIELD = 3, /* the first behind the name in parentheses */
	PARENT_FIELD = 4,
	THREADS_FIELD = 20,
	START_FIELD = 22,
};

static ssize_t read_of(int proc, pid_t pid, const char *file, char *out, size_t size)
{
	char path[48], number[24];
	join(path, sizeof path, decimal(number, (uint64_t)pid), "/", file, (char *)NULL);
	return read_text(proc, path, out, size);
}

/* Whether the process has a user id of ours; one that may change its own could be anybody by now, for us as root. */
static bool is_ours(int proc, pid_t pid)
{
	char text[2048];
	if (geteuid() == 0)
		return true;
	if (read_of(proc, pid, "status", text, sizeof text) <= 0)
		return errno != ENOENT && errno != ESRCH;
	const char *at = find_text(text, strlen(text), "\nUid:");
	for (int i = 0; at && i < 4 && (at = strchr(at, '\t')); i++)
		if (parse_decimal(++at) == geteuid())
			return true;
	return false;
}

struct birth {
	bool ended; /* and was not waited for */
	pid_t parent;
	uint64_t ticks; /* since the machine was started */
};

static bool read_birth(int proc, pid_t pid, struct birth *birth)
{
	char text[1024];
	char *at = read_of(proc, pid, "stat", text, sizeof text) > 0 ? strrchr(text, ')') : NULL;
	for (int field = STATE_FIELD; at && field <= START_FIELD; field++) {
		at = strchr(at + 1, ' ');
		if (at && field == STATE_FIELD)
			birth->ended = at[1] == 'Z';
		else if (at && field == PARENT_FIELD)
			birth->parent = (pid_t)parse_decimal(at + 1);
		else if (at && field == THREADS_FIELD)
			birth->ended = birth->ended && parse_decimal(at + 1) <= 1; /* else only its first thread has */
	}
	if (!at)
		return false;
	birth->ticks = parse_decimal(at + 1);
	return true;
}

/* When a process that is so old began, in seconds since the epoch. */
static time_t began(uint64_t ticks)
{
	struct timespec now, up;
	clock_gettime(CLOCK_REALTIME, &now);
	clock_gettime(CLOCK_BOOTTIME, &up);
	return now.tv_sec - up.tv_sec + (time_t)(ticks / (uint64_t)sysconf(_SC_CLK_TCK));
}

/* Who adopts orphans, and so tells nothing of where they came from. (Nothing shows who has made himself a subreaper; a user's
 * service manager is the one that is found everywhere.) */
static bool adopts(int proc, pid_t pid)
{
	char name[32];
	return pid <= 1 || read_of(proc, pid, "comm", name, sizeof name) <= 0 || strcmp(name, "systemd\n") == 0;
}

static bool can_be_looked_at(int proc, pid_t pid)
{
	char path[48], number[24], target[1];
	join(path, sizeof path, decimal(number, (uint64_t)pid), "/exe", (char *)NULL);
	return readlinkat(proc, path, target, sizeof target) >= 0;
}

bool kin_possible(int proc, pid_t pid, time_t built)
{
	struct birth birth;
	if (!is_ours(proc, pid))
		return false;
	if (!read_birth(proc, pid, &birth))
		return errno != ENOENT && errno != ESRCH;
	if (birth.ended)
		return false;
	if (built && built <= time(NULL) + CLOCK_SLACK_S && began(birth.ticks) + ROUNDING_S < built)
		return false;
	for (int generation = 0; generation < GENERATIONS; generation++) {
		if (adopts(proc, birth.parent))
			return true;
		/* Whoever is seen, or another's, has made it, and not an app that is hidden. */
		if (can_be_looked_at(proc, birth.parent) || !is_ours(proc, birth.parent))
			return false;
		if (!read_birth(proc, birth.parent, &birth))
			return true;
	}
	return true;
}
