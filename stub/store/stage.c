#define _GNU_SOURCE
#include "store/stage.h"

#include "base/fault.h"
#include "base/file.h"
#include "base/system.h"
#include "base/text.h"
#include "store/entry.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>

enum { WAIT_NOTICE_S = 1, WAIT_END_S = 30, ORPHAN_AGE_S = 10 };

static void on_alarm(int signal)
{
	(void)signal; /* only to interrupt flock */
}

int stage_lock(const struct shelves *shelves, const char *key, int *lock)
{
	struct sigaction notice = {.sa_handler = on_alarm}, before;
	struct itimerval every = {{1, 0}, {WAIT_NOTICE_S, 0}}, callers;
	sigset_t alarm, mask;
	unsigned waited = 0;
	int result = -1;
	*lock = openat(shelves->lock, key, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (*lock < 0 || flock(*lock, LOCK_EX | LOCK_NB) == 0)
		return *lock < 0 ? -1 : 0;
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	sigaction(SIGALRM, &notice, &before);
	sigprocmask(SIG_UNBLOCK, &alarm, &mask); /* a caller may have blocked it, for us to inherit */
	setitimer(ITIMER_REAL, &every, &callers);
	while ((result = flock(*lock, LOCK_EX)) < 0 && errno == EINTR && ++waited < WAIT_END_S)
		if (waited == WAIT_NOTICE_S)
			fault_report(&(struct fault){.text = "waiting for another start of the same app to finish unpacking it"});
	int reason = errno;
	setitimer(ITIMER_REAL, &callers, NULL);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	sigaction(SIGALRM, &before, NULL);
	errno = reason;
	return result == 0 ? 0 : errno == EINTR ? 1 : -1;
}

/* Whether the staged entry has lost its builder. One of our own key has when its lease is free, since we hold the build
 * lock; another may be just about to lock its lease, so it must have been there for a while, too. */
static bool is_orphan(int stage, const char *name, const char *key)
{
	struct stat stat;
	char lease_name[NAME_SIZE + 8];
	if (fstatat(stage, name, &stat, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	if (strncmp(name, key, KEY_LENGTH) != 0 && llabs((long long)(time(NULL) - stat.st_ctim.tv_sec)) < ORPHAN_AGE_S)
		return false;
	join(lease_name, sizeof lease_name, name, "/" ENTRY_LEASE, (char *)NULL);
	CLEANUP(close_fd) int lease = openat(stage, lease_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return lease < 0 || flock(lease, LOCK_EX | LOCK_NB) == 0;
}

void stage_sweep(const struct shelves *shelves, const char *key)
{
	CLEANUP(close_fd) int stage = openat(shelves->stage, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct listing listing = {.fd = stage};
	for (const char *name; stage >= 0 && (name = listing_next(&listing));) {
		const char *dot = strchr(name, '.');
		if (dot && is_key(name, dot - name) && is_orphan(shelves->stage, name, key))
			entry_dispose(shelves->stage, name); /* it may be an old one, whose exchange was interrupted */
	}
}
