#include "start/select.h"

#include "base/file.h"
#include "base/pattern.h"
#include "base/system.h"

#include <stdlib.h>
#include <string.h>

/* As many links on one way as the kernel follows. */
enum { MAX_LINKS = 40 };
enum { WANTED = 1, TAKEN = 2 };
#define NOWHERE UINT32_MAX

/* Each node is taken once, and waits once for what it needs to be looked at: all in time linear in the nodes. */
struct selection {
	const struct index *index;
	uint8_t *flags;
	uint32_t *waiting;
	uint32_t count;
};

static void take(struct selection *selection, uint32_t number)
{
	if (selection->flags[number] & TAKEN)
		return;
	selection->flags[number] |= TAKEN;
	selection->waiting[selection->count++] = number;
	for (uint32_t n = number; !(selection->flags[n] & WANTED); n = selection->index->nodes[n].parent)
		selection->flags[n] |= WANTED;
}

static uint32_t follow(struct selection *selection, uint32_t link, unsigned *left);

/* What `name` in a directory is, or leads to, or NOWHERE. A link is taken. */
static uint32_t step(struct selection *selection, uint32_t directory, const char *name, size_t length, unsigned *left)
{
	const struct node *nodes = selection->index->nodes;
	if (length == 0 || (length == 1 && *name == '.'))
		return directory;
	if (length == 2 && memcmp(name, "..", 2) == 0)
		return nodes[directory].parent;
	uint32_t number = nodes[directory].type == NODE_DIRECTORY ? index_child(selection->index, directory, name, length) : 0;
	if (number == 0)
		return NOWHERE;
	if (nodes[number].type != NODE_SYMLINK)
		return number;
	take(selection, number);
	return follow(selection, number, left);
}

/* What a symlink leads to, as the kernel goes, or NOWHERE when that is not in the image. Links on the way are followed one level
 * deeper, `left` of them at the most. */
static uint32_t follow(struct selection *selection, uint32_t link, unsigned *left)
{
	const struct node *node = &selection->index->nodes[link];
	const char *path = selection->index->strings + node->a, *end = path + node->b;
	if (*path == '/' || *left == 0)
		return NOWHERE;
	--*left;
	uint32_t at = node->parent;
	while (path < end && at != NOWHERE) {
		const char *slash = memchr(path, '/', (size_t)(end - path));
		const char *stop = slash ? slash : end;
		at = step(selection, at, path, (size_t)(stop - path), left);
		path = stop + 1;
	}
	return at;
}

static void take_what_it_needs(struct selection *selection, uint32_t number)
{
	const struct node *node = &selection->index->nodes[number];
	if (node->type == NODE_HARD_LINK)
		take(selection, node->a);
	if (node->type == NODE_SYMLINK) {
		unsigned left = MAX_LINKS;
		uint32_t target = follow(selection, number, &left);
		if (target != NOWHERE && target != 0) /* one to the root would take everything */
			take(selection, target);
	}
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
	bool all = !*pattern || strcmp(pattern, ".") == 0, any = all;
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
