/* The filler: serves opens that wait, fills the rest, and has a guard that takes over when it is killed.
 *
 * The two have one table of descriptors, so that no lease falls when one of them dies: the filler works, the guard waits. What is
 * complete stands in memory that both see. A file is marked complete when its bytes and time are right and only then released; a
 * guard that takes over releases what is marked and fills the rest again, with the same bytes.
 *
 * Everything that may be refused is there before the app goes. Behind that there is no fault that ends a filler: threads and a
 * guard are for speed and for safety, and a file that cannot be filled is the main thread's to refuse (gate/refuse.h). */
#define _GNU_SOURCE
#include "gate/filler.h"

#include "base/fault.h"
#include "base/file.h"
#include "base/system.h"
#include "gate/asks.h"
#include "gate/deadline.h"
#include "gate/foresee.h"
#include "gate/give_up.h"
#include "gate/guard.h"
#include "gate/hands.h"
#include "gate/heir.h"
#include "gate/image_lease.h"
#include "gate/mode.h"
#include "gate/refuse.h"
#include "gate/ties.h"
#include "gate/trace.h"
#include "image/index.h"
#include "store/entry.h"
#include "store/users.h"
#include "store/watch.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	LOOK_EVERY_US = 3000000, /* how often it is asked whether anybody still uses the tree */
	BEHIND_NICE = 10,        /* of what nobody waits for */
};

static void save_trace(const struct filler *filler)
{
	trace_save(filler->gate->trace, filler->index, filler->opened, filler->opened_count, filler->hot, filler->hot_count,
		   atomic_load(&filler->gate->shared->turned_away));
}

static _Noreturn void leave(struct filler *filler, bool with_entry)
{
	atomic_store(&filler->gate->shared->leaving, true);
	ties_cut(filler->gate);
	deadline_set(0); /* nobody waits any more, and hashing a large image takes long */
	save_trace(filler);
	if (with_entry)
		entry_remove(filler->gate->entry_fd, filler->gate->key); /* when it is gone the trace is there */
	guard_dismiss(filler);
#ifndef TMPRUN_SMALL
	/* Nobody needs us any more, and a processor may be idle. (On demand nobody has asked for more than what is opened.) */
	const struct gate *gate = filler->gate;
	if (gate->image->behind && gate->mode != FILL_DEMAND) {
		setpriority(PRIO_PROCESS, 0, BEHIND_NICE);
		gate->image->behind(gate->image, gate->entry_fd, gate->trace);
	}
#endif
	_exit(0);
}

static void order_frames(struct filler *filler)
{
	const struct gate *gate = filler->gate;
	const struct segment *segments = filler->index->segments;
	uint32_t frames = filler->index->head->frames;
	CLEANUP(free_pointer) uint8_t *waits = calloc(frames ? frames : 1, 1);
	if (!waits)
		return;
	/* What lies in a frame of nothing but files that were made up front is written. */
	for (uint32_t s = 0; s < filler->index->head->segments; s++)
		if (segments[s].frame != HOLE && !gate->up_front[gate->plan.owner[s]])
			waits[segments[s].frame] = 1;
	for (uint32_t i = 0; i < filler->hot_count; i++) {
		const struct node *node = &filler->index->nodes[filler->hot[i]];
		for (uint32_t s = node->a; s < node->a + node->b; s++) {
			uint32_t f = segments[s].frame;
			if (f == HOLE || !waits[f])
				continue;
			waits[f] = 0;
			filler->order[filler->order_count++] = f;
		}
	}
	filler->hot_frames = filler->next_cold = filler->order_count;
	for (uint32_t f = 0; f < frames; f++)
		if (waits[f])
			filler->order[filler->order_count++] = f;
}

