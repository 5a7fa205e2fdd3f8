/* The tree as it is when the app starts: everything has its name, and what cannot be gated its content. */
#define _GNU_SOURCE
#include "gate/skeleton.h"

#include "base/crew.h"
#include "base/system.h"
#include "image/index.h"
#include "tree/fill.h"
#include "tree/plan.h"
#include "tree/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	SPARE_DESCRIPTORS = 64, /* what the filler needs besides leases */
	NODES_AT_ONCE = 128,
	YIELDS = 50,
	PAGE = 4096, /* so much the last bytes of a file may take */
};

/* Some of what lies in one directory, which one thread makes: in a large directory only one can have the lock anyway. */
struct unit {
	uint32_t directory, first, end;
};

struct skeleton {
	struct gate *gate;
	pid_t process;
	struct unit *units; /* in the order of the index: what lies in a directory comes behind the directory itself */
	uint32_t count;
	uint8_t *open;      /* a flag a node: a directory that is there, and not finished */
	atomic_bool failed;
	struct place places[CREW_MAX];
};

static bool may_gate(const struct gate *gate, uint32_t number)
{
	const struct node *node = &gate->image->index.nodes[number];
	/* execve of a file that anybody has open for writing fails with ETXTBSY: executables are never gated. */
	return node->type == NODE_FILE && !(node->flags & NODE_FIRST) && gate->plan.left[number] > 0;
}

static uint32_t count_gated(const struct gate *gate, uint64_t smallest)
{
	uint32_t count = 0;
	for (uint32_t n = 0; n < gate->image->index.head->nodes; n++)
		count += may_gate(gate, n) && gate->image->index.nodes[n].size >= smallest;
	return count;
}

/* The size from which on files are gated, so that there are no more of them than `limit`. */
static uint64_t smallest_gated(const struct gate *gate, uint32_t limit)
{
	uint64_t low = 0, high = count_gated(gate, 0) > limit ? (uint64_t)1 << 62 : 0;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		if (count_gated(gate, middle) > limit)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static uint32_t descriptors(void)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur < 2 * SPARE_DESCRIPTORS)
		return 0;
	rlim_t most = files.rlim_cur > MAX_NODES ? MAX_NODES : files.rlim_cur - SPARE_DESCRIPTORS;
	return (uint32_t)(most - (most / 4 < 2 * TIES_MAX ? most / 4 : 2 * TIES_MAX));
}

/* Flag the slow frames that are decoded for files which are made up front. */
static void mark_decoded(const struct gate *gate, uint8_t *decoded)
{
	const struct index *index = &gate->image->index;
	for (uint32_t n = 0; n < index->head->nodes; n++)
		for (uint32_t s = index->nodes[n].a; gate->up_front[n] && s < index->nodes[n].a + index->nodes[n].b; s++)
			if (index->segments[s].frame != HOLE)
				decoded[index->segments[s].frame] = frame_is_slow(&index->frames[index->segments[s].frame]);
}

/* Whether every byte of the file lies in frames that are decoded anyway. */
static bool comes_along(const struct index *index, const struct node *node, const uint8_t *decoded)
{
	for (uint32_t s = node->a; s < node->a + node->b; s++)
		if (index->segments[s].frame != HOLE && !decoded[index->segments[s].frame])
			return false;
	return true;
}

/* Where only what is needed has room, nothing else is written. */
static bool has_room_for_all(const struct gate *gate)
{
	const struct index_head *head = gate->image->index.head;
	struct statvfs facts;
	return fstatvfs(gate->entry_fd, &facts) == 0 &&
	       (uint64_t)facts.f_bavail * facts.f_frsize > head->content_size + (uint64_t)head->nodes * PAGE;
}

