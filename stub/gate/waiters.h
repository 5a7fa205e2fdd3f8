/* Who waits in open(2) for a leased file. */
#ifndef TMPRUN_GATE_WAITERS_H
#define TMPRUN_GATE_WAITERS_H

#include <sys/types.h>

#include "gate/state.h"

/* End them, those who come meanwhile as well, and say `why`: nobody else. `fd` is the file's, and `taker` took its lease. */
void waiters_end(struct filler *filler, int fd, pid_t taker, const char *why);

#endif
