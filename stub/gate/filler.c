/* The filler: serves opens that wait, fills the rest, and has a guard that takes over when it is killed.
 *
 * Two processes share every leased descriptor, so that no lease falls when one of them dies: the filler works, the guard waits.
 * What is complete stands in memory that both see. A file is marked complete when its bytes and time are right and only then
 * released; a guard that takes over releases what is marked and fills the rest again, with the same bytes. */
#define _GNU_SOURCE
#include "base/crew.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/system.h"
#include "base/text.h"
#include "gate/gate.h"
#include "gate/trace.h"
#include "image/codec.h"
#include "image/index.h"
#include "store/users.h"
#include "store/watch.h"
#include "tree/plan.h"
#include "tree/remove.h"
#include "tree/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	BEAT_MS = 1000,
	MISSED_BEATS = 3,    /* then the filler is stopped, or as good as dead */
	TAKEOVER_US = (MISSED_BEATS + 2) * BEAT_MS * 1000, /* a filler that is no more may have been deaf for so long */
	QUIET_MS = 3000,     /* how often it is asked whether anybody still uses the tree */
	BACKGROUND_NICE = 10,
	QUIET_US = 40000,
	PATIENCE_US = 2000000,
};

/* A frame's way. A draft is decoded on a low priority and may be taken away by whoever needs it now. */
enum frame_state { FRAME_TODO, FRAME_DRAFT, FRAME_BUSY, FRAME_DONE };

/* A gated file's way: nobody has opened it, somebody waits for it, it is there. */
enum asking { UNASKED, ASKED, ANSWERED };

struct filler {
	struct gate *gate;
	const struct index *index;
	_Atomic uint8_t *frames;     /* enum frame_state each */

	uint32_t *jobs;              /* segments that somebody waits for, in order; only the main thread adds */
	uint32_t job_count;
	atomic_uint next_job;
	atomic_uint hands;           /* threads that serve */
	int job_tickets;             /* an eventfd that holds as many as there are jobs not yet taken */
	_Atomic uint8_t *asked;      /* enum asking, a node each */
	atomic_int waiting;          /* nodes that are ASKED */
	uint32_t *opened;            /* nodes in the order in which they were asked for */
	uint64_t *opened_at;         /* when, at the earliest; now_us() */
	uint32_t opened_count;
	uint32_t served;             /* so many of the first of them are complete */
	uint64_t looked_at;          /* when the main thread last knew of everybody who waits */

	uint32_t *order;             /* frames for the background, hot ones first */
	uint32_t order_count, hot_frames;
	atomic_uint next_hot, next_cold;
	uint8_t *written;            /* a flag a segment, for frames that could be written in part only */
	uint32_t *hot;
	uint32_t hot_count;
	_Atomic uint64_t asked_at;   /* when an open last waited, or the app began: now_us */
	atomic_bool tired;           /* the background met a fault: it stops, and files stay gated */

	uint64_t patience;           /* microseconds until it is asked again whether anybody uses the tree */
	pid_t guard;
	int guard_pipe;
};

struct hand {
	struct filler *filler;
	struct codec_state codec;
	uint8_t *plain;
	uint32_t cached;             /* the frame in `plain`, or HOLE */
};

/* --- The end of an app that cannot be given its bytes ------------------------------------------------------------- */

/* What the app's user is told, and where that was said last: processes of one app share their stderr. */
struct last_words {
	const char *text;
	dev_t device;
	ino_t inode;
};

static void say(pid_t pid, struct last_words *words)
{
	char path[48], number[24], line[1200];
	struct stat stat;
	join(path, sizeof path, "/proc/", decimal(number, (uint64_t)pid), "/fd/2", (char *)NULL);
	CLEANUP(close_fd) int fd = open(path, O_WRONLY | O_APPEND | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &stat) < 0 || (stat.st_dev == words->device && stat.st_ino == words->inode))
		return;
	words->device = stat.st_dev;
	words->inode = stat.st_ino;
	join(line, sizeof line, "tmprun: the app was ended, since a file of it cannot be unpacked: ", words->text, "\n", (char *)NULL);
	if (write(fd, line, strlen(line)) < 0)
		return;
}

