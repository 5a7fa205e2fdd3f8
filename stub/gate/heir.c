#define _GNU_SOURCE
#include "gate/heir.h"

#include "base/system.h"
#include "gate/foresee.h"
#include "gate/give_up.h"
#include "gate/guard.h"
#include "gate/hands.h"
#include "gate/image_lease.h"
#include "gate/refuse.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

/* A filler that is no more may have been deaf for so long. */
enum { TAKEOVER_US = (MISSED_BEATS + 2) * BEAT_MS * 1000 };

/* What was done and is not shared, nobody has done. */
static void begin_anew(struct filler *filler)
{
	const struct index_head *head = filler->index->head;
	uint64_t ticket;
	memset((void *)filler->frames, FRAME_TODO, head->frames);
	memset((void *)filler->asked, UNASKED, head->nodes);
	filler->job_count = filler->next_job = 0;
	while (read(filler->job_tickets, &ticket, sizeof ticket) == sizeof ticket)
		continue;
	filler->opened_count = filler->served = 0;
	filler->waiting = 0;
	filler->deadline = 0;
	filler->has_threads = false;
	filler->serving = filler->next_hand = 0;
	filler->next_hot = 0;
	filler->hurried = false;
	hands_look_ahead(filler);
	read(filler->bell, &ticket, sizeof ticket);
	filler->next_cold = filler->hot_frames;
	foresee_anew(filler);
	filler->stopped = filler->refused = false;
	atomic_flag_clear(&filler->refused_busy);
	filler->turn = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	filler->writing = (pthread_rwlock_t)PTHREAD_RWLOCK_INITIALIZER;
	hands_begin_anew(filler);
}

/* A file that another filler may have been at: what it completed is released, and of all else nothing is written. */
static void inherit_file(struct filler *filler, uint32_t number)
{
	struct gate *gate = filler->gate;
	int fd = held(gate, number);
	if (fd < 0)
		return;
	if (is_complete(gate, number)) {
		hands_release(filler, number);
		return;
	}
	gate->held_node[fd] = number;
	hands_forget(filler, number);
	fcntl(fd, F_SETOWN, getpid());
}

void heir_begin(struct filler *filler)
{
	struct gate *gate = filler->gate;
	uint32_t done = 0;
	uint64_t now = now_us();
	claim_let_go(filler);
	begin_anew(filler);
	memset(gate->held_node, 0xff, gate->held_size * sizeof *gate->held_node);
	for (uint32_t n = 0; n < filler->index->head->nodes; n++) {
		if (gate->up_front[n])
			continue;
		done += is_complete(gate, n);
		inherit_file(filler, n);
	}
	atomic_store(&gate->shared->done, done);
	int spare = atomic_load(&gate->shared->spare);
	if (spare >= 0)
		fcntl(spare, F_SETOWN, getpid());
	uint64_t waiting = atomic_load(&gate->shared->waiting_since);
	filler->asked_at = now;
	filler->looked_at = waiting && waiting < now - TAKEOVER_US ? waiting : now - TAKEOVER_US;
	refuse_inherited(filler);
	image_lease_own(filler);
	if (atomic_load(&gate->shared->turned_away) && gate->mode != FILL_DEMAND)
		hands_hurry(filler);
}
