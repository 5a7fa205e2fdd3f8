/* Become the app: its environment, its argv, its signals, and what it inherits of ours: the lease, and a tie while its files are being filled. */
#ifndef TMPRUN_START_LAUNCH_H
#define TMPRUN_START_LAUNCH_H

#include <stdbool.h>

#include "base/environment.h"
#include "base/fault.h"

enum { LEASE_FD = 60, TIE_FD }; /* out of the way of LISTEN_FDS and shells, yet in a process's first 64: no larger table is needed */

struct launch {
	const struct environment *environment; /* as it was when we were started */
	const char *image; /* absolute path of the original file */
	const char *typed; /* as the user wrote it: ARGV0 and AppRun's argv[0] */
	const char *tree; /* the AppDir */
	int lease;
	int tie; /* or -1 */
	bool bare; /* the machine lacks an interpreter that the image brings */
	char **arguments; /* behind argv[0], NULL at the end */
	int count;
	int (*judge)(const struct environment *, const char *tree,
		     struct fault *); /* says why AppRun cannot be executed, better than errno; or NULL */
};

#ifdef TMPRUN_SMALL
#define launch_tell(name, path) setenv(name, path, 0)
#else
/* Set that variable for the app, unless the user has: what a start told the app that starts this one is not for this one. */
void launch_tell(const char *name, const char *path);
#endif

/* Does not return but on failure. */
int launch(const struct launch *launch, struct fault *fault);

#endif