static bool make_tables(struct filler *filler)
{
	const struct index_head *head = filler->index->head;
	filler->job_room = head->segments ? head->segments : 1;
	filler->frames = zeroed(head->frames, 1);
	filler->jobs = zeroed(filler->job_room, sizeof *filler->jobs);
	filler->asked = zeroed(head->nodes, 1);
	filler->opened = zeroed(head->nodes, sizeof *filler->opened);
	filler->opened_at = zeroed(head->nodes, sizeof *filler->opened_at);
	filler->written = zeroed(head->segments, 1);
	filler->order = zeroed(head->frames, sizeof *filler->order);
	filler->hot = zeroed(head->nodes, sizeof *filler->hot);
	return filler->frames && filler->jobs && filler->asked && filler->opened && filler->opened_at && filler->written && filler->order &&
	       filler->hot;
}

static void take_over_from(struct filler *filler);

int filler_prepare(struct filler *filler, struct gate *gate, struct fault *fault)
{
	*filler = (struct filler){.gate = gate,
				  .index = &gate->image->index,
				  .turn = PTHREAD_MUTEX_INITIALIZER,
				  .writing = PTHREAD_RWLOCK_INITIALIZER,
				  .refused_busy = ATOMIC_FLAG_INIT,
				  .look_every = LOOK_EVERY_US,
				  .bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
				  .job_tickets = eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC)};
	if (filler->job_tickets < 0 || filler->bell < 0)
		return FAILED(fault, "cannot set up the filler: ", reason_text(errno));
	if (!make_tables(filler))
		return FAILED(fault, "no memory to fill with");
	filler->hot_count = trace_load(gate->trace, filler->index, filler->hot);
	order_frames(filler);
	hands_look_ahead(filler);
	if (!foresee_prepare(filler))
		return FAILED(fault, "no memory to fill with");
	if (hands_prepare(filler, fault) < 0)
		return -1;
	if (ties_open(gate, fault) < 0)
		return -1;
	filler->patience = (uint64_t)gate_break_time() * 1000000;
	if (!deadline_make(filler->patience))
		return FAILED(fault, "no timer: ", reason_text(errno));
	if (!spare_make(filler))
		return BAD_STORE(fault, "cannot gate one file more: ", reason_text(errno));
	filler->asked_at = filler->looked_at = now_us();
	if (!guard_spawn(filler, take_over_from))
		return FAILED(fault, "no process for a guard: ", reason_text(errno));
	if (hands_start(filler))
		return 0;
	guard_dismiss(filler);
	return FAILED(fault, "no threads to fill with");
}

/* In what was its guard. Threads and a guard of our own may be refused now: then we do without, and try again. */
static void take_over_from(struct filler *filler)
{
	prctl(PR_SET_NAME, FILLER_NAME);
	if (atomic_load(&filler->gate->shared->leaving)) {
		ties_cut(filler->gate);
		_exit(0);
	}
	ties_own(filler->gate);
	heir_begin(filler);
	guard_spawn(filler, take_over_from);
	hands_start(filler);
	ask_all_broken(filler);
	ties_take(filler->gate);
	filler_run(filler);
}

/* The last descriptor of the lease is closed, and nobody uses the tree: nobody will ever open a file of it. When that
 * is so the lock is kept to the end, so that no other start can join. */
static bool deserted(struct filler *filler)
{
	if (!claim_take(filler))
		return false;
	/* Who joined from another PID namespace cannot be seen, but for his lease. */
	if (filler_unused(filler))
		return true;
	claim_let_go(filler);
	/* A look through all processes is not cheap: less and less often, as long as somebody is there. */
	if (filler->look_every < 20 * LOOK_EVERY_US)
		filler->look_every *= 2;
	return false;
}

/* Everything is there: say so and leave. While that cannot be written down, or when the app has changed what the image brought,
 * stay; starts may still join, and when the last app has ended the entry goes. */
static void conclude(struct filler *filler)
{
	image_lease_end(filler->gate);
	if (watch_write(filler->gate->entry_fd, filler->index, true) == 0)
		leave(filler, false);
	atomic_store(&filler->stopped, true);
}

