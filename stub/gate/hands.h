/* The threads that fill: what somebody waits for first, then what the app will need soon, then the rest. */
#ifndef TMPRUN_GATE_HANDS_H
#define TMPRUN_GATE_HANDS_H

#include <stdint.h>

#include "gate/state.h"

/* Begin to serve. Ends the process when not even one thread can be had. */
void hands_start(struct filler *filler);

/* Let openers through to the gated file `number`. */
void hands_release(struct filler *filler, uint32_t number);

#endif
