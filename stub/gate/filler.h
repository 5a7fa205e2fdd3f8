/* The process that fills a gated tree. */
#ifndef TMPRUN_GATE_FILLER_H
#define TMPRUN_GATE_FILLER_H

#include <stdbool.h>

#include "gate/state.h"

/* Serve opens and fill the rest until there is nothing left to do. With `inherited`, another filler died before. Does not
 * return. */
_Noreturn void filler_run(struct gate *gate, bool inherited);

#endif
