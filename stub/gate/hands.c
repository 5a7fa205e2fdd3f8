#define _GNU_SOURCE
#include "gate/hands.h"

#include "base/crew.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/system.h"
#include "base/text.h"
#include "gate/foresee.h"
#include "gate/mode.h"
#include "image/codec.h"
#include "image/index.h"
#include "tree/plan.h"
#include "tree/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
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

void hands_release(struct filler *filler, uint32_t number)
{
	struct gate *gate = filler->gate;
	int fd = held(gate, number);
	/* In this order: whoever inherits does again what is not done, and must not know a number that is another file's. */
	fcntl(fd, F_SETLEASE, F_UNLCK);
	atomic_store(&gate->shared->nodes[number].held, -1);
	close(fd);
}

static void begin_to_write(struct filler *filler)
{
	pthread_mutex_lock(&filler->turn);
	pthread_rwlock_rdlock(&filler->writing);
	pthread_mutex_unlock(&filler->turn);
}

static void end_to_write(struct filler *filler)
{
	pthread_rwlock_unlock(&filler->writing);
}

void hands_hold(struct filler *filler)
{
	pthread_mutex_lock(&filler->turn);
	pthread_rwlock_wrlock(&filler->writing);
}

void hands_let_go(struct filler *filler)
{
	pthread_rwlock_unlock(&filler->writing);
	pthread_mutex_unlock(&filler->turn);
}

void hands_report(struct filler *filler, uint32_t number, const char *why)
{
	uint8_t asked = ASKED;
	if (!atomic_compare_exchange_strong(&filler->asked[number], &asked, REFUSED))
		return;
	atomic_fetch_sub(&filler->waiting, 1);
	while (atomic_flag_test_and_set(&filler->refused_busy))
		sched_yield();
	join(filler->reason, sizeof filler->reason, why, (char *)NULL);
	atomic_flag_clear(&filler->refused_busy);
	atomic_store(&filler->refused, true);
	kill(getpid(), HANDS_SIGNAL);
}

void hands_forget(struct filler *filler, uint32_t number)
{
	const struct node *node = &filler->index->nodes[number];
	uint32_t left = 0;
	for (uint32_t s = node->a; s < node->a + node->b; s++) {
		uint32_t frame = filler->index->segments[s].frame;
		uint8_t done = FRAME_DONE;
		if (frame == HOLE)
			continue;
		left++;
		atomic_store(&filler->written[s], 0);
		atomic_compare_exchange_strong(&filler->frames[frame], &done, FRAME_TODO);
	}
	atomic_store(&filler->gate->plan.left[number], left);
}

bool nobody_waits(const struct gate *gate, uint32_t number)
{
	int fd = held(gate, number);
	return fd >= 0 && fcntl(fd, F_SETLEASE, F_WRLCK) == 0;
}

static void finish(struct filler *filler, uint32_t number)
{
	struct gate *gate = filler->gate;
	atomic_store(&gate->shared->nodes[number].complete, 1);
	bool asked = atomic_exchange(&filler->asked[number], ANSWERED) == ASKED;
	foresee(filler, number, held(gate, number), asked);
	if (asked) {
		atomic_fetch_sub(&filler->waiting, 1);
		/* Whoever was turned away has left by now, also if he was still there at our first look; who waits still does. */
		if (!atomic_load(&gate->shared->turned_away) && nobody_waits(gate, number) &&
		    !atomic_exchange(&gate->shared->turned_away, true) && gate->mode != FILL_DEMAND)
			hands_hurry(filler);
	}
	hands_release(filler, number);
	if (atomic_fetch_add(&gate->shared->done, 1) + 1 == gate->gated)
		kill(getpid(), HANDS_SIGNAL);
}

