/* The filler's guard: a process that shares every leased descriptor, waits, and takes over when the filler is dead. */
#ifndef TMPRUN_GATE_GUARD_H
#define TMPRUN_GATE_GUARD_H

#include <stdbool.h>

#include "gate/state.h"

enum {
	BEAT_MS = 1000,
	MISSED_BEATS = 3, /* then the filler is stopped, or as good as dead */
};

/* What a guard becomes: filler_run, which does not return. */
typedef void take_over(struct gate *gate, bool inherited);

/* Have a new guard, which will `become` the filler; filler->guard stays 0 when there is none to be had. */
void guard_spawn(struct filler *filler, take_over *become);

/* We leave, and nobody is to take over. */
void guard_dismiss(struct filler *filler);

#endif
