/* The end of an app that cannot be given its bytes. */
#ifndef TMPRUN_GATE_GIVE_UP_H
#define TMPRUN_GATE_GIVE_UP_H

#include <sys/types.h>

#include "gate/state.h"

/* Zeros must never be read: whoever uses the tree is ended, and the tree with them. `why` is for the app's user. */
_Noreturn void give_up(struct filler *filler, const char *why);

/* Call `act` for each process that uses the tree, ours not counted: how many there are, -1 when that cannot be known. */
int filler_users(const struct filler *filler, void (*act)(pid_t, void *), void *context);

#endif