/* What shares a slow frame with files that are made up front is made with them, rather than that it is decoded again. */
static int take_along(struct gate *gate, struct fault *fault)
{
	const struct index *index = &gate->image->index;
	gate->whole_frames = index_is_slow(index) && has_room_for_all(gate);
	if (!gate->whole_frames)
		return 0;
	CLEANUP(free_pointer) uint8_t *decoded = zeroed(index->head->frames, 1);
	if (!decoded)
		return FAILED(fault, "no memory to gate with");
	mark_decoded(gate, decoded);
	for (uint32_t n = 0; n < index->head->nodes; n++)
		if (index->nodes[n].type == NODE_FILE && !gate->up_front[n] && comes_along(index, &index->nodes[n], decoded)) {
			gate->up_front[n] = 1;
			gate->gated--;
		}
	return 0;
}

/* Flag what is made in full up front. When there are more files than descriptors, the largest are gated: they save most. */
static int choose(struct gate *gate, struct fault *fault)
{
	const struct index *index = &gate->image->index;
	gate->up_front = malloc(index->head->nodes);
	if (!gate->up_front)
		return FAILED(fault, "no memory to gate with");
	uint64_t smallest = smallest_gated(gate, descriptors());
	for (uint32_t n = 0; n < index->head->nodes; n++) {
		bool gated = may_gate(gate, n) && index->nodes[n].size >= smallest;
		gate->up_front[n] = index->nodes[n].type == NODE_FILE && !gated;
		gate->gated += gated;
		gate->shared->nodes[n].held = -1;
	}
	if (take_along(gate, fault) < 0)
		return -1;
	return gate->gated ? 0 : FAILED(fault, "nothing to gate");
}

/* Threads that share a descriptor table wait for an RCU grace period each time it grows (2 to 20 ms): grow it once, now. */
static int grow_table(struct gate *gate, struct fault *fault)
{
	gate->held_size = gate->gated + SPARE_DESCRIPTORS;
	gate->held_node = malloc(gate->held_size * sizeof *gate->held_node);
	if (!gate->held_node)
		return FAILED(fault, "no memory to gate with");
	memset(gate->held_node, 0xff, gate->held_size * sizeof *gate->held_node);
	struct rlimit files;
	int highest = (int)gate->held_size + 2 * TIES_MAX - 1;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && (rlim_t)highest >= files.rlim_cur)
		highest = (int)files.rlim_cur - 1;
	int grown = dup2(gate->entry_fd, highest);
	if (grown >= 0)
		close(grown);
	return 0;
}

static int gate_file(struct skeleton *skeleton, pid_t me, struct place *place, uint32_t number, struct fault *fault)
{
	struct gate *gate = skeleton->gate;
	const struct node *node = &gate->image->index.nodes[number];
	int fd = tree_make_file(&gate->tree, place, number, true, fault);
	if (fd < 0)
		return -1;
	/* The owner last: F_SETLEASE makes it the calling thread, and notices to any but a process's first are lost. */
	if (ftruncate(fd, (off_t)node->size) < 0 || tree_finish_file(&gate->tree, number, fd, true, fault) < 0 ||
	    fcntl(fd, F_SETSIG, GATE_SIGNAL) < 0 || fcntl(fd, F_SETLEASE, F_WRLCK) < 0 ||
	    (me != skeleton->process && fcntl(fd, F_SETOWN, skeleton->process) < 0) || (uint32_t)fd >= gate->held_size) {
		FAILED(fault, "cannot gate: ", reason_text(errno));
		close(fd);
		return -1;
	}
	gate->shared->nodes[number].taker = skeleton->process;
	gate->shared->nodes[number].held = fd;
	gate->held_node[fd] = number;
	return 0;
}

static bool comes_later(const struct gate *gate, uint32_t number)
{
	return gate->up_front[number] || gate->image->index.nodes[number].type == NODE_HARD_LINK;
}

static int make_node(struct skeleton *skeleton, pid_t thread, struct place *place, uint32_t number, struct fault *fault)
{
	const struct tree *tree = &skeleton->gate->tree;
	uint8_t type = tree->index->nodes[number].type;
	if (comes_later(skeleton->gate, number))
		return 0;
	if (type == NODE_FILE)
		return gate_file(skeleton, thread, place, number, fault);
	if (type == NODE_SYMLINK)
		return tree_make_symlink(tree, place, number, fault);
	if (tree_make_directory(tree, place, number, fault) < 0)
		return -1;
	__atomic_store_n(&skeleton->open[number], 1, __ATOMIC_RELEASE);
	return 0;
}

