#include "plan.h"

#include <stdlib.h>

/* Frames are claimed in runs of about this many plain bytes: enough to be worth an atomic operation, few enough to share. */
enum { RUN_PLAIN = 1 << 20 };

static bool wants(const uint8_t *wanted, uint32_t number)
{
	return !wanted || wanted[number];
}

static void *table(size_t count, size_t size)
{
	return calloc(count ? count : 1, size);
}

/* Which file each segment belongs to, and which segments each frame serves (a counting sort). */
static int map_segments(struct plan *plan, const uint8_t *wanted, struct fault *fault)
{
	const struct index *index = plan->index;
	for (uint32_t n = 0; n < index->head->nodes; n++) {
		const struct node *node = &index->nodes[n];
		uint64_t at = 0;
		for (uint32_t s = node->a; node->type == NODE_FILE && s < node->a + node->b; s++) {
			plan->owner[s] = n;
			plan->at[s] = at;
			at += index->segments[s].length;
			if (index->segments[s].frame != HOLE && wants(wanted, n)) {
				plan->first_use[index->segments[s].frame + 1]++;
				plan->left[n]++;
			}
		}
	}
	for (uint32_t f = 0; f < index->head->frames; f++)
		plan->first_use[f + 1] += plan->first_use[f];
	CLEANUP(free_pointer) uint32_t *next = table(index->head->frames, sizeof *next);
	if (!next)
		return FAILED(fault, "no memory for the extraction");
	for (uint32_t s = 0; s < index->head->segments; s++) {
		uint32_t f = index->segments[s].frame;
		if (f != HOLE && wants(wanted, plan->owner[s]))
			plan->uses[plan->first_use[f] + next[f]++] = s;
	}
	return 0;
}

static void cut_runs(struct plan *plan)
{
	uint64_t plain = RUN_PLAIN;
	for (uint32_t f = 0; f < plan->index->head->frames; f++) {
		const struct frame *frame = &plan->index->frames[f];
		if (plain + frame->plain > RUN_PLAIN) {
			plan->runs[plan->run_count++] = f;
			plain = 0;
		}
		plain += frame->plain;
		if (frame->plain > plan->largest_plain)
			plan->largest_plain = frame->plain;
	}
	plan->runs[plan->run_count] = plan->index->head->frames;
}

int plan_make(struct plan *plan, const struct index *index, const uint8_t *wanted, struct fault *fault)
{
	const struct index_head *head = index->head;
	*plan = (struct plan){.index = index};
	plan->owner = table(head->segments, sizeof *plan->owner);
	plan->at = table(head->segments, sizeof *plan->at);
	plan->first_use = table((size_t)head->frames + 1, sizeof *plan->first_use);
	plan->uses = table(head->segments, sizeof *plan->uses);
	plan->left = table(head->nodes, sizeof *plan->left);
	plan->runs = table((size_t)head->frames + 1, sizeof *plan->runs);
	if (!plan->owner || !plan->at || !plan->first_use || !plan->uses || !plan->left || !plan->runs)
		return FAILED(fault, "no memory for the extraction");
	if (map_segments(plan, wanted, fault) < 0)
		return -1;
	cut_runs(plan);
	return 0;
}

void plan_free(struct plan *plan)
{
	free(plan->owner);
	free(plan->at);
	free(plan->first_use);
	free(plan->uses);
	free(plan->left);
	free(plan->runs);
	*plan = (struct plan){0};
}
