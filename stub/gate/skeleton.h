/* The tree as it is when the app starts. */
#ifndef TMPRUN_GATE_SKELETON_H
#define TMPRUN_GATE_SKELETON_H

#include "base/fault.h"
#include "gate/state.h"

/* Build the tree up to the point where the app may start: everything there, gated or full. In the filler. */
int skeleton_make(struct gate *gate, struct fault *fault);

#endif
