#include "squashfs/encode.h"

#include "base/system.h"
#include "squashfs/order.h"
#include "squashfs/strings.h"

#include <stdlib.h>
#include <string.h>

/* Numbers of items: each directory's by name, and all in the order of the index. */
struct numbering {
	uint32_t *by_name, *order;
};

static int no_memory(struct fault *fault)
{
	return FAILED(fault, "no memory for the index");
}

static int compare_names(const void *context, uint32_t left, uint32_t right)
{
	const struct tree *tree = context;
	const struct item *one = item_at(tree, left), *other = item_at(tree, right);
	size_t shorter = one->name_length < other->name_length ? one->name_length : other->name_length;
	int order = memcmp(tree->directories.plain + one->name, tree->directories.plain + other->name, shorter);
	return order ? order : (one->name_length > other->name_length) - (one->name_length < other->name_length);
}

/* What lies in the directory, by name; no name may be there twice. */
static int sort_names(const struct tree *tree, const struct item *directory, uint32_t *by_name, uint32_t *spare, struct fault *fault)
{
	char text[QUOTED_SIZE];
	uint32_t *own = by_name + directory->a;
	order_sort(own, spare, directory->b, compare_names, tree);
	for (uint32_t i = 1; i < directory->b; i++)
		if (compare_names(tree, own[i - 1], own[i]) == 0) {
			const struct item *item = item_at(tree, own[i]);
			return BAD_IMAGE(fault, "two entries are named ",
					 quoted(text, tree->directories.plain + item->name, item->name_length));
		}
	return 0;
}

/* Number what lies in the directory, from `next` on. */
static int number_children(const struct tree *tree, uint32_t number, const struct numbering *numbering, uint32_t next, struct fault *fault)
{
	const struct item *directory = item_at(tree, number);
	if (directory->b && directory->depth >= MAX_DEPTH)
		return BAD_IMAGE(fault, "directories are nested deeper than 256");
	for (uint32_t i = 0; i < directory->b; i++) {
		uint32_t child = numbering->by_name[directory->a + i];
		struct item *item = item_at(tree, child);
		uint32_t path = directory->path + (directory->path ? 1u : 0u) + item->name_length;
		if (path > MAX_PATH)
			return BAD_IMAGE(fault, "a path is longer than 3072 bytes");
		item->path = (uint16_t)path;
		item->depth = (uint16_t)(directory->depth + 1);
		item->number = next + i;
		numbering->order[next + i] = child;
	}
	return 0;
}

/* Breadth first, as docs/format.md says: what lies in the directories, in the order of the directories. */
static int number_all(const struct tree *tree, const struct numbering *numbering, struct fault *fault)
{
	uint32_t next = 1;
	CLEANUP(free_pointer) uint32_t *spare = zeroed(tree->items.count, sizeof *spare);
	if (!spare)
		return no_memory(fault);
	for (uint32_t at = 0; at < next; at++) {
		const struct item *item = item_at(tree, numbering->order[at]);
		if (item->type != NODE_DIRECTORY)
			continue;
		if (sort_names(tree, item, numbering->by_name, spare, fault) < 0 ||
		    number_children(tree, numbering->order[at], numbering, next, fault) < 0)
			return -1;
		next += item->b;
	}
	return 0;
}

/* The tables of the index in the making. */
struct rows {
	struct tree *tree;
	struct strings strings;
	struct node *nodes;
	struct segment *segments;
	uint32_t child, segment; /* what the next directory's first child, and the next file's first segment, will be */
	uint64_t content;
};

static void add_segments(struct rows *rows, const struct item *item)
{
	const struct run *runs = rows->tree->blocks->runs.at;
	for (uint32_t i = 0; i < item->b; i++)
		rows->segments[rows->segment++] = blocks_segment(rows->tree->blocks, &runs[item->a + i]);
}

static int add_content(struct rows *rows, const struct item *item, struct node *node, struct fault *fault)
{
	node->size = item->size;
	node->b = item->b;
	switch (item->type) {
	case NODE_DIRECTORY:
		node->a = rows->child;
		rows->child += item->b;
		return 0;
	case NODE_FILE:
		node->a = rows->segment;
		rows->content += item->size;
		add_segments(rows, item);
		return 0;
	case NODE_SYMLINK:
		return strings_add(&rows->strings, rows->tree->inodes.plain + item->a, item->b, &node->a, fault);
	default:
		node->a = item_at(rows->tree, item->a)->number;
		return 0;
	}
}

