/* What an app will open next, as far as what it has opened says so: whoever loads a library loads those that it needs (DT_NEEDED), one
 * after the other. So they are filled while it waits for the one before. A guess, which costs time where it is wrong, and no more. */
#ifndef TMPRUN_GATE_FORESEE_H
#define TMPRUN_GATE_FORESEE_H

#include <stdbool.h>
#include <stdint.h>

#include "gate/state.h"

/* The stub has no room for it, and a bundle may bring a list of what its start opens. */
#ifdef TMPRUN_SMALL
#define foresee_prepare(filler) true
#define foresee_anew(filler) ((void)(filler))
#define foresee(filler, number, fd, asked) ((void)(asked))
#define foresee_next(filler, frame) ((void)(frame), false)
#else

bool foresee_prepare(struct filler *filler);
/* Nothing was foreseen yet. */
void foresee_anew(struct filler *filler);

/* The gated file `number`, open as `fd`, is complete: what it needs will be opened soon, if it is itself what somebody asked for
 * (`asked`) or will soon. From any thread. */
void foresee(struct filler *filler, uint32_t number, int fd, bool asked);
/* The next frame that is needed soon; false when none is known. From any thread. */
bool foresee_next(struct filler *filler, uint32_t *frame);

#endif
#endif
