/* Lease gating: the app starts before its files have content (docs/how-it-works.md).
 *
 * Every gated file exists with its name, size, mode and time, is empty of data, and is held under a write lease by the
 * *filler*, a process of ours. Whoever opens such a file waits in the kernel, and the kernel tells the filler which one it
 * is; the filler writes its content and gives up the lease, and the open goes on. fcntl(2), "Leases". */
#ifndef TMPRUN_GATE_GATE_H
#define TMPRUN_GATE_GATE_H

#include "base/fault.h"
#include "gate/state.h"

/* Begin to fill `gate->entry_fd`, whose directory `tree` is empty. Returns when the app may start, the rest being done by
 * another process; -1 when it cannot be done this way and the entry must be made anew. */
int gate_start(struct gate *gate, struct fault *fault);

#endif
