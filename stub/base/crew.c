#define _GNU_SOURCE
#include "base/crew.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

struct crew {
	crew_work *work;
	void *context;
	uint32_t count;
	atomic_uint next, hand;
	atomic_bool stop, placed;
	atomic_flag faulted;
	struct fault *fault;
};

static void *work_items(void *argument)
{
	struct crew *crew = argument;
	unsigned hand = atomic_fetch_add(&crew->hand, 1);
	while (!atomic_load_explicit(&crew->stop, memory_order_relaxed)) {
		uint32_t item = atomic_fetch_add(&crew->next, 1);
		if (item >= crew->count)
			break;
		struct fault fault = {0};
		if (crew->work(crew->context, hand, item, &fault) == 0)
			continue;
		if (!atomic_flag_test_and_set(&crew->faulted))
			*crew->fault = fault;
		atomic_store(&crew->stop, true);
	}
	/* One that had ended before it was placed would have no number any more, and 0 stands for the caller. */
	while (!atomic_load(&crew->placed))
		sched_yield();
	return NULL;
}

void crew_place(pthread_t thread, unsigned number)
{
	cpu_set_t all, one;
	int here = sched_getcpu();
	if (here < 0 || sched_getaffinity(0, sizeof all, &all) < 0 || CPU_COUNT(&all) < 2 || CPU_COUNT(&all) > CREW_MAX)
		return;
	for (number %= (unsigned)CPU_COUNT(&all); number;) {
		here = (here + 1) % CPU_SETSIZE;
		number -= CPU_ISSET(here, &all) ? 1 : 0;
	}
	CPU_ZERO(&one);
	CPU_SET(here, &one);
	/* It stays where it was moved to, until the kernel finds something better. */
	if (pthread_setaffinity_np(thread, sizeof one, &one) == 0)
		pthread_setaffinity_np(thread, sizeof all, &all);
}

int crew_run(unsigned hands, uint32_t count, crew_work *work, void *context, struct fault *fault)
{
	struct crew crew = {.work = work, .context = context, .count = count, .faulted = ATOMIC_FLAG_INIT, .fault = fault};
	pthread_t threads[CREW_MAX];
	unsigned started = 0;
	if (hands > CREW_MAX)
		hands = CREW_MAX;
	if (hands > count)
		hands = count;
	/* Signals are for the thread that was there before: it is the one that will be the app. */
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (; started + 1 < hands && pthread_create(&threads[started], NULL, work_items, &crew) == 0; started++)
		crew_place(threads[started], started + 1); /* a thread that cannot be had only makes it slower */
	atomic_store(&crew.placed, true);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	work_items(&crew);
	for (unsigned i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	return crew.fault->kind == FAULT_NONE ? 0 : -1;
}
