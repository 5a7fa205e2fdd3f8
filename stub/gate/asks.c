#define _GNU_SOURCE
#include "gate/asks.h"

#include "base/fault.h"
#include "base/system.h"
#include "gate/deadline.h"
#include "gate/hands.h"
#include "image/index.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>

/* Who opened a file a moment ago opens the next one soon. Frozen before we have noticed that, we could not end him any more: the kernel
 * lets him through when he wakes. So the deadline runs on for so long, and is put off at each beat. */
enum { QUIET_US = 10000000 };

/* What a refused file left behind may still be in the queue. */
static bool has_room(const struct filler *filler, const struct node *node)
{
	return filler->job_count - atomic_load(&filler->next_job) + node->b <= filler->job_room;
}

/* We refuse a file in time: if not even that is done, we do not run, and the app must not either. */
static void set_deadline(struct filler *filler, uint64_t since)
{
	if (since != filler->deadline)
		deadline_set(since);
	filler->deadline = since;
}

void ask(struct filler *filler, uint32_t number)
{
	const struct node *node = &filler->index->nodes[number];
	uint8_t unasked = UNASKED;
	/* Without room it is asked again at the next beat. */
	if (held(filler->gate, number) < 0 || !has_room(filler, node) ||
	    !atomic_compare_exchange_strong(&filler->asked[number], &unasked, ASKED))
		return;
	uint64_t tickets = 0;
	atomic_fetch_add(&filler->waiting, 1);
	atomic_store(&filler->asked_at, now_us());
	filler->opened_at[filler->opened_count] = filler->looked_at;
	filler->opened[filler->opened_count++] = number;
	if (!filler->deadline)
		set_deadline(filler, filler->looked_at);
	for (uint32_t s = node->a; s < node->a + node->b; s++)
		if (filler->index->segments[s].frame != HOLE) {
			atomic_store(&filler->jobs[filler->job_count++ % filler->job_room], s);
			tickets++;
		}
	if (tickets && write(filler->job_tickets, &tickets, sizeof tickets) < 0)
		hands_report(filler, number, reason_text(errno));
}

void ask_all_broken(struct filler *filler)
{
	const struct gate *gate = filler->gate;
	for (uint32_t n = 0; n < filler->index->head->nodes; n++) {
		int fd = held(gate, n);
		if (fd >= 0 && filler->asked[n] == UNASKED && fcntl(fd, F_GETLEASE) != F_WRLCK && held(gate, n) == fd)
			ask(filler, n);
	}
}

void ask_no_more(struct filler *filler, uint32_t number)
{
	uint32_t at = 0;
	while (at < filler->opened_count && filler->opened[at] != number)
		at++;
	if (at == filler->opened_count)
		return;
	filler->opened_count--;
	if (at < filler->served)
		filler->served--;
	for (; at < filler->opened_count; at++) {
		filler->opened[at] = filler->opened[at + 1];
		filler->opened_at[at] = filler->opened_at[at + 1];
	}
}

void mind_the_time(struct filler *filler)
{
	struct gate_shared *shared = filler->gate->shared;
	while (filler->served < filler->opened_count && is_complete(filler->gate, filler->opened[filler->served]))
		filler->served++;
	uint64_t since = filler->served < filler->opened_count ? filler->opened_at[filler->served] : 0;
	uint64_t writing = atomic_load(&shared->writing_since), running = since;
	atomic_store(&shared->waiting_since, since);
	if (!since && filler->looked_at < atomic_load(&filler->asked_at) + QUIET_US)
		running = filler->looked_at;
	set_deadline(filler, writing && (!running || writing < running) ? writing : running);
	if (since && now_us() - since > filler->patience / 4 * 3)
		hands_report(filler, filler->opened[filler->served], "it takes too long; try again with TMPRUN_FILL=eager");
}
