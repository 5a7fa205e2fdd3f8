#define _GNU_SOURCE
#include "gate/hands.h"

#include "base/crew.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/system.h"
#include "gate/give_up.h"
#include "gate/mode.h"
#include "image/codec.h"
#include "image/index.h"
#include "tree/plan.h"
#include "tree/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	BACKGROUND_NICE = 10,
	LULL_US = 40000,          /* nobody has waited for so long: the app has begun, and leaves time */
	LULL_WITHIN_US = 2000000, /* and when there is no such time, the background begins all the same */
};

struct hand {
	struct filler *filler;
	struct codec_state codec;
	uint8_t *plain;
	uint32_t cached;             /* the frame in `plain`, or HOLE */
};

void hands_release(struct filler *filler, uint32_t number)
{
	struct gate *gate = filler->gate;
	int fd = gate->held[number];
	/* Not by closing it alone: the guard has it open as well. */
	fcntl(fd, F_SETLEASE, F_UNLCK);
	gate->held[number] = -1;
	close(fd);
}

static void finish(struct filler *filler, uint32_t number)
{
	struct gate *gate = filler->gate;
	__atomic_store_n(&gate->shared->complete[number], 1, __ATOMIC_RELEASE);
	if (atomic_exchange(&filler->asked[number], ANSWERED) == ASKED)
		atomic_fetch_sub(&filler->waiting, 1);
	hands_release(filler, number);
	if (atomic_fetch_add(&gate->shared->done, 1) + 1 == gate->gated)
		kill(getpid(), SIGUSR1);
}

static int write_segment(struct filler *filler, uint32_t segment, const uint8_t *plain, struct fault *fault)
{
	const struct plan *plan = &filler->gate->plan;
	const struct segment *piece = &filler->index->segments[segment];
	uint32_t number = plan->owner[segment];
	int fd = filler->gate->held[number];
	if (fd < 0)
		return 0; /* never gated, or complete since an earlier filler's time */
	if (write_at(fd, plain + piece->offset, piece->length, plan->at[segment]) < 0)
		return BAD_STORE(fault, reason_text(errno));
	/* After each piece, since whoever looks at a file that is being filled must see its own time, not ours; and before the
	 * piece counts as written, since behind that the descriptor is no longer ours alone. So the last one needs no more. */
	if (tree_finish_file(&filler->gate->tree, number, fd, true, fault) < 0)
		return -1;
	if (atomic_fetch_sub(&plan->left[number], 1) == 1)
		finish(filler, number);
	return 0;
}

static int decode(struct hand *hand, uint32_t number, struct fault *fault)
{
	const struct gate *gate = hand->filler->gate;
	if (hand->cached == number)
		return 0;
	hand->cached = HOLE;
	if (codec_read(&hand->codec, gate->image->fd, gate->image->base, &hand->filler->index->frames[number], hand->plain, fault) < 0)
		return -1;
	hand->cached = number;
	return 0;
}

static int write_frame(struct hand *hand, uint32_t number, struct fault *fault)
{
	struct filler *filler = hand->filler;
	const struct plan *plan = &filler->gate->plan;
	uint32_t u = plan->first_use[number], end = plan->first_use[number + 1];
	for (; u < end; u++) {
		uint32_t segment = plan->uses[u];
		if (!filler->written[segment] && write_segment(filler, segment, hand->plain, fault) < 0)
			break;
		filler->written[segment] = 1;
	}
	/* On failure whoever waits for it later tries again. */
	atomic_store(&filler->frames[number], u < end ? FRAME_TODO : FRAME_DONE);
	return u < end ? -1 : 0;
}

/* Somebody who waits for the frame may have left it to us while we were writing it. */
static bool is_waited_for(const struct filler *filler, uint32_t number)
{
	const struct plan *plan = &filler->gate->plan;
	for (uint32_t u = plan->first_use[number]; u < plan->first_use[number + 1]; u++)
		if (filler->asked[plan->owner[plan->uses[u]]] == ASKED && !filler->written[plan->uses[u]])
			return true;
	return false;
}

/* Somebody waits: take the frame, even from a background thread that has not finished decoding it. */
static int fill_now(struct hand *hand, uint32_t number, struct fault *fault)
{
	_Atomic uint8_t *state = &hand->filler->frames[number];
	uint8_t was = atomic_load(state);
	do
		if (was == FRAME_BUSY || was == FRAME_DONE)
			return 0;
	while (!atomic_compare_exchange_weak(state, &was, FRAME_BUSY));
	return decode(hand, number, fault) < 0 ? -1 : write_frame(hand, number, fault);
}

/* Nobody waits for it yet. `claim`: what it is marked as while it is decoded. */
static int fill_unasked(struct hand *hand, uint32_t number, uint8_t claim, struct fault *fault)
{
	_Atomic uint8_t *state = &hand->filler->frames[number];
	uint8_t expected = FRAME_TODO;
	if (!atomic_compare_exchange_strong(state, &expected, claim))
		return 0;
	int result = decode(hand, number, fault);
	expected = claim;
	/* On failure it is given back: only when somebody waits for it does it matter. */
	if (result < 0) {
		atomic_compare_exchange_strong(state, &expected, FRAME_TODO);
		return -1;
	}
	return atomic_compare_exchange_strong(state, &expected, FRAME_BUSY) ? write_frame(hand, number, fault) : 0;
}