static void end_process(pid_t pid, void *words)
{
	say(pid, words);
	kill(pid, SIGKILL);
}

static int users(const struct filler *filler, void (*act)(pid_t, void *), void *context)
{
	char link[40], number[24], path[PATH_MAX];
	pid_t ours[] = {getpid(), filler->guard, 0};
	/* Its path as it is now, which is what /proc shows of those who use it: other stores have a tree of the same name. */
	join(link, sizeof link, "/proc/self/fd/", decimal(number, (uint64_t)filler->gate->entry), (char *)NULL);
	ssize_t length = readlink(link, path, sizeof path - 2);
	if (length <= 0)
		return -1;
	static const char deleted[] = " (deleted)";
	size_t mark = sizeof deleted - 1, end = (size_t)length;
	if (end > mark && memcmp(path + end - mark, deleted, mark) == 0)
		end -= mark;
	path[end] = '/';
	path[end + 1] = '\0';
	return users_each(path, ours, act, context);
}

/* Take the entry out of the store, unless another one is there by now. */
static void remove_entry(const struct gate *gate)
{
	struct stat mine, there;
	CLEANUP(close_fd) int trees = openat(gate->entry, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(close_fd) int trash = openat(gate->entry, "../../trash", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (trees < 0 || trash < 0 || fstat(gate->entry, &mine) < 0 || fstatat(trees, gate->key, &there, AT_SYMLINK_NOFOLLOW) < 0 ||
	    mine.st_ino != there.st_ino || mine.st_dev != there.st_dev)
		return;
	char name[2 * SHA256_SIZE + 32], number[24];
	join(name, sizeof name, gate->key, ".", decimal(number, (uint64_t)getpid()), (char *)NULL);
	if (renameat(trees, gate->key, trash, name) == 0)
		tree_remove(trash, name);
}

static void dismiss_guard(struct filler *filler)
{
	if (filler->guard <= 0)
		return;
	kill(filler->guard, SIGKILL);
	waitpid(filler->guard, NULL, 0); /* nobody else would, in a container whose first process is just some program */
}

static _Noreturn void leave(struct filler *filler, bool with_entry)
{
	trace_save(filler->gate->trace, filler->index, filler->opened, filler->opened_count, filler->hot, filler->hot_count);
	if (with_entry)
		remove_entry(filler->gate); /* when it is gone the trace is there */
	dismiss_guard(filler);
	_exit(0);
}

/* Zeros must never be read: whoever uses the tree is ended, and the tree with them. */
static _Noreturn void give_up(struct filler *filler, const char *why)
{
	static atomic_flag giving_up = ATOMIC_FLAG_INIT;
	struct last_words words = {.text = why};
	while (atomic_flag_test_and_set(&giving_up))
		pause(); /* another thread is at it */
	/* Again, since one that was just being forked may have been missed. */
	for (int round = 0; round < 100 && users(filler, end_process, &words) > 0; round++)
		usleep(10000);
	remove_entry(filler->gate);
	dismiss_guard(filler);
	_exit(1);
}

/* --- Filling ------------------------------------------------------------------------------------------------------ */

static void release(struct filler *filler, uint32_t number)
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
	release(filler, number);
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
static void grow_tired(struct filler *filler, uint32_t number, const struct fault *fault)
{
	atomic_store(&filler->tired, true);
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
	if (at >= filler->hot_frames || atomic_load(&filler->tired))
		return false;
	if (fill_unasked(hand, filler->order[at], FRAME_BUSY, &fault) < 0)
		grow_tired(filler, filler->order[at], &fault);
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
static void wait_for_quiet(struct filler *filler)
{
	uint64_t began = now_us();
	while (now_us() - began < PATIENCE_US) {
		bool busy = atomic_load(&filler->waiting) > 0 || atomic_load(&filler->next_hot) < filler->hot_frames;
		if (!busy && now_us() - atomic_load(&filler->asked_at) >= QUIET_US)
			break;
		usleep(QUIET_US / 4);
	}
}

/* All else is only for the time that the app leaves; a low priority alone would not do where the kernel gives each session its
 * share of a processor (sched(7), autogroup), so there is one of these less than processors. */
static void *fill_behind(void *argument)
{
	struct hand hand = {.filler = argument};
	struct filler *filler = argument;
	struct fault fault = {0};
	wait_for_quiet(filler);
	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), BACKGROUND_NICE);
	bool ready = hand_ready(&hand);
	while (ready && !atomic_load(&filler->tired)) {
		uint32_t at = atomic_fetch_add(&filler->next_cold, 1);
		if (at >= filler->order_count)
			break;
		if (fill_unasked(&hand, filler->order[at], FRAME_DRAFT, &fault) < 0)
			grow_tired(filler, filler->order[at], &fault);
	}
	codec_free(&hand.codec);
	free(hand.plain);
	return NULL;
}

/* --- What is asked for -------------------------------------------------------------------------------------------- */

static void ask(struct filler *filler, uint32_t number)
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

/* Anything but a write lease means that an opener waits: its notice was lost, or went to a filler that is no more. */
static void ask_all_broken(struct filler *filler)
{
	const struct gate *gate = filler->gate;
	for (uint32_t n = 0; n < filler->index->head->nodes; n++) {
		int fd = gate->held[n];
		if (fd >= 0 && filler->asked[n] == UNASKED && fcntl(fd, F_GETLEASE) != F_WRLCK && gate->held[n] == fd)
			ask(filler, n);
	}
}

/* When the kernel is about to let an opener through to a file that is not full. */
static void mind_the_time(struct filler *filler)
{
	struct gate_shared *shared = filler->gate->shared;
	while (filler->served < filler->opened_count && __atomic_load_n(&shared->complete[filler->opened[filler->served]], __ATOMIC_ACQUIRE))
		filler->served++;
	uint64_t since = filler->served < filler->opened_count ? filler->opened_at[filler->served] : 0;
	atomic_store(&shared->waiting_since, since);
	if (!since)
		return;
	long patience = gate_break_time();
	if (patience > 0 && now_us() - since > (uint64_t)patience * 750000)
		give_up(filler, "it takes too long; try again with TMPRUN_FILL=eager");
}

/* --- The guard ---------------------------------------------------------------------------------------------------- */

static void guard_spawn(struct filler *filler);

/* Wait until the filler is dead, or does not move: then do its work. */
static _Noreturn void guard_main(struct gate *gate, int pipe, pid_t watched)
{
	uint32_t beat = atomic_load(&gate->shared->beat);
	unsigned missed = 0;
	prctl(PR_SET_NAME, GUARD_NAME);
	for (;;) {
		struct pollfd events = {.fd = pipe};
		if (poll(&events, 1, BEAT_MS) > 0)
			break; /* its end of the pipe is closed */
		uint32_t now = atomic_load(&gate->shared->beat);
		missed = now == beat ? missed + 1 : 0;
		beat = now;
		if (missed >= MISSED_BEATS && getppid() == watched)
			kill(watched, SIGKILL); /* stopped: two must not work at once */
	}
	close(pipe);
	filler_run(gate, true);
}

static void guard_spawn(struct filler *filler)
{
	int ends[2];
	pid_t self = getpid();
	close_fd(&filler->guard_pipe);
	filler->guard = 0;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return;
	pid_t guard = fork();
	if (guard == 0) {
		close(ends[1]);
		close(filler->job_tickets); /* it would have its own */
		guard_main(filler->gate, ends[0], self);
	}
	close(ends[0]);
	if (guard < 0) {
		close(ends[1]);
		return;
	}
	filler->guard = guard;
	filler->guard_pipe = ends[1];
}

/* --- The main thread ---------------------------------------------------------------------------------------------- */

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
	*filler = (struct filler){.gate = gate, .index = &gate->image->index, .guard_pipe = -1, .patience = QUIET_MS * 1000u,
				  .job_tickets = eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC)};
	filler->frames = table(head->frames, 1);
	filler->jobs = table(head->segments, sizeof *filler->jobs);
	filler->asked = table(head->nodes, 1);
	filler->opened = table(head->nodes, sizeof *filler->opened);
	filler->opened_at = table(head->nodes, sizeof *filler->opened_at);
	filler->written = table(head->segments, 1);
	filler->order = table(head->frames, sizeof *filler->order);
	filler->hot = table(head->nodes, sizeof *filler->hot);
	if (!filler->frames || !filler->jobs || !filler->asked || !filler->opened || !filler->opened_at || !filler->written || !filler->order ||
	    !filler->hot || filler->job_tickets < 0)
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
		if (gate->now[n])
			continue;
		bool complete = __atomic_load_n(&gate->shared->complete[n], __ATOMIC_ACQUIRE);
		done += complete;
		if (gate->held[n] < 0)
			continue;
		if (complete) {
			release(filler, n);
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

static void start_threads(struct filler *filler)
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
			atomic_store(&filler->tired, true);
}

