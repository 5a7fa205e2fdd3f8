#include "image/index_load.h"

#include "base/file.h"
#include "base/sha256.h"
#include "base/system.h"
#include "base/text.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Where the walk over the nodes stands: what the next directory's children and the next file's segments must be. */
struct cursor {
	uint64_t child, segment, content;
};

static int rule(bool kept, struct fault *fault, const char *broken)
{
	return kept ? 0 : BAD_IMAGE(fault, "damaged index (", broken, ")");
}

static int lay_out(struct index *index, struct fault *fault)
{
	const struct index_head *head = index->bytes;
	if (rule(index->size >= sizeof *head && index->size <= MAX_INDEX, fault, "size") < 0 ||
	    rule(memcmp(head->magic, INDEX_MAGIC, sizeof head->magic) == 0, fault, "unknown version") < 0)
		return -1;
	uint64_t frames = sizeof *head;
	uint64_t nodes = frames + (uint64_t)head->frames * sizeof(struct frame);
	uint64_t segments = nodes + (uint64_t)head->nodes * sizeof(struct node);
	uint64_t fixups = segments + (uint64_t)head->segments * sizeof(struct segment);
	uint64_t hot = fixups + (uint64_t)head->fixups * sizeof(struct fixup);
	uint64_t strings = hot + (uint64_t)head->hot * sizeof(uint32_t);
	uint64_t metadata = strings + head->strings;
	if (rule(metadata + head->metadata == index->size, fault, "size of its parts") < 0)
		return -1;
	const char *bytes = index->bytes;
	index->head = head;
	index->frames = (const void *)(bytes + frames);
	index->nodes = (const void *)(bytes + nodes);
	index->segments = (const void *)(bytes + segments);
	index->fixups = (const void *)(bytes + fixups);
	index->hot = (const void *)(bytes + hot);
	index->strings = bytes + strings;
	return 0;
}

static int check_head(const struct index_head *head, struct fault *fault)
{
	static const uint8_t zero[40];
	bool foreign = head->flags & INDEX_FOREIGN;
	if (rule(head->nodes > 0 && head->nodes <= MAX_NODES, fault, "number of nodes") < 0 ||
	    rule(!(head->flags & ~(uint32_t)(INDEX_FOREIGN | INDEX_AT_ONCE | INDEX_UNHASHED)), fault, "flags") < 0 ||
	    rule(foreign || !(head->flags & INDEX_UNHASHED), fault, "flags") < 0 ||
	    rule(memcmp(head->reserved, zero, sizeof head->reserved) == 0, fault, "reserved field") < 0)
		return -1;
	return rule(foreign || (!head->image_size && !memcmp(head->image_sha256, zero, SHA256_SIZE)), fault, "image digest");
}

static int check_frames(const struct index *index, struct fault *fault)
{
	uint32_t codecs = index->head->flags & INDEX_FOREIGN ? CODECS : CODECS_OF_BUNDLES;
	uint64_t end = 0;
	for (uint32_t i = 0; i < index->head->frames; i++) {
		const struct frame *frame = &index->frames[i];
		if (rule(frame->codec < codecs && !frame->reserved, fault, "codec") < 0 ||
		    rule(frame->stored > 0 && frame->stored <= MAX_STORED, fault, "stored size") < 0 ||
		    rule(frame->plain > 0 && frame->plain <= MAX_PLAIN, fault, "plain size") < 0 ||
		    rule(frame->codec != CODEC_STORED || frame->stored == frame->plain, fault, "stored frame") < 0 ||
		    rule(frame->offset >= end && frame->offset < (uint64_t)1 << 62, fault, "order of frames") < 0)
			return -1;
		end = frame->offset + frame->stored;
	}
	return 0;
}

static int check_segments(const struct index *index, struct fault *fault)
{
	for (uint32_t i = 0; i < index->head->segments; i++) {
		const struct segment *segment = &index->segments[i];
		bool hole = segment->frame == HOLE;
		if (rule(segment->length > 0 && !segment->reserved && (!hole || segment->offset == 0), fault, "segment") < 0 ||
		    rule(hole || segment->frame < index->head->frames, fault, "segment's frame") < 0 ||
		    rule(hole || (uint64_t)segment->offset + segment->length <= index->frames[segment->frame].plain, fault,
			 "segment's range") < 0)
			return -1;
	}
	return 0;
}

static bool in_strings(const struct index *index, uint32_t at, uint32_t length)
{
	return (uint64_t)at + length <= index->head->strings;
}