/* The background ends, and files stay gated; unless somebody waits for this very frame. */
static void stop_background(struct filler *filler, uint32_t number, const struct fault *fault)
{
	atomic_store(&filler->stopped, true);
	if (is_waited_for(filler, number))
		give_up(filler, fault->text);
}

static bool hand_ready(struct hand *hand)
{
	hand->cached = HOLE;
	hand->plain = malloc(hand->filler->gate->plan.largest_plain);
	return hand->plain;
}

static int do_job(struct hand *hand, struct fault *fault)
{
	struct filler *filler = hand->filler;
	uint32_t segment = filler->jobs[atomic_fetch_add(&filler->next_job, 1)];
	uint32_t frame = filler->index->segments[segment].frame;
	if (filler->gate->mode != FILL_DEMAND)
		return fill_now(hand, frame, fault);
	/* Nothing but what was asked for. */
	return decode(hand, frame, fault) < 0 ? -1 : write_segment(filler, segment, hand->plain, fault);
}

/* Whether there was a frame left of those that the app is known to need soon. */
static bool do_ahead(struct hand *hand)
{
	struct filler *filler = hand->filler;
	struct fault fault = {0};
	uint32_t at = atomic_fetch_add(&filler->next_hot, 1);
	if (at >= filler->hot_frames || atomic_load(&filler->stopped))
		return false;
	if (fill_unasked(hand, filler->order[at], FRAME_BUSY, &fault) < 0)
		stop_background(filler, filler->order[at], &fault);
	return true;
}

/* There are as many of these as processors: what is needed now and what is needed soon come from the same hands, or one would
 * decode what another is about to. The first of several does what is needed soon only while somebody waits: as long as nobody
 * does, the app runs, and one processor is the app's. */
static void *serve(void *argument)
{
	struct hand hand = {.filler = argument};
	struct filler *filler = argument;
	struct pollfd tickets = {.fd = filler->job_tickets, .events = POLLIN};
	struct fault fault = {0};
	bool ahead = true, first = atomic_fetch_add(&filler->hands, 1) == 0;
	if (!hand_ready(&hand))
		give_up(filler, "no memory");
	for (;;) {
		uint64_t ticket;
		if (read(filler->job_tickets, &ticket, sizeof ticket) == sizeof ticket) {
			if (do_job(&hand, &fault) < 0)
				give_up(filler, fault.text);
		} else if (ahead && (!first || atomic_load(&filler->hands) == 1 || atomic_load(&filler->waiting) > 0)) {
			ahead = do_ahead(&hand);
		} else {
			poll(&tickets, 1, -1);
		}
	}
}

/* What nobody has asked for and no trace names can wait until the app has what it needs to begin: nothing of that is left to do,
 * and no open has waited for a while. */
static void wait_for_lull(struct filler *filler)
{
	uint64_t began = now_us();
	while (now_us() - began < LULL_WITHIN_US) {
		bool busy = atomic_load(&filler->waiting) > 0 || atomic_load(&filler->next_hot) < filler->hot_frames;
		if (!busy && now_us() - atomic_load(&filler->asked_at) >= LULL_US)
			break;
		usleep(LULL_US / 4);
	}
}

/* All else is only for the time that the app leaves; a low priority alone would not do where the kernel gives each session its
 * share of a processor (sched(7), autogroup), so there is one of these less than processors. */
static void *fill_behind(void *argument)
{
	struct hand hand = {.filler = argument};
	struct filler *filler = argument;
	struct fault fault = {0};
	wait_for_lull(filler);
	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), BACKGROUND_NICE);
	bool ready = hand_ready(&hand);
	while (ready && !atomic_load(&filler->stopped)) {
		uint32_t at = atomic_fetch_add(&filler->next_cold, 1);
		if (at >= filler->order_count)
			break;
		if (fill_unasked(&hand, filler->order[at], FRAME_DRAFT, &fault) < 0)
			stop_background(filler, filler->order[at], &fault);
	}
	codec_free(&hand.codec);
	free(hand.plain);
	return NULL;
}

void hands_start(struct filler *filler)
{
	unsigned count = processors();
	pthread_t thread;
	if (count > CREW_MAX)
		count = CREW_MAX;
	for (unsigned i = 0; i < count; i++)
		if (pthread_create(&thread, NULL, serve, filler) == 0)
			crew_place(thread, i + 1);
		else if (i == 0)
			give_up(filler, "no threads");
	for (unsigned i = 0; (i == 0 || i + 1 < count) && filler->hot_frames < filler->order_count; i++)
		if (pthread_create(&thread, NULL, fill_behind, filler) != 0 && i == 0)
			atomic_store(&filler->stopped, true);
}
