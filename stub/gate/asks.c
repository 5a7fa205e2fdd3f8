#define _GNU_SOURCE
#include "gate/asks.h"

#include "base/fault.h"
#include "base/system.h"
#include "gate/give_up.h"
#include "gate/mode.h"
#include "image/index.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>

void ask(struct filler *filler, uint32_t number)
{
	const struct node *node = &filler->index->nodes[number];
	uint8_t unasked = UNASKED;
	if (filler->gate->held[number] < 0 || !atomic_compare_exchange_strong(&filler->asked[number], &unasked, ASKED))
		return;
	uint64_t tickets = 0;
	atomic_fetch_add(&filler->waiting, 1);
	atomic_store(&filler->asked_at, now_us());
	filler->opened_at[filler->opened_count] = filler->looked_at;
	filler->opened[filler->opened_count++] = number;
	for (uint32_t s = node->a; s < node->a + node->b; s++)
		if (filler->index->segments[s].frame != HOLE) {
			filler->jobs[filler->job_count++] = s;
			tickets++;
		}
	if (tickets && write(filler->job_tickets, &tickets, sizeof tickets) < 0)
		give_up(filler, reason_text(errno));
}

void ask_all_broken(struct filler *filler)
{
	const struct gate *gate = filler->gate;
	for (uint32_t n = 0; n < filler->index->head->nodes; n++) {
		int fd = gate->held[n];
		if (fd >= 0 && filler->asked[n] == UNASKED && fcntl(fd, F_GETLEASE) != F_WRLCK && gate->held[n] == fd)
			ask(filler, n);
	}
}

void mind_the_time(struct filler *filler)
{
	struct gate_shared *shared = filler->gate->shared;
	while (filler->served < filler->opened_count &&
	       __atomic_load_n(&shared->complete[filler->opened[filler->served]], __ATOMIC_ACQUIRE))
		filler->served++;
	uint64_t since = filler->served < filler->opened_count ? filler->opened_at[filler->served] : 0;
	atomic_store(&shared->waiting_since, since);
	if (!since)
		return;
	long allowed = gate_break_time();
	if (allowed > 0 && now_us() - since > (uint64_t)allowed * 750000)
		give_up(filler, "it takes too long; try again with TMPRUN_FILL=eager");
}
