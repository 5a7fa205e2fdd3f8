/* A tie to the helpers that fill a tree: when the last of them is gone, the kernel ends the app before it can read what nobody filled.
 *
 * A tie is a pair of sockets. The app has one end, set so that the kernel sends SIGKILL when the other is closed; the helpers have the
 * other, above all their leases, since what has the highest number is closed first. They have the app's end as well: to leave
 * in peace they switch the signal off there. */
#ifndef TMPRUN_STORE_TIE_H
#define TMPRUN_STORE_TIE_H

#include <stdbool.h>

#include "base/fault.h"

/* What helpers answer. */
enum tie_answer { TIE_KNOTTED = 'k', TIE_FULL = 'n' };

/* Whether there can be one: sandboxes may refuse sockets. */
bool tie_possible(void);

/* Hand a new tie to the helpers that are at work in the open entry: 0 when they have it and live, with our end in `tie`, which
 * is -1 when they have no descriptor left for one; -1 when they are gone, or do not answer. */
int tie_make(int entry_fd, int *tie);

/* From here on it ends this process, and the program that it becomes. -1 when the helpers are gone already. */
int tie_pull(int tie, struct fault *fault);

#endif