static bool legal_name(const char *name, size_t length)
{
	if (length == 0 || length > MAX_NAME || memchr(name, '/', length) || memchr(name, '\0', length))
		return false;
	return !(name[0] == '.' && (length == 1 || (length == 2 && name[1] == '.')));
}

static bool names_ascend(const struct index *index, const struct node *left, const struct node *right)
{
	size_t shorter = left->name_length < right->name_length ? left->name_length : right->name_length;
	int order = memcmp(index->strings + left->name, index->strings + right->name, shorter);
	return order < 0 || (order == 0 && left->name_length < right->name_length);
}

static int check_name(const struct index *index, uint32_t number, struct fault *fault)
{
	const struct node *node = &index->nodes[number];
	if (number == 0)
		return rule(node->type == NODE_DIRECTORY && node->parent == 0 && node->name == 0 && node->name_length == 0, fault, "root");
	if (rule(in_strings(index, node->name, node->name_length), fault, "name's range") < 0 ||
	    rule(legal_name(index->strings + node->name, node->name_length), fault, "illegal file name") < 0 ||
	    rule(node->parent < number, fault, "parent") < 0)
		return -1;
	const struct node *parent = &index->nodes[node->parent];
	if (rule(parent->type == NODE_DIRECTORY && number - parent->a < parent->b && number >= parent->a, fault, "parent") < 0)
		return -1;
	return rule(number == parent->a || names_ascend(index, node - 1, node), fault, "order of names");
}

static int check_file(const struct index *index, const struct node *node, struct cursor *cursor, struct fault *fault)
{
	if (rule(node->a == cursor->segment && cursor->segment + node->b <= index->head->segments, fault, "file's segments") < 0)
		return -1;
	uint64_t size = 0;
	for (uint32_t i = 0; i < node->b; i++)
		size += index->segments[node->a + i].length;
	cursor->segment += node->b;
	cursor->content += size;
	return rule(size == node->size, fault, "file's size");
}

static int check_symlink(const struct index *index, const struct node *node, struct fault *fault)
{
	if (rule(node->b > 0 && node->b <= MAX_TARGET && node->size == node->b && in_strings(index, node->a, node->b), fault,
		 "symlink's target") < 0)
		return -1;
	return rule(!memchr(index->strings + node->a, '\0', node->b), fault, "symlink's target");
}

static int check_node(const struct index *index, uint32_t number, struct cursor *cursor, struct fault *fault)
{
	const struct node *node = &index->nodes[number];
	if (rule(!(node->flags & ~NODE_FIRST) && !node->reserved && node->mode <= 07777, fault, "node's flags") < 0 ||
	    check_name(index, number, fault) < 0)
		return -1;
	switch (node->type) {
	case NODE_DIRECTORY:
		if (rule(node->a == cursor->child && node->size == 0 && cursor->child + node->b <= index->head->nodes, fault,
			 "directory's children") < 0)
			return -1;
		cursor->child += node->b;
		return 0;
	case NODE_FILE:
		return check_file(index, node, cursor, fault);
	case NODE_SYMLINK:
		return check_symlink(index, node, fault);
	case NODE_HARD_LINK:
		return rule(node->b == 0 && node->size == 0 && node->a < index->head->nodes && index->nodes[node->a].type == NODE_FILE,
			    fault, "hard link");
	default:
		return rule(false, fault, "node's type");
	}
}

/* Depth and length of every path, in one pass: a parent always comes before its children. */
static int check_paths(const struct index *index, struct fault *fault)
{
	CLEANUP(free_pointer) uint16_t (*paths)[2] = calloc(index->head->nodes, sizeof *paths);
	if (!paths)
		return FAILED(fault, "no memory for the index");
	for (uint32_t i = 1; i < index->head->nodes; i++) {
		const struct node *node = &index->nodes[i];
		const uint16_t *above = paths[node->parent];
		unsigned length = above[1] + (above[1] ? 1u : 0u) + node->name_length;
		if (rule(above[0] < MAX_DEPTH && length <= MAX_PATH, fault, "a path is too long or too deep") < 0)
			return -1;
		paths[i][0] = (uint16_t)(above[0] + 1);
		paths[i][1] = (uint16_t)length;
	}
	return 0;
}

/* A path, or a symlink's target: no NUL, and no newline, since paths stand in lines where a start remembers them. */
static bool legal_text(const struct index *index, uint32_t at, uint32_t length)
{
	return length > 0 && length <= MAX_INTERPRETER && in_strings(index, at, length) && !memchr(index->strings + at, '\0', length) &&
	       !memchr(index->strings + at, '\n', length);
}

