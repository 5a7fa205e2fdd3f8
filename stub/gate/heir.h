/* What a guard finds when its filler is dead: the descriptors are its own, and what is complete is marked in memory that both have. */
#ifndef TMPRUN_GATE_HEIR_H
#define TMPRUN_GATE_HEIR_H

#include "gate/state.h"

/* Release what the other one completed, and begin anew with the rest. Its lock on the entry is ours to let go. */
void heir_begin(struct filler *filler);

#endif
