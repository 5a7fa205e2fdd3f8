/* The filler's guard: a process that has the filler's table of descriptors, waits, and takes over when the filler is dead.
 *
 * One table for both: what the filler opens later is the guard's, too, and when both are dead the kernel closes everything once,
 * in one order. So neither may close, or open, behind the other's back: the guard touches no descriptor before it takes over. */
#ifndef TMPRUN_GATE_GUARD_H
#define TMPRUN_GATE_GUARD_H

#include <stdbool.h>

#include "gate/state.h"

enum {
	BEAT_MS = 1000,
	MISSED_BEATS = 3, /* then the filler is stopped, or as good as dead */
};

/* What a guard becomes, with its copy of what the filler knew. Does not return. */
typedef void take_over(struct filler *filler);

/* Have a new guard, which will `become` the filler. False, and filler->guard is 0, when there is none to be had. For the main thread
 * alone: the guard is told when the thread that made it ends. */
bool guard_spawn(struct filler *filler, take_over *become);

/* We leave, and nobody is to take over. */
void guard_dismiss(struct filler *filler);

#endif
