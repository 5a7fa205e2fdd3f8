#define _GNU_SOURCE
#include "tree/fill.h"

#include "base/crew.h"
#include "base/file.h"
#include "base/system.h"
#include "image/codec.h"
#include "image/index.h"
#include "tree/plan.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum { NODES_AT_ONCE = 64 };

/* One thread's own: where it is, what it decodes with, and the file that it last wrote to. */
struct hand {
	struct codec_state codec;
	uint8_t *plain;
	struct place place;
	int open;         /* descriptor of the file that it last wrote to, or -1 */
	uint32_t open_number;
};

struct fill {
	const struct image *image;
	const struct tree *tree;
	struct plan plan;
	unsigned crew;
	uint32_t batches; /* of nodes to be made */
	uint32_t names;   /* of them that are to be made here */
	struct hand hands[CREW_MAX];
	fill_piece *piece; /* when only looking */
	void *context;
};

/* Whether the node gets its name before there is content: the other files get theirs from whoever has all of their content. */
static bool makes_name(const struct fill *fill, uint32_t number)
{
	const struct node *node = &fill->tree->index->nodes[number];
	return tree_wants(fill->tree, number) && (node->type == NODE_SYMLINK || (node->type == NODE_FILE && !fill->plan.in_run[number]));
}

static int prepare(struct fill *fill, struct fault *fault)
{
	for (size_t i = 0; i < COUNT(fill->hands); i++) {
		fill->hands[i].place = NOWHERE;
		fill->hands[i].open = -1;
		image_prepare(fill->image, &fill->hands[i].codec);
	}
	if (plan_make(&fill->plan, fill->tree->index, fill->tree->wanted, fault) < 0)
		return -1;
	for (uint32_t n = 0; n < fill->plan.index->head->nodes; n++)
		fill->names += makes_name(fill, n);
	return 0;
}

static void clean_up(struct fill *fill)
{
	for (size_t i = 0; i < COUNT(fill->hands); i++) {
		struct hand *hand = &fill->hands[i];
		codec_free(&hand->codec);
		free(hand->plain);
		place_leave(&hand->place);
		close_fd(&hand->open);
	}
	plan_free(&fill->plan);
}

static int write_fault(const struct fill *fill, uint32_t number, struct fault *fault)
{
	int reason = errno;
	char path[MAX_PATH + 1];
	index_path(fill->plan.index, number, path);
	return BAD_STORE(fault, "cannot write ", path, ": ", reason_text(reason));
}

/* A file whose pieces come from several threads, or that has none: made at its full size, all zeros so far. */
static int make_sized(const struct fill *fill, struct hand *hand, uint32_t number, struct fault *fault)
{
	uint64_t size = fill->plan.index->nodes[number].size;
	bool finished = fill->plan.left[number] == 0;
	CLEANUP(close_fd) int fd = tree_make_file(fill->tree, &hand->place, number, finished, fault);
	if (fd < 0)
		return -1;
	if (size && ftruncate(fd, (off_t)size) < 0)
		return write_fault(fill, number, fault);
	return finished ? tree_finish_file(fill->tree, number, fd, true, fault) : 0;
}

static int make_nodes(void *context, unsigned me, uint32_t item, struct fault *fault)
{
	struct fill *fill = context;
	uint32_t batch = crew_batch(item, fill->batches, fill->crew);
	uint32_t end = (batch + 1) * NODES_AT_ONCE;
	if (end > fill->plan.index->head->nodes)
		end = fill->plan.index->head->nodes;
	for (uint32_t n = batch * NODES_AT_ONCE; n < end; n++) {
		int result = 0;
		if (!makes_name(fill, n))
			continue;
		if (fill->plan.index->nodes[n].type == NODE_SYMLINK)
			result = tree_make_symlink(fill->tree, &fill->hands[me].place, n, fault);
		else
			result = make_sized(fill, &fill->hands[me], n, fault);
		if (result < 0)
			return -1;
	}
	return 0;
}

