/* Which frame serves which pieces of which files: the index turned around, once, before anything is filled. */
#ifndef TMPRUN_TREE_PLAN_H
#define TMPRUN_TREE_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fault.h"
#include "image/index.h"

struct plan {
	const struct index *index;
	uint32_t *owner;        /* a segment's file */
	uint64_t *at;           /* a segment's offset in its file */
	uint32_t *first_use;    /* frame f is used by uses[first_use[f] .. first_use[f + 1]) */
	uint32_t *uses;         /* segments, by frame */
	_Atomic uint32_t *left; /* a file's segments that are not written yet, holes not counted */
	uint8_t *in_run;        /* a flag a file: one thread gets all of it, piece after piece, with nothing in between */
	uint32_t *runs;         /* run r is frames runs[r] to runs[r + 1] - 1: what one thread claims at once */
	uint32_t run_count;
	uint32_t largest_plain; /* of all frames */
};

/* `wanted` is a flag a node, or NULL for all: segments of others are left out. Free it even when this fails. */
int plan_make(struct plan *plan, const struct index *index, const uint8_t *wanted, struct fault *fault);
void plan_free(struct plan *plan);

/* Whether anything of the frame is wanted. */
static inline bool plan_uses(const struct plan *plan, uint32_t frame)
{
	return plan->first_use[frame] < plan->first_use[frame + 1];
}

#endif
