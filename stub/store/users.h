/* Who uses an entry: the one rule of docs/store.md, "In use", which tmprun/store/usage.py keeps as well. */
#ifndef TMPRUN_STORE_USERS_H
#define TMPRUN_STORE_USERS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

/* What our own processes behind an app are called; they are users of nothing. */
#define FILLER_NAME "tmprun-filler"
#define GUARD_NAME "tmprun-guard"

/* Unknown is not unused: whoever would remove the entry leaves it alone. */
enum use { USE_NONE, USE_SEEN, USE_UNKNOWN };

/* What is asked about an entry. */
struct question {
	const char *name;    /* KEY, as entries are called that starts find; or KEY.RANDOM, in the stage and the trash */
	time_t built;        /* who cannot be looked at, and is older than this, is no user; 0: everybody is younger */
	time_t last_use;     /* in a look that may miss processes, one of late means unknown; 0: that does not count */
	const pid_t *except; /* these do not count; ends with 0 */
};

/* Look through all processes. No lock is asked for: the entry's lease is the caller's business. */
enum use users_look(const struct question *question);

/* Call `act` for each process that the kernel connects with something below `path`, an entry's absolute path, but for those in
 * `except`, which ends with 0. How many there were; -1 when /proc cannot be read. */
int users_each(const char *path, const pid_t *except, void (*act)(pid_t pid, void *context), void *context);

#endif