static int make_nodes(struct skeleton *skeleton, const struct unit *unit, struct place *place, struct fault *fault)
{
	const struct gate *gate = skeleton->gate;
	const struct node *directory = &gate->image->index.nodes[unit->directory];
	pid_t thread = (pid_t)syscall(SYS_gettid);
	bool whole = unit->end - unit->first == directory->b;
	for (uint32_t n = unit->first; n < unit->end; n++) {
		whole = whole && !comes_later(gate, n);
		if (make_node(skeleton, thread, place, n, fault) < 0)
			return -1;
	}
	if (!whole)
		return 0;
	skeleton->open[unit->directory] = 0;
	return tree_finish_directory(&gate->tree, place, unit->directory, fault);
}

static int make_unit(void *context, unsigned me, uint32_t item, struct fault *fault)
{
	struct skeleton *skeleton = context;
	const struct unit *unit = &skeleton->units[item];
	/* Whoever makes the directory has begun with it before we did with this. Many who wait shall not use up the processor time
	 * that our group may have. */
	for (int tries = 0; !__atomic_load_n(&skeleton->open[unit->directory], __ATOMIC_ACQUIRE); tries++) {
		if (atomic_load(&skeleton->failed))
			return 0;
		if (tries < YIELDS)
			sched_yield();
		else
			usleep(50);
	}
	int result = make_nodes(skeleton, unit, &skeleton->places[me], fault);
	if (result < 0)
		atomic_store(&skeleton->failed, true);
	return result;
}

static int cut_units(struct skeleton *skeleton, struct fault *fault)
{
	const struct index *index = &skeleton->gate->image->index;
	uint32_t nodes = index->head->nodes;
	/* Each node but the root lies in one directory. */
	skeleton->units = zeroed((size_t)nodes + nodes / NODES_AT_ONCE + 1, sizeof *skeleton->units);
	skeleton->open = zeroed(nodes, 1);
	if (!skeleton->units || !skeleton->open)
		return FAILED(fault, "no memory to gate with");
	skeleton->open[0] = 1;
	for (uint32_t n = 0; n < nodes; n++) {
		uint32_t at = index->nodes[n].a, end = at + index->nodes[n].b;
		if (index->nodes[n].type != NODE_DIRECTORY)
			continue;
		do {
			uint32_t stop = end - at > NODES_AT_ONCE ? at + NODES_AT_ONCE : end;
			skeleton->units[skeleton->count++] = (struct unit){n, at, stop};
			at = stop;
		} while (at < end);
	}
	return 0;
}

static int make_names(struct skeleton *skeleton, struct fault *fault)
{
	struct gate *gate = skeleton->gate;
	for (size_t i = 0; i < CREW_MAX; i++)
		skeleton->places[i] = NOWHERE;
	int result = crew_run(processors(), skeleton->count, make_unit, skeleton, fault);
	for (size_t i = 0; i < CREW_MAX; i++)
		place_leave(&skeleton->places[i]);
	if (result < 0)
		return -1;
	struct tree first = gate->tree, rest = gate->tree;
	first.wanted = gate->up_front;
	rest.wanted = skeleton->open;
	if (fill_files(gate->image, &first, processors(), fault) < 0 || tree_make_hard_links(&gate->tree, fault) < 0)
		return -1;
	return tree_finish_directories(&rest, fault);
}

int skeleton_make(struct gate *gate, struct fault *fault)
{
	struct skeleton skeleton = {.gate = gate, .process = getpid()};
	int result = -1;
	if (plan_make(&gate->plan, &gate->image->index, NULL, fault) == 0 && choose(gate, fault) == 0 && grow_table(gate, fault) == 0 &&
	    cut_units(&skeleton, fault) == 0)
		result = make_names(&skeleton, fault);
	free(skeleton.units);
	free(skeleton.open);
	return result;
}