static int add_node(struct rows *rows, const struct item *item, struct fault *fault)
{
	struct node *node = &rows->nodes[item->number];
	*node = (struct node){.name_length = item->name_length,
			      .mode = item->mode,
			      .type = item->type,
			      .flags = item->first && item->type == NODE_FILE ? NODE_FIRST : 0,
			      .parent = item_at(rows->tree, item->parent)->number,
			      .mtime = item->mtime};
	if (add_content(rows, item, node, fault) < 0)
		return -1;
	if (item->number == 0)
		return 0;
	return strings_add(&rows->strings, rows->tree->directories.plain + item->name, item->name_length, &node->name, fault);
}

static int add_nodes(struct rows *rows, const uint32_t *order, struct fault *fault)
{
	const struct tree *tree = rows->tree;
	uint32_t count = tree->items.count;
	rows->child = 1;
	rows->nodes = zeroed(count, sizeof *rows->nodes);
	rows->segments = zeroed(tree->blocks->runs.count, sizeof *rows->segments);
	if (!rows->nodes || !rows->segments)
		return no_memory(fault);
	if (strings_begin(&rows->strings, count + tree->symlinks, tree->directories.used, fault) < 0)
		return -1;
	for (uint32_t i = 0; i < count; i++)
		if (add_node(rows, item_at(tree, order[i]), fault) < 0)
			return -1;
	return 0;
}

static uint8_t *put(uint8_t *at, const void *bytes, size_t size)
{
	return size ? (uint8_t *)memcpy(at, bytes, size) + size : at;
}

static int join_up(const struct rows *rows, struct table *table, struct fault *fault)
{
	static const char metadata[] = "{}";
	const struct blocks *blocks = rows->tree->blocks;
	struct index_head head = {.frames = blocks->frame_count,
				  .nodes = rows->tree->items.count,
				  .segments = rows->segment,
				  .strings = (uint32_t)rows->strings.used,
				  .metadata = sizeof metadata - 1,
				  .flags = INDEX_FOREIGN,
				  .content_size = rows->content,
				  .image_size = blocks->source->size};
	memcpy(head.magic, INDEX_MAGIC, sizeof head.magic);
	size_t frames = head.frames * sizeof(struct frame), nodes = head.nodes * sizeof(struct node);
	size_t segments = head.segments * sizeof(struct segment);
	table->size = sizeof head + frames + nodes + segments + head.strings + head.metadata;
	if (table->size > MAX_INDEX)
		return BAD_IMAGE(fault, "its index is larger than 128 MiB");
	uint8_t *at = table->bytes = malloc(table->size);
	if (!at)
		return no_memory(fault);
	at = put(at, &head, sizeof head);
	at = put(at, blocks->frames, frames);
	at = put(at, rows->nodes, nodes);
	at = put(at, rows->segments, segments);
	at = put(at, rows->strings.pool, head.strings);
	put(at, metadata, head.metadata);
	return 0;
}

static void rows_free(struct rows *rows)
{
	strings_free(&rows->strings);
	free(rows->nodes);
	free(rows->segments);
}

int encode(struct tree *tree, struct table *table, struct fault *fault)
{
	CLEANUP(rows_free) struct rows rows = {.tree = tree};
	CLEANUP(free_pointer) uint32_t *by_name = zeroed(tree->items.count, sizeof *by_name);
	CLEANUP(free_pointer) uint32_t *order = zeroed(tree->items.count, sizeof *order);
	*table = (struct table){0};
	if (!by_name || !order)
		return no_memory(fault);
	for (uint32_t i = 0; i < tree->items.count; i++)
		by_name[i] = i;
	const struct numbering numbering = {by_name, order};
	if (number_all(tree, &numbering, fault) < 0 || add_nodes(&rows, order, fault) < 0)
		return -1;
	return join_up(&rows, table, fault);
}