/* Between begin_to_write and end_to_write. A piece is marked first, since two may be at it: it may have been asked for twice. */
static int write_segment(struct filler *filler, uint32_t segment, const uint8_t *plain, struct fault *fault)
{
	const struct plan *plan = &filler->gate->plan;
	const struct segment *piece = &filler->index->segments[segment];
	uint32_t number = plan->owner[segment];
	int fd = held(filler->gate, number);
	if (fd < 0 || atomic_exchange(&filler->written[segment], 1))
		return 0; /* never gated, or complete since an earlier filler's time; or written */
	int result = 0;
	if (write_at(fd, plain + piece->offset, piece->length, plan->at[segment]) < 0)
		result = BAD_STORE(fault, reason_text(errno));
	/* After each piece, since whoever looks at a file that is being filled must see its own time, not ours; and before the
	 * piece counts as written, since behind that the descriptor is no longer ours alone. So the last one needs no more. */
	if (result == 0)
		result = tree_finish_file(&filler->gate->tree, number, fd, true, fault);
	if (result < 0)
		atomic_store(&filler->written[segment], 0);
	else if (atomic_fetch_sub(&plan->left[number], 1) == 1)
		finish(filler, number);
	return result;
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
	bool all = true;
	begin_to_write(filler);
	for (; u < end; u++)
		if (write_segment(filler, plan->uses[u], hand->plain, fault) < 0) {
			all = false;
			/* Of a slow frame the rest is tried all the same: who has asked for that shall not miss it because of a neighbour. */
			if (!frame_is_slow(&filler->index->frames[number]))
				break;
		}
	/* On failure whoever waits for it later tries again. */
	atomic_store(&filler->frames[number], all ? FRAME_DONE : FRAME_TODO);
	end_to_write(filler);
	return all ? 0 : -1;
}

/* The frame is free again, and cannot be had: so cannot those files that wait for it. One that is asked for from now on finds it
 * free, and tries for itself. */
static void report_waiting(struct filler *filler, uint32_t number, const char *why)
{
	const struct plan *plan = &filler->gate->plan;
	for (uint32_t u = plan->first_use[number]; u < plan->first_use[number + 1]; u++)
		if (!atomic_load(&filler->written[plan->uses[u]]))
			hands_report(filler, plan->owner[plan->uses[u]], why);
}

/* Somebody waits: take the frame, even from a background thread that has not finished decoding it. */
static void fill_now(struct hand *hand, uint32_t number)
{
	struct fault fault = {0};
	_Atomic uint8_t *state = &hand->filler->frames[number];
	uint8_t was = atomic_load(state);
	do
		if (was == FRAME_BUSY || was == FRAME_DONE)
			return;
	while (!atomic_compare_exchange_weak(state, &was, FRAME_BUSY));
	int result = decode(hand, number, &fault);
	if (result == 0)
		result = write_frame(hand, number, &fault);
	else
		atomic_store(state, FRAME_TODO);
	if (result < 0)
		report_waiting(hand->filler, number, fault.text);
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
	report_waiting(filler, number, fault->text);
}

/* Nothing but what was asked for. */
static void fill_piece_now(struct hand *hand, uint32_t segment)
{
	struct filler *filler = hand->filler;
	struct fault fault = {0};
	int result = decode(hand, filler->index->segments[segment].frame, &fault);
	if (result == 0) {
		begin_to_write(filler);
		result = write_segment(filler, segment, hand->plain, &fault);
		end_to_write(filler);
	}
	if (result < 0)
		hands_report(filler, filler->gate->plan.owner[segment], fault.text);
}

/* The job that is read is ours only if nobody took it meanwhile, and then its place was not used again. */
static uint32_t take_job(struct filler *filler)
{
	uint64_t at = atomic_load(&filler->next_job);
	uint32_t segment;
	do
		segment = atomic_load(&filler->jobs[at % filler->job_room]);
	while (!atomic_compare_exchange_weak(&filler->next_job, &at, at + 1));
	return segment;
}

