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

/* As memcmp, which goes byte by byte here, and names in a directory have much in common. */
static int compare_bytes(const uint8_t *left, const uint8_t *right, size_t size)
{
	uint64_t one, other;
	for (; size >= sizeof one; left += sizeof one, right += sizeof one, size -= sizeof one) {
		memcpy(&one, left, sizeof one);
		memcpy(&other, right, sizeof other);
		if (one != other)
			return __builtin_bswap64(one) < __builtin_bswap64(other) ? -1 : 1;
	}
	for (; size && *left == *right; size--)
		left++, right++;
	return size ? *left - *right : 0;
}

static int compare_names(const void *context, uint32_t left, uint32_t right)
{
	const struct tree *tree = context;
	const struct item *one = item_at(tree, left), *other = item_at(tree, right);
	size_t shorter = one->name_length < other->name_length ? one->name_length : other->name_length;
	int order = compare_bytes(tree->directories.plain + one->name, tree->directories.plain + other->name, shorter);
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

enum { AHEAD = 8 /* names whose places among the strings are on their way from memory */ };

/* The index in the making: its tables but the strings are made where they stay. */
struct rows {
	struct tree *tree;
	struct strings strings;
	struct index_head *head;
	struct node *nodes;
	struct segment *segments;
	uint32_t child, segment; /* what the next directory's first child, and the next file's first segment, will be */
};

static void add_segments(struct rows *rows, const struct item *item)
{
	const struct run *runs = rows->tree->blocks->runs.at;
	for (uint32_t i = 0; i < item->b; i++)
		rows->segments[rows->segment++] = blocks_segment(rows->tree->blocks, &runs[item->a + i]);
}

static int add_text(struct rows *rows, const uint8_t *text, uint32_t length, uint32_t *at, struct fault *fault)
{
	return strings_add(&rows->strings, strings_hash(&rows->strings, text, length), text, length, at, fault);
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
		rows->head->content_size += item->size;
		add_segments(rows, item);
		return 0;
	case NODE_SYMLINK:
		return add_text(rows, rows->tree->inodes.plain + item->a, item->b, &node->a, fault);
	default:
		node->a = item_at(rows->tree, item->a)->number;
		return 0;
	}
}

static int add_node(struct rows *rows, const struct item *item, uint64_t hashed, struct fault *fault)
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
	const uint8_t *name = rows->tree->directories.plain + item->name;
	return strings_add(&rows->strings, hashed, name, item->name_length, &node->name, fault);
}

static uint64_t hash_name(const struct rows *rows, const struct item *item)
{
	/* The root has no name, and there may be none at all. */
	return item->name_length ? strings_hash(&rows->strings, rows->tree->directories.plain + item->name, item->name_length) : 0;
}

static int add_nodes(struct rows *rows, const uint32_t *order, struct fault *fault)
{
	const struct tree *tree = rows->tree;
	uint32_t count = tree->items.count;
	rows->child = 1;
	if (strings_begin(&rows->strings, count + tree->symlinks, tree->directories.used, fault) < 0)
		return -1;
	uint64_t hashes[AHEAD];
	for (uint32_t i = 0; i < count + AHEAD; i++) {
		if (i >= AHEAD && add_node(rows, item_at(tree, order[i - AHEAD]), hashes[i % AHEAD], fault) < 0)
			return -1;
		if (i < count)
			hashes[i % AHEAD] = hash_name(rows, item_at(tree, order[i]));
	}
	return 0;
}

static size_t size_of(const struct index_head *head)
{
	return sizeof *head + head->frames * sizeof(struct frame) + head->nodes * sizeof(struct node) +
	       head->segments * sizeof(struct segment) + head->strings + head->metadata;
}

/* The header and the frames, and room for the rest: for the strings as much as they usually take. */
static int begin(struct rows *rows, struct raw_index *made, struct fault *fault)
{
	const struct tree *tree = rows->tree;
	const struct blocks *blocks = tree->blocks;
	struct index_head head = {.frames = blocks->frame_count,
				  .nodes = tree->items.count,
				  .segments = blocks->runs.count,
				  .strings = (uint32_t)(tree->directories.used + tree->inodes.used),
				  .flags = INDEX_FOREIGN,
				  .image_size = blocks->source->size};
	memcpy(head.magic, INDEX_MAGIC, sizeof head.magic); /* without a NUL behind it */
	uint8_t *at = made->bytes = zeroed(1, made->size = size_of(&head));
	if (!at)
		return no_memory(fault);
	rows->head = memcpy(at, &head, sizeof head);
	at += sizeof head;
	if (head.frames)
		memcpy(at, blocks->frames, head.frames * sizeof(struct frame));
	rows->nodes = (void *)(at += head.frames * sizeof(struct frame));
	rows->segments = (void *)(at + head.nodes * sizeof(struct node));
	return 0;
}

/* The strings and the metadata behind the rest. */
static int finish(const struct rows *rows, struct raw_index *made, struct fault *fault)
{
	static const char metadata[] = "{}";
	size_t room = made->size, before;
	rows->head->metadata = sizeof metadata - 1;
	rows->head->strings = (uint32_t)rows->strings.used;
	made->size = size_of(rows->head);
	before = made->size - rows->strings.used - (sizeof metadata - 1);
	if (made->size > MAX_INDEX)
		return BAD_IMAGE(fault, "its index is larger than 128 MiB");
	uint8_t *bytes = made->size > room ? realloc(made->bytes, made->size) : made->bytes;
	if (!bytes)
		return no_memory(fault);
	made->bytes = bytes;
	if (rows->strings.used)
		memcpy(bytes + before, rows->strings.pool, rows->strings.used);
	memcpy(bytes + made->size - (sizeof metadata - 1), metadata, sizeof metadata - 1);
	return 0;
}

static void rows_free(struct rows *rows)
{
	strings_free(&rows->strings);
}

int encode(struct tree *tree, struct raw_index *made, struct fault *fault)
{
	CLEANUP(rows_free) struct rows rows = {.tree = tree};
	CLEANUP(free_pointer) uint32_t *by_name = zeroed(tree->items.count, sizeof *by_name);
	CLEANUP(free_pointer) uint32_t *order = zeroed(tree->items.count, sizeof *order);
	*made = (struct raw_index){0};
	if (!by_name || !order)
		return no_memory(fault);
	for (uint32_t i = 0; i < tree->items.count; i++)
		by_name[i] = i;
	const struct numbering numbering = {by_name, order};
	if (number_all(tree, &numbering, fault) < 0 || begin(&rows, made, fault) < 0 || add_nodes(&rows, order, fault) < 0)
		return -1;
	return finish(&rows, made, fault);
}
