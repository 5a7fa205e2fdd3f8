/* The filler: serves opens that wait, fills the rest, and has a guard that takes over when it is killed.
 *
 * Two processes share every leased descriptor, so that no lease falls when one of them dies: the filler works, the guard waits.
 * What is complete stands in memory that both see. A file is marked complete when its bytes and time are right and only then
 * released; a guard that takes over releases what is marked and fills the rest again, with the same bytes. */
#define _GNU_SOURCE
#include "gate/filler.h"

#include "base/fault.h"
#include "base/file.h"
#include "base/system.h"
#include "gate/asks.h"
#include "gate/give_up.h"
#include "gate/guard.h"
#include "gate/hands.h"
#include "gate/mode.h"
#include "gate/trace.h"
#include "image/index.h"
#include "store/entry.h"
#include "store/layout.h"
#include "store/users.h"
#include "store/watch.h"
#include "tree/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	TAKEOVER_US = (MISSED_BEATS + 2) * BEAT_MS * 1000, /* a filler that is no more may have been deaf for so long */
	LOOK_EVERY_US = 3000000, /* how often it is asked whether anybody still uses the tree */
};

static _Noreturn void leave(struct filler *filler, bool with_entry)
{
	trace_save(filler->gate->trace, filler->index, filler->opened, filler->opened_count, filler->hot, filler->hot_count);
	if (with_entry)
		entry_remove(filler->gate->entry_fd, filler->gate->key); /* when it is gone the trace is there */
	guard_dismiss(filler);
	_exit(0);
}

static void order_frames(struct filler *filler)
{
	const struct plan *plan = &filler->gate->plan;
	uint32_t frames = filler->index->head->frames;
	CLEANUP(free_pointer) uint8_t *queued = calloc(frames ? frames : 1, 1);
	if (!queued)
		return;
	for (uint32_t i = 0; i < filler->hot_count; i++) {
		const struct node *node = &filler->index->nodes[filler->hot[i]];
		for (uint32_t s = node->a; s < node->a + node->b; s++) {
			uint32_t f = filler->index->segments[s].frame;
			if (f == HOLE || queued[f])
				continue;
			queued[f] = 1;
			filler->order[filler->order_count++] = f;
		}
	}
	filler->hot_frames = filler->next_cold = filler->order_count;
	for (uint32_t f = 0; f < frames; f++)
		if (!queued[f] && plan->first_use[f] < plan->first_use[f + 1])
			filler->order[filler->order_count++] = f;
}

static bool filler_init(struct filler *filler, struct gate *gate)
{
	const struct index_head *head = gate->image->index.head;
	*filler = (struct filler){.gate = gate,
				  .index = &gate->image->index,
				  .guard_pipe = -1,
				  .look_every = LOOK_EVERY_US,
				  .job_tickets = eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC)};
	filler->frames = zeroed(head->frames, 1);
	filler->jobs = zeroed(head->segments, sizeof *filler->jobs);
	filler->asked = zeroed(head->nodes, 1);
	filler->opened = zeroed(head->nodes, sizeof *filler->opened);
	filler->opened_at = zeroed(head->nodes, sizeof *filler->opened_at);
	filler->written = zeroed(head->segments, 1);
	filler->order = zeroed(head->frames, sizeof *filler->order);
	filler->hot = zeroed(head->nodes, sizeof *filler->hot);
	if (!filler->frames || !filler->jobs || !filler->asked || !filler->opened || !filler->opened_at || !filler->written ||
	    !filler->order || !filler->hot || filler->job_tickets < 0)
		return false;
	filler->hot_count = trace_load(gate->trace, filler->index, filler->hot);
	if (gate->mode != FILL_DEMAND)
		order_frames(filler);
	return true;
}

/* Another filler died: what it completed is released, all else counts as not begun, and notices come to us. */
static void inherit(struct filler *filler)
{
	struct gate *gate = filler->gate;
	uint32_t done = 0;
	for (uint32_t n = 0; n < filler->index->head->nodes; n++) {
		if (gate->up_front[n])
			continue;
		bool complete = __atomic_load_n(&gate->shared->complete[n], __ATOMIC_ACQUIRE);
		done += complete;
		if (gate->held[n] < 0)
			continue;
		if (complete) {
			hands_release(filler, n);
			continue;
		}
		const struct node *node = &filler->index->nodes[n];
		uint32_t left = 0;
		for (uint32_t s = node->a; s < node->a + node->b; s++)
			left += filler->index->segments[s].frame != HOLE;
		atomic_store(&gate->plan.left[n], left);
		fcntl(gate->held[n], F_SETOWN, getpid());
	}
	atomic_store(&gate->shared->done, done);
	uint64_t waiting = atomic_load(&gate->shared->waiting_since);
	filler->looked_at = waiting && waiting < filler->looked_at - TAKEOVER_US ? waiting : filler->looked_at - TAKEOVER_US;
}