static bool do_job(struct hand *hand)
{
	struct filler *filler = hand->filler;
	uint64_t ticket;
	if (read(filler->job_tickets, &ticket, sizeof ticket) != sizeof ticket)
		return false;
	uint32_t segment = take_job(filler);
	uint32_t frame = filler->index->segments[segment].frame;
	if (filler->gate->mode == FILL_DEMAND && !(frame_is_slow(&filler->index->frames[frame]) && filler->gate->whole_frames))
		fill_piece_now(hand, segment);
	else
		fill_now(hand, frame);
	return true;
}

/* Whether there was a frame left of those that the app is known to need soon. */
static bool do_ahead(struct hand *hand)
{
	struct filler *filler = hand->filler;
	struct fault fault = {0};
	uint32_t at = atomic_fetch_add(&filler->next_hot, 1);
	if (at >= atomic_load(&filler->hot_end) || atomic_load(&filler->stopped))
		return false;
	if (fill_unasked(hand, filler->order[at], FRAME_BUSY, &fault) < 0)
		stop_background(filler, filler->order[at], &fault);
	return true;
}

/* Whoever waits will want more, and a processor may be idle: the frame that is waited for may be in other hands. */
static bool do_soon(struct hand *hand)
{
	struct filler *filler = hand->filler;
	struct fault fault = {0};
	uint32_t frame;
	if (!atomic_load(&filler->waiting) || atomic_load(&filler->stopped) || !foresee_next(filler, &frame))
		return false;
	if (fill_unasked(hand, frame, FRAME_BUSY, &fault) < 0)
		stop_background(filler, frame, &fault);
	return true;
}

bool hands_do_one(struct filler *filler)
{
	return do_job(&filler->hands[0]) || (atomic_load(&filler->hurried) && do_ahead(&filler->hands[0]));
}

void hands_hurry(struct filler *filler)
{
	uint64_t one = 1;
	if (atomic_load(&filler->hurried))
		return;
	atomic_store(&filler->hot_end, filler->order_count);
	atomic_store(&filler->next_hot, 0); /* what was filled is passed over */
	atomic_store(&filler->hurried, true);
	if (write(filler->bell, &one, sizeof one) < 0)
		debug_log("no hand can be woken", (char *)NULL);
}

static struct hand *take_hand(struct filler *filler)
{
	pthread_mutex_lock(&filler->turn); /* the main thread has it until they may begin */
	pthread_mutex_unlock(&filler->turn);
	return &filler->hands[1 + atomic_fetch_add(&filler->next_hand, 1)];
}

/* There are as many of these as processors: what is needed now and what is needed soon come from the same hands, or one would
 * decode what another is about to. The first of several does what is needed soon only while somebody waits: as long as nobody
 * does, the app runs, and one processor is the app's. In a hurry all of them do all there is. */
static void *serve(void *argument)
{
	struct filler *filler = argument;
	struct hand *hand = take_hand(filler);
	struct pollfd calls[] = {{.fd = filler->job_tickets, .events = POLLIN}, {.fd = filler->bell, .events = POLLIN}};
	bool ahead = true, hurried = false, first = atomic_fetch_add(&filler->serving, 1) == 0;
	for (;;) {
		if (do_job(hand) || do_soon(hand))
			continue;
		if (!hurried && atomic_load(&filler->hurried))
			ahead = hurried = true;
		if (ahead && (hurried || !first || atomic_load(&filler->serving) == 1 || atomic_load(&filler->waiting) > 0))
			ahead = do_ahead(hand);
		else
			poll(calls, hurried ? 1 : 2, -1);
	}
	return NULL;
}

/* What nobody has asked for and no trace names can wait until the app has what it needs to begin: nothing of that is left to do,
 * and no open has waited for a while. */
static void wait_for_lull(struct filler *filler)
{
	uint64_t began = now_us();
	while (now_us() - began < LULL_WITHIN_US && !atomic_load(&filler->hurried)) {
		bool busy = atomic_load(&filler->waiting) > 0 || atomic_load(&filler->next_hot) < filler->hot_frames;
		if (!busy && now_us() - atomic_load(&filler->asked_at) >= LULL_US)
			break;
		usleep(LULL_US / 4);
	}
}