static bool program_node(const struct index *index, uint32_t number)
{
	return number < index->head->nodes && index->nodes[number].type == NODE_FILE && index->nodes[number].flags & NODE_FIRST;
}

static bool legal_interpreter(const struct index *index, const struct interpreter *record)
{
	if (!program_node(index, record->node) || !legal_text(index, record->path, record->path_length) ||
	    index->strings[record->path] != '/')
		return false;
	if (!record->link)
		return !record->target && !record->target_length;
	return record->link < index->head->nodes && index->nodes[record->link].type == NODE_SYMLINK &&
	       legal_text(index, record->target, record->target_length);
}

static bool legal_program(const struct index *index, const struct fixup *fixup)
{
	if (!program_node(index, fixup->node) || fixup->interpreter >= index->interpreters)
		return false;
	uint64_t size = index->nodes[fixup->node].size;
	if (fixup->kind == FIXUP_SCRIPT)
		return !fixup->at && fixup->header >= 2 && fixup->header <= MAX_INTERPRETER &&
		       fixup->room == ((const struct interpreter *)&index->fixups[fixup->interpreter])->path_length;
	if (fixup->kind != FIXUP_ELF || fixup->header > size || size - fixup->header < sizeof(Elf64_Phdr))
		return false;
	if (fixup->room == FIXUP_AT_END)
		return fixup->at == size;
	return fixup->room > 0 && fixup->at <= size && size - fixup->at >= fixup->room;
}

static int check_fixups(struct index *index, struct fault *fault)
{
	for (uint32_t i = 0; i < index->head->fixups; i++) {
		const struct fixup *fixup = &index->fixups[i];
		bool legal;
		if (fixup->kind == FIXUP_INTERPRETER)
			legal = i == index->interpreters && ++index->interpreters <= INTERPRETERS_MAX &&
				legal_interpreter(index, (const void *)fixup);
		else
			legal = legal_program(index, fixup) && (i == index->interpreters || fixup[-1].node < fixup->node);
		if (rule(legal, fault, "fixup") < 0)
			return -1;
	}
	return 0;
}

static int check_hot(const struct index *index, struct fault *fault)
{
	uint32_t nodes = index->head->nodes;
	CLEANUP(free_pointer) uint8_t *seen = calloc(nodes, 1);
	if (!seen)
		return FAILED(fault, "no memory for the index");
	for (uint32_t i = 0; i < index->head->hot; i++) {
		uint32_t hot = index->hot[i];
		if (rule(hot < nodes && index->nodes[hot].type == NODE_FILE && !seen[hot], fault, "hot list") < 0)
			return -1;
		seen[hot] = 1;
	}
	return 0;
}

int index_load(struct index *index, void *bytes, size_t size, struct fault *fault)
{
	*index = (struct index){.bytes = bytes, .size = size};
	if (lay_out(index, fault) < 0 || check_head(index->head, fault) < 0 || check_frames(index, fault) < 0 ||
	    check_segments(index, fault) < 0)
		return -1;
	struct cursor cursor = {.child = 1};
	for (uint32_t i = 0; i < index->head->nodes; i++)
		if (check_node(index, i, &cursor, fault) < 0)
			return -1;
	if (rule(cursor.child == index->head->nodes && cursor.segment == index->head->segments, fault, "stray nodes or segments") < 0 ||
	    rule(cursor.content == index->head->content_size, fault, "content size") < 0 || check_paths(index, fault) < 0 ||
	    check_fixups(index, fault) < 0 || check_hot(index, fault) < 0)
		return -1;
	sha256(bytes, size, index->key);
	hex_bytes(index->key_text, index->key, SHA256_SIZE);
	return 0;
}

int index_read(struct index *index, int fd, struct fault *fault)
{
	struct stat stat;
	if (fstat(fd, &stat) < 0 || stat.st_size < (off_t)sizeof(struct index_head) || stat.st_size > MAX_INDEX)
		return BAD_IMAGE(fault, "no index in the given file");
	CLEANUP(free_pointer) void *bytes = malloc((size_t)stat.st_size);
	if (!bytes)
		return FAILED(fault, "no memory for the index");
	if (read_at(fd, bytes, (size_t)stat.st_size, 0) < 0)
		return BAD_IMAGE(fault, "the index changed while it was read");
	void *owned = bytes;
	bytes = NULL;
	return index_load(index, owned, (size_t)stat.st_size, fault);
}