/* The last descriptor of the lease is closed, and nobody stands in the tree: nobody will ever open a file of it. When that
 * is so the lock is kept to the end, so that no other start can join. */
static bool deserted(struct filler *filler)
{
	CLEANUP(close_fd) int lease = openat(filler->gate->entry, "lease", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (lease < 0 && errno != ENOENT) /* but ENOENT: somebody removed the store */
		return false;
	if (lease >= 0 && flock(lease, LOCK_EX | LOCK_NB) < 0)
		return false;
	if (users(filler, NULL, NULL) != 0) {
		/* A look through all processes is not cheap: less and less often, as long as somebody is there. */
		if (filler->patience < 20 * QUIET_MS * 1000u)
			filler->patience *= 2;
		return false;
	}
	lease = -1;
	return true;
}

/* Everything is there: say so and leave. While that cannot be written down, stay; starts may still join, and when the last
 * app has ended the entry goes. */
static void complete(struct filler *filler)
{
	unlinkat(filler->gate->entry, "watch.new", 0); /* of an earlier attempt */
	if (watch_write(filler->gate->entry, filler->index) == 0)
		leave(filler, false);
	atomic_store(&filler->tired, true);
}

static void housekeeping(struct filler *filler, uint64_t *quiet_since)
{
	atomic_fetch_add(&filler->gate->shared->beat, 1);
	if (!filler->guard || waitpid(filler->guard, NULL, WNOHANG) == filler->guard)
		guard_spawn(filler);
	ask_all_broken(filler);
	mind_the_time(filler);
	bool only_serving = filler->gate->mode == FILL_DEMAND || atomic_load(&filler->tired);
	if (!only_serving || now_us() - *quiet_since < filler->patience)
		return;
	*quiet_since = now_us();
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
	uint64_t now = now_us(), quiet_since = now, beaten = now;
	sigset_t awaited;
	prctl(PR_SET_NAME, FILLER_NAME);
	if (!filler_init(&filler, gate))
		give_up(&filler, "no memory");
	atomic_store(&filler.asked_at, now_us());
	filler.looked_at = now;
	if (inherited)
		inherit(&filler);
	guard_spawn(&filler);
	if (!filler.guard && gate->report >= 0)
		_exit(1); /* the app may only go when there are two of us */
	say_go(gate);
	start_threads(&filler);
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
			complete(&filler);
		now = now_us();
		if (signal < 0 || signal == SIGCHLD || now - beaten > BEAT_MS * 500u) {
			beaten = now;
			housekeeping(&filler, &quiet_since);
		}
		filler.looked_at = now;
	}
}