static int write_piece(struct fill *fill, struct hand *hand, uint32_t segment, const uint8_t *bytes, struct fault *fault)
{
	uint32_t number = fill->plan.owner[segment];
	bool in_run = fill->plan.in_run[number];
	if (hand->open < 0 || hand->open_number != number) {
		close_fd(&hand->open);
		hand->open = in_run ? tree_make_file(fill->tree, &hand->place, number, true, fault)
				    : tree_open_file(fill->tree, &hand->place, number, fault);
		hand->open_number = number;
		if (hand->open < 0)
			return -1;
	}
	if (write_at(hand->open, bytes, fill->plan.index->segments[segment].length, fill->plan.at[segment]) < 0)
		return write_fault(fill, number, fault);
	/* Whoever writes the last piece sets the time: a later write would move it. */
	if (atomic_fetch_sub(&fill->plan.left[number], 1) > 1)
		return 0;
	return tree_finish_file(fill->tree, number, hand->open, in_run, fault);
}

static int pass_on(struct fill *fill, struct hand *hand, uint32_t segment, uint32_t file, const uint8_t *bytes, struct fault *fault)
{
	if (fill->piece)
		return fill->piece(fill->context, &hand->place, file, fill->plan.at[segment], bytes,
				   fill->plan.index->segments[segment].length, fault);
	return write_piece(fill, hand, segment, bytes, fault);
}

/* A frame that has been fetched, as number `which`. */
static int fill_frame(struct fill *fill, struct hand *hand, uint32_t number, size_t which, struct fault *fault)
{
	const struct plan *plan = &fill->plan;
	if (codec_decode(&hand->codec, &plan->index->frames[number], which, hand->plain, fault) < 0)
		return -1;
	for (uint32_t u = plan->first_use[number]; u < plan->first_use[number + 1]; u++) {
		uint32_t segment = plan->uses[u];
		const uint8_t *bytes = hand->plain + plan->index->segments[segment].offset;
		if (pass_on(fill, hand, segment, plan->owner[segment], bytes, fault) < 0)
			return -1;
	}
	return 0;
}

static int fill_run(void *context, unsigned me, uint32_t item, struct fault *fault)
{
	struct fill *fill = context;
	struct hand *hand = &fill->hands[me];
	const struct plan *plan = &fill->plan;
	if (!hand->plain && !(hand->plain = malloc(plan->largest_plain)))
		return FAILED(fault, "no memory for ", "a frame");
	for (uint32_t f = plan->runs[item]; f < plan->runs[item + 1];) {
		uint32_t numbers[2];
		const struct frame *frames[2];
		size_t count = 0;
		for (; f < plan->runs[item + 1] && count < 2; f++)
			if (plan_uses(plan, f)) {
				numbers[count] = f;
				frames[count++] = &plan->index->frames[f];
			}
		if (count && codec_fetch(&hand->codec, fill->image->fd, fill->image->base, frames, count, fault) < 0)
			return -1;
		for (size_t i = 0; i < count; i++)
			if (fill_frame(fill, hand, numbers[i], i, fault) < 0)
				return -1;
	}
	return 0;
}

int fill_files(const struct image *image, const struct tree *tree, unsigned hands, struct fault *fault)
{
	struct fill fill = {
		.image = image, .tree = tree, .crew = hands, .batches = (tree->index->head->nodes + NODES_AT_ONCE - 1) / NODES_AT_ONCE};
	int result = -1;
	if (prepare(&fill, fault) == 0 &&
	    crew_run(fill.names < NODES_AT_ONCE ? 1 : hands, crew_batches(fill.batches, hands), make_nodes, &fill, fault) == 0 &&
	    crew_run(hands, fill.plan.run_count, fill_run, &fill, fault) == 0)
		result = 0;
	clean_up(&fill);
	return result;
}

int fill_tree(const struct image *image, const struct tree *tree, unsigned hands, struct fault *fault)
{
	if (tree_make_directories(tree, fault) < 0 || fill_files(image, tree, hands, fault) < 0 || tree_make_hard_links(tree, fault) < 0)
		return -1;
	return tree_finish_directories(tree, fault);
}

int fill_each_piece(const struct image *image, const struct tree *tree, unsigned hands, fill_piece *piece, void *context,
		    struct fault *fault)
{
	struct fill fill = {.image = image, .tree = tree, .piece = piece, .context = context};
	int result = -1;
	if (prepare(&fill, fault) == 0)
		result = crew_run(hands, fill.plan.run_count, fill_run, &fill, fault);
	clean_up(&fill);
	return result;
}
