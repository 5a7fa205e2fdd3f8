/* A crew of threads, its hands, that works through numbered items. */
#ifndef TMPRUN_BASE_CREW_H
#define TMPRUN_BASE_CREW_H

#include <pthread.h>
#include <stdint.h>

#include "base/fault.h"

enum { CREW_MAX = 16 };

/* Do one item; `hand` is below the number of hands asked for. Returning -1 with a fault stops the crew. */
typedef int crew_work(void *context, unsigned hand, uint32_t item, struct fault *fault);

/* Call `work` for items 0 to count - 1, each once, on up to `hands` threads (the caller's among them), and wait for all.
 * Items are begun in order. The first fault wins. */
int crew_run(unsigned hands, uint32_t count, crew_work *work, void *context, struct fault *fault);

/* Move a new thread to a processor of its own, the `number`th that we may use behind the one that the caller runs on. Left alone
 * it begins on the caller's, and a kernel that saves processors (as virtual machines' do) leaves it there for milliseconds: as long
 * as all that there is to do takes. The thread must not have ended. With more than CREW_MAX processors the kernel has a better
 * choice than we. */
void crew_place(pthread_t thread, unsigned number);

/* Nodes to be made, in batches: neighbours lie in one directory, whose lock only one thread can have. So each hand begins in
 * a region of its own: the batch that item `item` stands for. Run crew_batches items, and skip what is no batch. */
static inline uint32_t crew_batches(uint32_t batches, unsigned hands)
{
	return (batches + hands - 1) / hands * hands;
}

static inline uint32_t crew_batch(uint32_t item, uint32_t batches, unsigned hands)
{
	return item % hands * ((batches + hands - 1) / hands) + item / hands;
}

#endif
