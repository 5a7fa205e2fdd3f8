/* Becoming a process that the app does not notice. */
#ifndef TMPRUN_GATE_DETACH_H
#define TMPRUN_GATE_DETACH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* A child that ends without a SIGCHLD, and that only wait(__WALL) can see: the app that we are to become must not notice it. */
pid_t silent_fork(void);

/* Whether orphans come to us: then a filler that is orphaned would become the app's child all the same. */
bool adopts_orphans(void);

/* Keep nothing of the app's: a reader of its pipes would wait for us to close them. */
void leave_descriptors(int *const *keep, size_t count);

void leave_session(void);

#endif
