/* The helpers' side of ties (store/tie.h): the door at which starts hand them over. */
#ifndef TMPRUN_GATE_TIES_H
#define TMPRUN_GATE_TIES_H

#include "base/fault.h"
#include "gate/state.h"

/* Have a door in the entry. */
int ties_open(struct gate *gate, struct fault *fault);

/* The door's notices come to this process from now on. */
void ties_own(const struct gate *gate);

/* Take what has been handed over, and answer. */
void ties_take(struct gate *gate);

/* We leave in peace: no app is to be ended for it. */
void ties_cut(const struct gate *gate);

#endif