static void housekeeping(struct filler *filler, uint64_t *last_look)
{
	atomic_fetch_add(&filler->gate->shared->beat, 1);
	if (!filler->guard || waitpid(filler->guard, NULL, WNOHANG) == filler->guard)
		guard_spawn(filler, take_over_from);
	if (!filler->has_threads && hands_start(filler))
		hands_begin(filler);
	ask_all_broken(filler);
	ties_take(filler->gate);
	image_lease_mind(filler);
	mind_the_time(filler);
	bool only_serving = filler->gate->mode == FILL_DEMAND || atomic_load(&filler->stopped) || !filler->has_threads;
	if (!only_serving || now_us() - *last_look < filler->look_every)
		return;
	*last_look = now_us();
	if (deserted(filler))
		leave(filler, true);
}

/* As often as there is an heir who does not know whether it was said: the app-to-be hears one. */
static void say_go(struct gate_shared *shared)
{
	struct fault none = {0};
	int report = atomic_load(&shared->report);
	if (report < 0)
		return;
	atomic_store(&shared->said, true);
	ssize_t said = write(report, &none, sizeof none);
	(void)said;
	atomic_store(&shared->report, -1);
	close(report);
}

static void awaited_signals(sigset_t *awaited)
{
	sigemptyset(awaited);
	sigaddset(awaited, GATE_SIGNAL);
	sigaddset(awaited, SIGIO);
	sigaddset(awaited, SIGCHLD);
	sigaddset(awaited, HANDS_SIGNAL);
	sigaddset(awaited, DOOR_SIGNAL);
	sigaddset(awaited, IMAGE_SIGNAL);
}

/* Whoever was turned away is given the time to leave: we may be on his processor. A file that is complete may have been let go. */
static bool has_turned_away(const struct gate *gate, uint32_t number)
{
	int tries = 0;
	while (!nobody_waits(gate, number) && tries++ < 3)
		sched_yield();
	return tries < 4 && !is_complete(gate, number);
}

/* Who opens one file so, opens others: they shall be there, and next time before the app is. */
static void serve_opener(struct filler *filler, uint32_t number)
{
	struct gate *gate = filler->gate;
	ask(filler, number);
	if (!has_turned_away(gate, number) || atomic_exchange(&gate->shared->turned_away, true))
		return;
	if (gate->mode != FILL_DEMAND)
		hands_hurry(filler);
	save_trace(filler);
}

static void heed(struct filler *filler, int signal, const siginfo_t *info)
{
	struct gate *gate = filler->gate;
	if (signal == GATE_SIGNAL && info->si_fd >= 0 && (uint32_t)info->si_fd < gate->held_size && gate->held_node[info->si_fd] != NOBODY)
		serve_opener(filler, gate->held_node[info->si_fd]);
	else if (signal == IMAGE_SIGNAL)
		image_lease_mind(filler);
	else if (signal == DOOR_SIGNAL)
		ties_take(gate);
	else if (signal == SIGIO) /* the queue of notices was full */
		ask_all_broken(filler);
}

void filler_run(struct filler *filler)
{
	uint64_t last_look = now_us(), beaten = last_look;
	sigset_t awaited;
	awaited_signals(&awaited);
	mind_the_time(filler); /* before there is an app that could open anything */
	say_go(filler->gate->shared);
	if (filler->has_threads)
		hands_begin(filler);
	for (;;) {
		bool busy = !filler->has_threads && hands_do_one(filler);
		struct timespec period = {.tv_nsec = busy ? 0 : BEAT_MS / 2 * 1000000l};
		siginfo_t info;
		int signal = sigtimedwait(&awaited, &info, &period);
		heed(filler, signal, &info);
		refuse_reported(filler);
		if (atomic_load(&filler->gate->shared->done) == filler->gate->gated)
			conclude(filler);
		uint64_t now = now_us();
		if ((signal < 0 && !busy) || signal == SIGCHLD || now - beaten > BEAT_MS * 500u) {
			beaten = now;
			housekeeping(filler, &last_look);
		}
		filler->looked_at = now;
	}
}
