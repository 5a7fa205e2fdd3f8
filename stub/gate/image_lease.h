/* The image stays as it is while files are filled from it: a read lease on it, where one can be had. Whoever opens it to write is
 * kept waiting by the kernel until we let go: when all is there, or nobody is left to whom it matters. */
#ifndef TMPRUN_GATE_IMAGE_LEASE_H
#define TMPRUN_GATE_IMAGE_LEASE_H

#include "gate/state.h"

/* Take it, if we may: the file is our own, no writer has it open, and its file system gives leases. In a process that has made no
 * threads. */
void image_lease_take(struct gate *gate);
/* Let go: all is there. */
void image_lease_end(struct gate *gate);

/* Its notices are ours from now on. */
void image_lease_own(const struct filler *filler);

/* While a writer waits, fill what is missing; where it is not to be had, or not in time, end the app before a byte has changed. */
void image_lease_mind(struct filler *filler);

#endif
