#include "foreign/find.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>

enum { MAX_LINKS = 40 /* as many as the kernel follows */ };

/* Where we are on the way: in a directory, or at a file in it (0: at none); and what is left of the path. */
struct walk {
	const struct index *index;
	uint32_t directory, file;
	unsigned links;
	size_t length;
	char left[2 * PATH_MAX];
};

static bool is_name(const char *name, size_t length, const char *text)
{
	return strlen(text) == length && memcmp(name, text, length) == 0;
}

/* A symlink's text takes the place of its name. */
static bool follow(struct walk *walk, const struct node *link, size_t rest)
{
	const char *target = walk->index->strings + link->a;
	size_t behind = walk->length - rest;
	if (++walk->links > MAX_LINKS || target[0] == '/' || link->b + behind > sizeof walk->left)
		return false;
	memmove(walk->left + link->b, walk->left + rest, behind);
	memcpy(walk->left, target, link->b);
	walk->length = link->b + behind;
	return true;
}

static void drop(struct walk *walk, size_t length)
{
	memmove(walk->left, walk->left + length, walk->length - length);
	walk->length -= length;
}

static bool go_up(struct walk *walk)
{
	if (!walk->file && walk->directory == 0)
		return false;
	if (!walk->file)
		walk->directory = walk->index->nodes[walk->directory].parent;
	walk->file = 0;
	return true;
}

/* One name of the path, with the slash behind it still in front of the rest. */
static bool step(struct walk *walk, size_t length)
{
	const char *name = walk->left;
	if (length == 0 || is_name(name, length, ".") || is_name(name, length, "..")) {
		bool fine = length < 2 || go_up(walk);
		drop(walk, length);
		return fine;
	}
	uint32_t child = walk->file || length > MAX_NAME ? 0 : index_child(walk->index, walk->directory, name, length);
	if (!child)
		return false;
	const struct node *node = &walk->index->nodes[child];
	if (node->type == NODE_SYMLINK)
		return follow(walk, node, length);
	if (node->type == NODE_DIRECTORY)
		walk->directory = child;
	else
		walk->file = node->type == NODE_HARD_LINK ? node->a : child;
	drop(walk, length);
	return true;
}

uint32_t find_from(const struct index *index, uint32_t directory, const char *path, size_t length)
{
	struct walk walk = {.index = index, .directory = directory, .length = length};
	if (length > sizeof walk.left)
		return NOT_FOUND;
	memcpy(walk.left, path, length);
	while (walk.length) {
		const char *slash = memchr(walk.left, '/', walk.length);
		if (slash == walk.left)
			drop(&walk, 1);
		else if (!step(&walk, slash ? (size_t)(slash - walk.left) : walk.length))
			return NOT_FOUND;
	}
	return walk.file ? walk.file : walk.directory;
}