/* What is left, and of that what will be needed soon first. */
static bool next_unasked(struct filler *filler, uint32_t *frame)
{
	if (foresee_next(filler, frame))
		return true;
	uint32_t at = atomic_fetch_add(&filler->next_cold, 1);
	if (at >= filler->order_count)
		return false;
	*frame = filler->order[at];
	return true;
}

/* All else is only for the time that the app leaves; a low priority alone would not do where the kernel gives each session its
 * share of a processor (sched(7), autogroup), so there is one of these less than processors. */
static void *fill_behind(void *argument)
{
	struct filler *filler = argument;
	struct hand *hand = take_hand(filler);
	struct fault fault = {0};
	uint32_t frame;
	if (!index_is_slow(filler->index)) /* there decoding is what the app waits for, and mostly one core is idle */
		wait_for_lull(filler);
	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), BACKGROUND_NICE);
	while (!atomic_load(&filler->stopped) && next_unasked(filler, &frame)) {
		/* What is decoded slowly is not decoded again by whoever needs it now: the rest of it takes less. */
		uint8_t claim = frame_is_slow(&filler->index->frames[frame]) ? FRAME_BUSY : FRAME_DRAFT;
		if (fill_unasked(hand, frame, claim, &fault) < 0)
			stop_background(filler, frame, &fault);
	}
	/* A thread that ends takes locks of the C library's, which a guard that is made at that moment would find taken for ever. */
	for (;;)
		pause();
	return NULL;
}

static unsigned behind(const struct filler *filler)
{
	if (filler->gate->mode == FILL_DEMAND || filler->hot_frames == filler->order_count)
		return 0;
	return filler->crew > 1 ? filler->crew - 1 : 1;
}

int hands_prepare(struct filler *filler, struct fault *fault)
{
	uint32_t stored = 0;
	filler->crew = processors();
	if (filler->crew > CREW_MAX)
		filler->crew = CREW_MAX;
	for (uint32_t f = 0; f < filler->index->head->frames; f++)
		if (plan_uses(&filler->gate->plan, f) && filler->index->frames[f].stored > stored)
			stored = filler->index->frames[f].stored;
	unsigned count = 1 + filler->crew + behind(filler);
	filler->hands = zeroed(count, sizeof *filler->hands);
	if (!filler->hands)
		return FAILED(fault, "no memory to fill with");
	for (unsigned i = 0; i < count; i++) {
		struct hand *hand = &filler->hands[i];
		*hand = (struct hand){.filler = filler, .cached = HOLE, .plain = malloc(filler->gate->plan.largest_plain)};
		image_prepare(filler->gate->image, &hand->codec);
		if (!hand->plain || codec_reserve(&hand->codec, stored, fault) < 0)
			return FAILED(fault, "no memory to fill with");
	}
	return 0;
}

void hands_look_ahead(struct filler *filler)
{
	filler->hot_end = filler->gate->mode == FILL_DEMAND ? 0 : filler->hot_frames;
}

void hands_begin_anew(struct filler *filler)
{
	for (unsigned i = 0; i < 1 + filler->crew + behind(filler); i++) {
		codec_forget(&filler->hands[i].codec);
		filler->hands[i].cached = HOLE;
	}
}

bool hands_start(struct filler *filler)
{
	pthread_t thread;
	unsigned count = 0;
	pthread_mutex_lock(&filler->turn);
	for (unsigned i = 0; i < filler->crew; i++)
		if (pthread_create(&thread, NULL, serve, filler) == 0) {
			crew_place(thread, i + 1);
			count++;
		}
	filler->has_threads = count > 0;
	if (!count) {
		pthread_mutex_unlock(&filler->turn);
		return false;
	}
	for (unsigned i = 0; i < behind(filler); i++)
		if (pthread_create(&thread, NULL, fill_behind, filler) != 0 && i == 0)
			atomic_store(&filler->stopped, true);
	return true;
}

void hands_begin(struct filler *filler)
{
	pthread_mutex_unlock(&filler->turn);
}
