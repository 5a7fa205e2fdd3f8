/* The process that fills a gated tree. */
#ifndef TMPRUN_GATE_FILLER_H
#define TMPRUN_GATE_FILLER_H

#include "base/fault.h"
#include "gate/state.h"

/* Behind the skeleton: have everything that may be refused later, a guard and threads as well. 0, or -1 when the app must not go. */
int filler_prepare(struct filler *filler, struct gate *gate, struct fault *fault);

/* Let the app go, serve opens and fill the rest until there is nothing left to do. */
_Noreturn void filler_run(struct filler *filler);

#endif
