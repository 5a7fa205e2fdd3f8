#include "image/walk.h"

#include <string.h>

/* What `name` in a directory is, or leads to. */
static uint32_t step(struct walk *walk, uint32_t at, const char *name, size_t length)
{
	const struct node *nodes = walk->index->nodes;
	if (length == 0 || (length == 1 && *name == '.'))
		return at;
	if (length == 2 && memcmp(name, "..", 2) == 0)
		return at ? nodes[at].parent : NOT_FOUND;
	uint32_t child = nodes[at].type == NODE_DIRECTORY ? index_child(walk->index, at, name, length) : 0;
	if (!child)
		return NOT_FOUND;
	return nodes[child].type == NODE_SYMLINK ? walk_link(walk, child) : child;
}

static uint32_t go(struct walk *walk, uint32_t at, const char *path, size_t length)
{
	const char *end = path + length;
	while (path < end && at != NOT_FOUND) {
		const char *slash = memchr(path, '/', (size_t)(end - path));
		const char *stop = slash ? slash : end;
		at = step(walk, at, path, (size_t)(stop - path));
		path = stop + 1;
	}
	return at;
}

/* One in another's text is followed one level deeper: no more levels than links. */
uint32_t walk_link(struct walk *walk, uint32_t link)
{
	const struct node *node = &walk->index->nodes[link];
	const char *target = walk->index->strings + node->a;
	walk->passed(walk->context, link);
	return *target == '/' || ++walk->links > MAX_LINKS ? NOT_FOUND : go(walk, node->parent, target, node->b);
}

static void ignore(void *context, uint32_t link)
{
	(void)context, (void)link;
}

uint32_t walk_to(const struct index *index, uint32_t directory, const char *path, size_t length)
{
	struct walk walk = {.index = index, .passed = ignore};
	uint32_t found = go(&walk, directory, path, length);
	return found != NOT_FOUND && index->nodes[found].type == NODE_HARD_LINK ? index->nodes[found].a : found;
}
