#include "start/select.h"

#include "base/file.h"
#include "base/pattern.h"
#include "base/system.h"
#include "image/walk.h"

#include <stdlib.h>
#include <string.h>

enum { WANTED = 1, TAKEN = 2 };

/* Each node is taken once, and waits once for what it needs to be looked at: all in time linear in the nodes. */
struct selection {
	const struct index *index;
	uint8_t *flags;
	uint32_t *waiting;
	uint32_t count;
};

static void take(void *context, uint32_t number)
{
	struct selection *selection = context;
	if (selection->flags[number] & TAKEN)
		return;
	selection->flags[number] |= TAKEN;
	selection->waiting[selection->count++] = number;
	for (uint32_t n = number; !(selection->flags[n] & WANTED); n = selection->index->nodes[n].parent)
		selection->flags[n] |= WANTED;
}

/* What a symlink leads to, and the links that one comes through. One that leads to the root would take everything. */
static void take_target(struct selection *selection, uint32_t link)
{
	struct trail trail = {.index = selection->index, .passed = take, .context = selection};
	uint32_t target = walk_link(&trail, link);
	if (target != NOT_FOUND && target != 0)
		take(selection, target);
}

static void take_what_it_needs(struct selection *selection, uint32_t number)
{
	const struct node *node = &selection->index->nodes[number];
	if (node->type == NODE_HARD_LINK)
		take(selection, node->a);
	if (node->type == NODE_SYMLINK)
		take_target(selection, number);
	for (uint32_t i = 0; node->type == NODE_DIRECTORY && i < node->b; i++)
		take(selection, node->a + i);
}

static char *without_slashes(char *pattern)
{
	while (*pattern == '/' || (pattern[0] == '.' && pattern[1] == '/'))
		pattern++;
	for (size_t length = strlen(pattern); length > 0 && pattern[length - 1] == '/'; length--)
		pattern[length - 1] = '\0';
	return pattern;
}

/* A pattern of nothing but slashes, or ".", is the whole image. */
static bool take_matches(struct selection *selection, const char *pattern)
{
	bool all = !pattern[*pattern == '.'], any = all;
	for (uint32_t n = 1; n < selection->index->head->nodes; n++) {
		char path[MAX_PATH + 1];
		index_path(selection->index, n, path);
		if (!all && !pattern_matches(pattern, path))
			continue;
		take(selection, n);
		any = true;
	}
	return any;
}

uint8_t *select_nodes(const struct index *index, char **patterns, int count, const char **missed)
{
	CLEANUP(free_pointer) uint32_t *waiting = calloc(index->head->nodes, sizeof *waiting);
	struct selection selection = {.index = index, .flags = calloc(index->head->nodes, 1), .waiting = waiting};
	*missed = NULL;
	if (!waiting || !selection.flags) {
		free(selection.flags);
		return NULL;
	}
	selection.flags[0] = WANTED;
	for (int i = 0; i < count; i++) {
		const char *pattern = without_slashes(patterns[i]);
		if (!take_matches(&selection, pattern) && !*missed)
			*missed = pattern;
	}
	for (uint32_t i = 0; i < selection.count; i++)
		take_what_it_needs(&selection, waiting[i]);
	return selection.flags;
}
