#include "image/walk.h"

#include <string.h>

/* What `name` in a directory is, or leads to. */
static uint32_t step(struct trail *trail, uint32_t at, const char *name, size_t length)
{
	const struct node *nodes = trail->index->nodes;
	if (length == 0 || (length == 1 && *name == '.'))
		return at;
	if (length == 2 && memcmp(name, "..", 2) == 0)
		return at ? nodes[at].parent : NOT_FOUND;
	uint32_t child = nodes[at].type == NODE_DIRECTORY ? index_child(trail->index, at, name, length) : 0;
	if (!child)
		return NOT_FOUND;
	return nodes[child].type == NODE_SYMLINK ? walk_link(trail, child) : child;
}

static uint32_t go(struct trail *trail, uint32_t at, const char *path, size_t length)
{
	const char *end = path + length;
	while (path < end && at != NOT_FOUND) {
		const char *slash = memchr(path, '/', (size_t)(end - path));
		const char *stop = slash ? slash : end;
		at = step(trail, at, path, (size_t)(stop - path));
		path = stop + 1;
	}
	return at;
}

/* One in another's text is followed one level deeper: no more levels than links. */
uint32_t walk_link(struct trail *trail, uint32_t link)
{
	const struct node *node = &trail->index->nodes[link];
	const char *target = trail->index->strings + node->a;
	trail->passed(trail->context, link);
	return *target == '/' || ++trail->links > MAX_LINKS ? NOT_FOUND : go(trail, node->parent, target, node->b);
}

static void ignore(void *context, uint32_t link)
{
	(void)context, (void)link;
}

uint32_t walk_to(const struct index *index, uint32_t directory, const char *path, size_t length)
{
	struct trail trail = {.index = index, .passed = ignore};
	uint32_t found = go(&trail, directory, path, length);
	return found != NOT_FOUND && index->nodes[found].type == NODE_HARD_LINK ? index->nodes[found].a : found;
}
