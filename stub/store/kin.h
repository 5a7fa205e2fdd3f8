/* Processes that nobody lets us look at: whether one can have come from an app of ours (docs/store.md, "In use"). */
#ifndef TMPRUN_STORE_KIN_H
#define TMPRUN_STORE_KIN_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

/* Whether the process, known to the open /proc, may descend from an app whose tree was `built` then. It may not when it is
 * another user's, has ended, is older than the tree, or was made by a living process that can be looked at. In doubt it may. */
bool kin_possible(int proc, pid_t pid, time_t built);

#endif
