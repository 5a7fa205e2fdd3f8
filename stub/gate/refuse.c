#define _GNU_SOURCE
#include "gate/refuse.h"

#include "base/fault.h"
#include "base/file.h"
#include "base/system.h"
#include "base/text.h"
#include "gate/asks.h"
#include "gate/give_up.h"
#include "gate/hands.h"
#include "gate/waiters.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* Names in the entry, beside its tree. */
#define SPARE "spare"
#define SPARE_LINK "spare.1"

bool spare_make(struct filler *filler)
{
	const struct gate *gate = filler->gate;
	if (atomic_load(&gate->shared->spare) >= 0)
		return true;
	unlinkat(gate->entry_fd, SPARE, 0); /* of a filler that is no more */
	int fd = openat(gate->entry_fd, SPARE, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return false;
	if ((uint32_t)fd >= gate->held_size || fcntl(fd, F_SETSIG, GATE_SIGNAL) < 0 || fcntl(fd, F_SETLEASE, F_WRLCK) < 0 ||
	    fcntl(fd, F_SETOWN, getpid()) < 0) {
		close(fd);
		unlinkat(gate->entry_fd, SPARE, 0);
		return false;
	}
	atomic_store(&gate->shared->spare_taker, getpid());
	atomic_store(&gate->shared->spare, fd);
	return true;
}

/* By rename, which nobody sees half done; and as often as one likes: the spare keeps its own name until it has all others. A name
 * that the app has given to something else is the app's. */
static int put_at_name(const struct gate *gate, struct place *place, uint32_t name_of)
{
	struct fault ignored = {0};
	char name[MAX_NAME + 1];
	const struct node *node = &gate->image->index.nodes[name_of];
	index_name(&gate->image->index, node, name);
	int dir = tree_go(&gate->tree, place, node->parent, &ignored);
	if (dir < 0 || !is_named(dir, name, atomic_load(&gate->shared->old)))
		return 0;
	unlinkat(gate->entry_fd, SPARE_LINK, 0);
	if (linkat(gate->entry_fd, SPARE, gate->entry_fd, SPARE_LINK, 0) < 0)
		return -1;
	int result = renameat(gate->entry_fd, SPARE_LINK, dir, name);
	if (result < 0 && fchmod(dir, 0700) == 0)
		result = renameat(gate->entry_fd, SPARE_LINK, dir, name);
	tree_finish_directory(&gate->tree, place, node->parent, &ignored);
	return result;
}

/* Whether the old inode has still a name, which the app has made: whoever comes by that would read nothing. */
static bool has_other_names(const struct gate *gate)
{
	struct stat stat;
	return fstat(atomic_load(&gate->shared->old), &stat) < 0 || stat.st_nlink > 0;
}

static int put_at_names(const struct gate *gate, uint32_t number)
{
	const struct index *index = &gate->image->index;
	CLEANUP(place_leave) struct place place = NOWHERE;
	for (uint32_t n = 0; n < index->head->nodes; n++)
		if ((n == number || (index->nodes[n].type == NODE_HARD_LINK && index->nodes[n].a == number)) &&
		    put_at_name(gate, &place, n) < 0)
			return -1;
	unlinkat(gate->entry_fd, SPARE_LINK, 0);
	if (has_other_names(gate))
		return -1;
	unlinkat(gate->entry_fd, SPARE, 0);
	return 0;
}

/* The old inode keeps its lease: who resolved the name before arrives there, and waits. */
static int replace(struct filler *filler, uint32_t number)
{
	struct gate *gate = filler->gate;
	struct gate_shared *shared = gate->shared;
	struct fault ignored = {0};
	int fd = atomic_load(&shared->spare);
	int old = atomic_load(&shared->old);
	if (fd < 0 || ftruncate(fd, (off_t)filler->index->nodes[number].size) < 0 ||
	    tree_finish_file(&gate->tree, number, fd, false, &ignored) < 0)
		return -1;
	gate->held_node[fd] = number; /* notices of the new one may come at once */
	if (put_at_names(gate, number) < 0) {
		gate->held_node[fd] = NOBODY;
		return -1;
	}
	gate->held_node[old] = NOBODY;
	atomic_store(&shared->nodes[number].taker, atomic_load(&shared->spare_taker));
	atomic_store(&shared->nodes[number].held, fd);
	atomic_store(&shared->spare, -1);
	hands_forget(filler, number);
	return 0;
}

/* From here on nobody arrives at the old inode any more. Whoever we cannot see, as in another PID namespace, is let through when its
 * time is over, and reads that it has no content. It stays open: without a lease they would be let through now. */
static void empty_old(struct filler *filler, const char *why)
{
	struct gate_shared *shared = filler->gate->shared;
	int old = atomic_load(&shared->old);
	waiters_end(filler, old, atomic_load(&shared->old_taker), why);
	if (ftruncate(old, 0) < 0)
		debug_log("a file that cannot be filled cannot be emptied", (char *)NULL);
	atomic_store(&shared->refusing, NOBODY);
	spare_make(filler);
}

static void refuse(struct filler *filler, uint32_t number, const char *why)
{
	struct gate_shared *shared = filler->gate->shared;
	spare_make(filler);
	hands_hold(filler);
	int old = held(filler->gate, number), result = 0;
	if (old >= 0) {
		atomic_store(&shared->old, old);
		atomic_store(&shared->old_taker, shared->nodes[number].taker);
		atomic_store(&shared->refusing, number);
		result = replace(filler, number);
		ask_no_more(filler, number);
		/* The tree will not be complete: it goes when nobody uses it any more. */
		atomic_store(&filler->stopped, true);
	}
	hands_let_go(filler);
	if (old < 0)
		return; /* it has become complete meanwhile */
	if (result == 0) {
		empty_old(filler, why);
	} else {
		atomic_store(&shared->refusing, NOBODY);
		give_up(filler, why);
		/* Who cannot be ended must not read zeros. */
		if (ftruncate(old, 0) < 0)
			debug_log("a file that cannot be filled cannot be emptied", (char *)NULL);
	}
	/* Whoever opens it from now on may have more luck, for there may be room by then. */
	if (result == 0)
		atomic_store(&filler->asked[number], UNASKED);
}

void refuse_reported(struct filler *filler)
{
	char why[sizeof filler->reason];
	if (!atomic_exchange(&filler->refused, false))
		return;
	while (atomic_flag_test_and_set(&filler->refused_busy))
		sched_yield();
	join(why, sizeof why, filler->reason, (char *)NULL);
	atomic_flag_clear(&filler->refused_busy);
	for (uint32_t i = 0; i < filler->opened_count;) {
		uint32_t number = filler->opened[i];
		if (atomic_load(&filler->asked[number]) == REFUSED) {
			uint32_t before = filler->opened_count;
			refuse(filler, number, why);
			if (filler->opened_count < before)
				continue;
		}
		i++;
	}
}

void refuse_inherited(struct filler *filler)
{
	struct gate_shared *shared = filler->gate->shared;
	uint32_t number = atomic_load(&shared->refusing);
	if (number == NOBODY)
		return;
	/* Without a spare it has taken the place already. */
	if (atomic_load(&shared->spare) < 0 || replace(filler, number) == 0)
		empty_old(filler, "what unpacked it was killed");
	else
		atomic_store(&shared->refusing, NOBODY);
}