/* The last descriptor of the lease is closed, and nobody uses the tree: nobody will ever open a file of it. When that
 * is so the lock is kept to the end, so that no other start can join. */
static bool deserted(struct filler *filler)
{
	pid_t ours[] = {getpid(), filler->guard, 0};
	CLEANUP(close_fd) int lease = openat(filler->gate->entry_fd, ENTRY_LEASE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (lease < 0 && errno != ENOENT) /* but ENOENT: somebody removed the store */
		return false;
	if (lease >= 0 && flock(lease, LOCK_EX | LOCK_NB) < 0)
		return false;
	/* Who joined from another PID namespace cannot be seen, but for his lease. */
	if (entry_use(filler->gate->entry_fd, filler->gate->key, false, ours) != USE_NONE) {
		/* A look through all processes is not cheap: less and less often, as long as somebody is there. */
		if (filler->look_every < 20 * LOOK_EVERY_US)
			filler->look_every *= 2;
		return false;
	}
	lease = -1;
	return true;
}

/* Everything is there: say so and leave. While that cannot be written down, stay; starts may still join, and when the last
 * app has ended the entry goes. */
static void conclude(struct filler *filler)
{
	if (watch_write(filler->gate->entry_fd, filler->index) == 0)
		leave(filler, false);
	atomic_store(&filler->stopped, true);
}

static void housekeeping(struct filler *filler, uint64_t *last_look)
{
	atomic_fetch_add(&filler->gate->shared->beat, 1);
	if (!filler->guard || waitpid(filler->guard, NULL, WNOHANG) == filler->guard)
		guard_spawn(filler, filler_run);
	ask_all_broken(filler);
	mind_the_time(filler);
	bool only_serving = filler->gate->mode == FILL_DEMAND || atomic_load(&filler->stopped);
	if (!only_serving || now_us() - *last_look < filler->look_every)
		return;
	*last_look = now_us();
	if (deserted(filler))
		leave(filler, true);
}

static void say_go(struct gate *gate)
{
	struct fault none = {0};
	/* Fails when it was said already, by a filler that is no more. */
	ssize_t said = gate->report >= 0 ? write(gate->report, &none, sizeof none) : 0;
	(void)said;
	close_fd(&gate->report);
}

_Noreturn void filler_run(struct gate *gate, bool inherited)
{
	static struct filler filler;
	uint64_t now = now_us(), last_look = now, beaten = now;
	sigset_t awaited;
	prctl(PR_SET_NAME, FILLER_NAME);
	if (!filler_init(&filler, gate))
		give_up(&filler, "no memory");
	atomic_store(&filler.asked_at, now_us());
	filler.looked_at = now;
	if (inherited)
		inherit(&filler);
	guard_spawn(&filler, filler_run);
	if (!filler.guard && gate->report >= 0)
		_exit(1); /* the app may only go when there are two of us */
	say_go(gate);
	hands_start(&filler);
	if (inherited)
		ask_all_broken(&filler);
	sigemptyset(&awaited);
	sigaddset(&awaited, GATE_SIGNAL);
	sigaddset(&awaited, SIGIO);
	sigaddset(&awaited, SIGCHLD);
	sigaddset(&awaited, SIGUSR1);
	for (;;) {
		struct timespec period = {.tv_nsec = BEAT_MS / 2 * 1000000l};
		siginfo_t info;
		int signal = sigtimedwait(&awaited, &info, &period);
		if (signal == GATE_SIGNAL && info.si_fd >= 0 && (uint32_t)info.si_fd < gate->held_size &&
		    gate->held_node[info.si_fd] != UINT32_MAX)
			ask(&filler, gate->held_node[info.si_fd]);
		else if (signal == SIGIO) /* the queue of notices was full */
			ask_all_broken(&filler);
		if (atomic_load(&gate->shared->done) == gate->gated)
			conclude(&filler);
		now = now_us();
		if (signal < 0 || signal == SIGCHLD || now - beaten > BEAT_MS * 500u) {
			beaten = now;
			housekeeping(&filler, &last_look);
		}
		filler.looked_at = now;
	}
}
