/* The end of processes that cannot be given their bytes. */
#ifndef TMPRUN_GATE_GIVE_UP_H
#define TMPRUN_GATE_GIVE_UP_H

#include <stdbool.h>
#include <sys/types.h>

#include "gate/state.h"

/* What the users of those are told, and where that has been said: processes of one app share their stderr, and one that was
 * killed is met again until it is gone. */
struct last_words {
	const struct filler *filler;
	const char *text;
	bool kept; /* for those who do not see that stderr */
	size_t told;
	struct {
		dev_t device;
		ino_t inode;
	} places[16];
};

/* Say it on the process's stderr, unless it was said there before; and, once, to the journal and to the next start. */
void say_last_words(pid_t pid, struct last_words *words);

/* Call `act` for each process that uses the tree, ours not counted: how many there are, -1 when that cannot be known. */
int filler_users(const struct filler *filler, void (*act)(pid_t, void *), void *context);
/* Whether nobody but its helpers uses the tree, for certain, by the one rule of docs/store.md. */
bool filler_unused(const struct filler *filler);

/* Lock the entry, so that no other start can join, if nobody has its lease. It stays locked as long as one of us lives, or until it is
 * let go. True as well when somebody has removed the store. */
bool claim_take(struct filler *filler);
void claim_let_go(struct filler *filler);

/* The last resort: end whoever uses the tree, and leave with it. Returns when not all of them can be ended. */
void give_up(struct filler *filler, const char *why);

#endif
