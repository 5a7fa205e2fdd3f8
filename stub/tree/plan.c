#include "tree/plan.h"

#include "base/system.h"

#include <stdlib.h>

/* Frames are claimed in runs of about this many plain bytes: a file should lie in one, and all threads should get their share. */
enum { RUN_PLAIN = 1 << 20, SHARES = 64 };

static bool wants(const uint8_t *wanted, uint32_t number)
{
	return !wanted || wanted[number];
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
	CLEANUP(free_pointer) uint32_t *next = zeroed(index->head->frames, sizeof *next);
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
	uint64_t all = 0, plain = 0;
	for (uint32_t f = 0; f < plan->index->head->frames; f++)
		all += plan_uses(plan, f) ? plan->index->frames[f].plain : 0;
	uint64_t limit = all / SHARES < RUN_PLAIN ? all / SHARES : RUN_PLAIN;
	for (uint32_t f = 0; f < plan->index->head->frames; f++) {
		uint32_t size = plan->index->frames[f].plain;
		if (!plan_uses(plan, f))
			continue;
		if (plan->run_count == 0 || plain + size > limit) {
			plan->runs[plan->run_count++] = f;
			plain = 0;
		}
		plain += size;
		if (size > plan->largest_plain)
			plan->largest_plain = size;
	}
	plan->runs[plan->run_count] = plan->index->head->frames;
}

/* Whether segment `s` ends its frame, the next one begins the frame behind that, and both belong to the same run. */
static bool goes_on(const struct plan *plan, uint32_t s, const uint8_t *begins)
{
	uint32_t f = plan->index->segments[s].frame, end = plan->first_use[f + 1];
	return plan->index->segments[s + 1].frame == f + 1 && !begins[f + 1] && plan->uses[end - 1] == s && plan->uses[end] == s + 1;
}

static int find_whole_files(struct plan *plan, struct fault *fault)
{
	const struct index *index = plan->index;
	CLEANUP(free_pointer) uint8_t *begins = zeroed((size_t)index->head->frames + 1, 1);
	if (!begins)
		return FAILED(fault, "no memory for the extraction");
	for (uint32_t r = 0; r < plan->run_count; r++)
		begins[plan->runs[r]] = 1;
	for (uint32_t n = 0; n < index->head->nodes; n++) {
		const struct node *node = &index->nodes[n];
		if (node->type != NODE_FILE || plan->left[n] != node->b || node->b == 0)
			continue; /* not wanted, or with holes */
		uint32_t s = node->a, last = node->a + node->b - 1;
		while (s < last && goes_on(plan, s, begins))
			s++;
		plan->in_run[n] = s == last;
	}
	return 0;
}

int plan_make(struct plan *plan, const struct index *index, const uint8_t *wanted, struct fault *fault)
{
	const struct index_head *head = index->head;
	*plan = (struct plan){.index = index};
	plan->owner = zeroed(head->segments, sizeof *plan->owner);
	plan->at = zeroed(head->segments, sizeof *plan->at);
	plan->first_use = zeroed((size_t)head->frames + 1, sizeof *plan->first_use);
	plan->uses = zeroed(head->segments, sizeof *plan->uses);
	plan->left = zeroed(head->nodes, sizeof *plan->left);
	plan->in_run = zeroed(head->nodes, sizeof *plan->in_run);
	plan->runs = zeroed((size_t)head->frames + 1, sizeof *plan->runs);
	if (!plan->owner || !plan->at || !plan->first_use || !plan->uses || !plan->left || !plan->in_run || !plan->runs)
		return FAILED(fault, "no memory for the extraction");
	if (map_segments(plan, wanted, fault) < 0)
		return -1;
	cut_runs(plan);
	return find_whole_files(plan, fault);
}

void plan_free(struct plan *plan)
{
	free(plan->owner);
	free(plan->at);
	free(plan->first_use);
	free(plan->uses);
	free(plan->left);
	free(plan->in_run);
	free(plan->runs);
	*plan = (struct plan){0};
}
