#include "squashfs/blocks.h"

#include "base/system.h"
#include "squashfs/order.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
	FRAGMENTS_A_BLOCK = METADATA / sizeof(struct fragment),
	NOT_COMPRESSED = 1 << 24,
	STORED_SIZE = NOT_COMPRESSED - 1,
};
#define TAIL 0x80000000u

static int no_memory(struct fault *fault)
{
	return FAILED(fault, "no memory for the image's files");
}

void list_reserve(struct list *list, uint32_t count, size_t size)
{
	list->at = malloc(count * size);
	list->room = list->at ? count : 0;
}

void *list_add(struct list *list, size_t size)
{
	if (list->count == list->room) {
		uint32_t room = list->room ? 2 * list->room : 256;
		void *grown = realloc(list->at, room * size);
		if (!grown)
			return NULL;
		list->at = grown;
		list->room = room;
	}
	return (char *)list->at + list->count++ * size;
}

static const struct block *use_at(const struct blocks *blocks, uint32_t number)
{
	return (const struct block *)blocks->uses.at + number;
}

static uint32_t fragment_of(uint64_t tail)
{
	return (uint32_t)(tail >> (TAIL_OFFSET_BITS + TAIL_LENGTH_BITS));
}

static uint32_t offset_of(uint64_t tail)
{
	return tail >> TAIL_LENGTH_BITS & ((1u << TAIL_OFFSET_BITS) - 1);
}

static uint32_t length_of(uint64_t tail)
{
	return tail & ((1u << TAIL_LENGTH_BITS) - 1);
}

static uint32_t stored_size(uint32_t word)
{
	return word & STORED_SIZE;
}

static enum codec codec_of(const struct blocks *blocks, uint32_t word)
{
	return word & NOT_COMPRESSED ? CODEC_STORED : blocks->tables->codec;
}

static int read_fragments(struct blocks *blocks, const uint8_t *places, struct fault *fault)
{
	uint8_t plain[METADATA];
	uint32_t count = blocks->super->fragments, read = 0;
	for (uint32_t i = 0; i < (count + FRAGMENTS_A_BLOCK - 1) / FRAGMENTS_A_BLOCK; i++) {
		uint64_t place;
		size_t got;
		memcpy(&place, places + i * sizeof place, sizeof place);
		if (metadata_read(blocks->tables, place - blocks->super->inode_table, plain, &got, fault) < 0)
			return -1;
		uint32_t rows = (uint32_t)(got / sizeof(struct fragment));
		rows = rows < count - read ? rows : count - read;
		memcpy(blocks->fragments + read, plain, rows * sizeof(struct fragment));
		read += rows;
	}
	return read == count ? 0 : LIES(fault, "its fragment table is cut short");
}

int blocks_begin(struct blocks *blocks, struct fault *fault)
{
	list_reserve(&blocks->runs, blocks->super->inodes, sizeof(struct run));
	list_reserve(&blocks->tails, blocks->super->inodes, sizeof(uint64_t));
	uint64_t count = blocks->super->fragments, at = blocks->super->fragment_table - blocks->super->inode_table;
	uint64_t size = (count + FRAGMENTS_A_BLOCK - 1) / FRAGMENTS_A_BLOCK * sizeof(uint64_t);
	if (count == 0)
		return 0;
	if (size > blocks->tables->size || at > blocks->tables->size - size)
		return LIES(fault, "its fragment table is out of range");
	blocks->fragments = zeroed(count, sizeof *blocks->fragments);
	return blocks->fragments ? read_fragments(blocks, blocks->tables->raw + at, fault) : no_memory(fault);
}

void blocks_free(struct blocks *blocks)
{
	void *all[] = {blocks->fragments, blocks->uses.at, blocks->tails.at, blocks->runs.at,
		       blocks->numbers,   blocks->owners,  blocks->frames};
	for (size_t i = 0; i < COUNT(all); i++)
		free(all[i]);
}

int blocks_expect(struct blocks *blocks, uint64_t words, struct fault *fault)
{
	if (words <= MAX_BLOCKS - blocks->expected) {
		blocks->expected += words;
		return 0;
	}
	return BAD_IMAGE(fault, "its files have more than 262144 blocks of data");
}

static int add_run(struct blocks *blocks, uint32_t block, uint32_t offset, uint32_t length, struct fault *fault)
{
	struct run *run = list_add(&blocks->runs, sizeof *run);
	if (!run)
		return no_memory(fault);
	*run = (struct run){block, offset, length};
	return 0;
}

/* Holes that follow each other in a file are one, as far as a segment's length goes. */
static int add_hole(struct blocks *blocks, uint32_t first, uint32_t length, struct fault *fault)
{
	struct run *last = blocks->runs.count > first ? (struct run *)blocks->runs.at + blocks->runs.count - 1 : NULL;
	if (!last || last->block != HOLE || last->length > UINT32_MAX - length)
		return add_run(blocks, HOLE, 0, length, fault);
	last->length += length;
	return 0;
}

/* The block must lie where data may lie. */
static int check_use(const struct blocks *blocks, uint64_t where, uint32_t word, struct fault *fault)
{
	uint64_t end = blocks->super->inode_table, stored = stored_size(word);
	if (word >> 25 || stored == 0 || stored > blocks->super->block_size || where < sizeof(struct superblock) || where > end ||
	    stored > end - where)
		return LIES(fault, "a block of data is out of range");
	return 0;
}

static int add_use(struct blocks *blocks, uint64_t where, uint32_t word, uint32_t plain, struct fault *fault)
{
	if (check_use(blocks, where, word, fault) < 0)
		return -1;
	if (word & NOT_COMPRESSED && stored_size(word) != plain)
		return LIES(fault, "a block of data has not the size that its file needs");
	struct block *use = list_add(&blocks->uses, sizeof *use);
	if (!use)
		return no_memory(fault);
	*use = (struct block){where, word, plain};
	return 0;
}

static int add_tail(struct blocks *blocks, uint32_t fragment, uint32_t offset, uint32_t length, struct fault *fault)
{
	if (fragment >= blocks->super->fragments || (uint64_t)offset + length > blocks->super->block_size)
		return LIES(fault, "the end of a file is out of range");
	uint64_t *tail = list_add(&blocks->tails, sizeof *tail);
	if (!tail)
		return no_memory(fault);
	*tail = ((uint64_t)fragment << TAIL_OFFSET_BITS | offset) << TAIL_LENGTH_BITS | length;
	return add_run(blocks, fragment | TAIL, offset, length, fault);
}

int blocks_add(struct blocks *blocks, const struct file *file, struct fault *fault)
{
	uint64_t left = file->size, where = file->start;
	uint32_t first = blocks->runs.count, size = blocks->super->block_size;
	for (uint64_t i = 0; i < file->count; i++) {
		uint32_t word, length = left < size ? (uint32_t)left : size;
		memcpy(&word, file->words + i * sizeof word, sizeof word);
		left -= length;
		if (!word) {
			if (add_hole(blocks, first, length, fault) < 0)
				return -1;
			continue;
		}
		if (add_use(blocks, where, word, length, fault) < 0 || add_run(blocks, blocks->uses.count - 1, 0, length, fault) < 0)
			return -1;
		where += stored_size(word);
	}
	return file->fragment != NO_FRAGMENT && left ? add_tail(blocks, file->fragment, file->offset, (uint32_t)left, fault) : 0;
}

/* The size that the block itself says that it has, or 0 when it does not say. */
static int declared_size(const struct blocks *blocks, const struct fragment *fragment, uint64_t *size, struct fault *fault)
{
	uint8_t head[DECLARED_HEAD];
	const struct compression *compression = blocks->compression;
	size_t length = stored_size(fragment->word) < compression->head ? stored_size(fragment->word) : compression->head;
	*size = 0;
	if (!compression->declared)
		return 0;
	if (source_peek(blocks->source, blocks->start + fragment->where, head, length, fault) < 0)
		return -1;
	*size = compression->declared(head, length);
	return *size == UINT64_MAX ? BAD_IMAGE(fault, "a compressed block is damaged; download it again") : 0;
}

static int decoded_size(const struct blocks *blocks, const struct fragment *fragment, uint64_t *size, struct fault *fault)
{
	struct fault ignored = {0};
	size_t stored = stored_size(fragment->word), room = blocks->super->block_size, got;
	CLEANUP(free_pointer) uint8_t *bytes = malloc(stored + room);
	if (!bytes)
		return no_memory(fault);
	if (source_peek(blocks->source, blocks->start + fragment->where, bytes, stored, fault) < 0)
		return -1;
	if (codec_some(&blocks->tables->states[0], blocks->tables->codec, bytes, stored, bytes + stored, room, &got, &ignored) < 0)
		return BAD_IMAGE(fault, "a compressed block is damaged; download it again");
	*size = got;
	return 0;
}

/* How many bytes a fragment block decodes to, of which the files use tails that end at `end`, `used` bytes in all.
 *
 * Squashfs does not say. Every known writer fills a fragment block with tails, one behind the other, and writes each only when a
 * file needs it, so the last one's end is the size. A zstd frame says its size itself. Where tails leave a gap, the writer may have
 * left one at the end too, so the block is decoded to know. If all that still finds less than there is, the decoder refuses the
 * frame: nothing wrong can come of it. */
static int fragment_size(const struct blocks *blocks, const struct fragment *fragment, uint64_t end, uint64_t used, uint64_t *size,
			 struct fault *fault)
{
	*size = end;
	if (check_use(blocks, fragment->where, fragment->word, fault) < 0)
		return -1;
	if (fragment->word & NOT_COMPRESSED)
		return 0;
	uint64_t said = 0;
	if (declared_size(blocks, fragment, &said, fault) < 0)
		return -1;
	if (!said && used != end && decoded_size(blocks, fragment, &said, fault) < 0)
		return -1;
	if (!said)
		return 0;
	*size = said;
	return said >= end && said <= blocks->super->block_size ? 0 : LIES(fault, "a fragment block has not the size that its files need");
}

static int compare(uint64_t left, uint64_t right)
{
	return (left > right) - (left < right);
}

static int compare_uses(const void *context, uint32_t left, uint32_t right)
{
	return compare(use_at(context, left)->where, use_at(context, right)->where);
}

/* The uses' numbers in the order of where they are; NULL when there is no memory. */
static uint32_t *ordered_uses(const struct blocks *blocks)
{
	uint32_t count = blocks->uses.count;
	CLEANUP(free_pointer) uint32_t *spare = zeroed(count, sizeof *spare);
	uint32_t *numbers = zeroed(count, sizeof *numbers);
	if (!spare || !numbers) {
		free(numbers);
		return NULL;
	}
	for (uint32_t i = 0; i < count; i++)
		numbers[i] = i;
	order_sort(numbers, spare, count, compare_uses, blocks);
	return numbers;
}

/* The tails from *at on that lie in one fragment, each counted once: that fragment is a block that is used. */
static int add_fragment(struct blocks *blocks, uint32_t *at, struct fault *fault)
{
	const uint64_t *tails = blocks->tails.at;
	uint32_t number = fragment_of(tails[*at]);
	uint64_t end = 0, used = 0, size;
	for (uint32_t first = *at; *at < blocks->tails.count && fragment_of(tails[*at]) == number; ++*at) {
		uint64_t tail = tails[*at], stop = offset_of(tail) + (uint64_t)length_of(tail);
		if (*at > first && tails[*at - 1] == tail)
			continue;
		used += length_of(tail);
		end = end > stop ? end : stop;
	}
	const struct fragment *fragment = &blocks->fragments[number];
	if (fragment_size(blocks, fragment, end, used, &size, fault) < 0 ||
	    add_use(blocks, fragment->where, fragment->word, (uint32_t)size, fault) < 0)
		return -1;
	blocks->owners[number] = blocks->uses.count - 1;
	return 0;
}

static int add_fragments(struct blocks *blocks, struct fault *fault)
{
	CLEANUP(free_pointer) uint64_t *spare = zeroed(blocks->tails.count, sizeof *spare);
	blocks->owners = zeroed(blocks->super->fragments, sizeof *blocks->owners);
	if (!spare || !blocks->owners)
		return no_memory(fault);
	order_keys(blocks->tails.at, spare, blocks->tails.count);
	for (uint32_t at = 0; at < blocks->tails.count;)
		if (add_fragment(blocks, &at, fault) < 0)
			return -1;
	return 0;
}

/* The next frame, or the one before when it is the same block. */
static int add_frame(struct blocks *blocks, const struct block *use, struct fault *fault)
{
	struct frame frame = {.offset = blocks->start + use->where,
			      .stored = stored_size(use->word),
			      .plain = use->plain,
			      .codec = codec_of(blocks, use->word)};
	const struct frame *last = blocks->frame_count ? &blocks->frames[blocks->frame_count - 1] : NULL;
	if (last && last->offset == frame.offset) {
		bool same = last->stored == frame.stored && last->plain == frame.plain && last->codec == frame.codec;
		return same ? 0 : LIES(fault, "one block of data with two sizes");
	}
	if (last && frame.offset < last->offset + last->stored)
		return LIES(fault, "blocks of data overlap");
	blocks->frames[blocks->frame_count++] = frame;
	return 0;
}

int blocks_finish(struct blocks *blocks, struct fault *fault)
{
	if (add_fragments(blocks, fault) < 0)
		return -1;
	uint32_t count = blocks->uses.count;
	CLEANUP(free_pointer) uint32_t *numbers = ordered_uses(blocks);
	blocks->numbers = zeroed(count, sizeof *blocks->numbers);
	blocks->frames = zeroed(count, sizeof *blocks->frames);
	if (!numbers || !blocks->numbers || !blocks->frames)
		return no_memory(fault);
	for (uint32_t i = 0; i < count; i++) {
		if (add_frame(blocks, use_at(blocks, numbers[i]), fault) < 0)
			return -1;
		blocks->numbers[numbers[i]] = blocks->frame_count - 1;
	}
	return 0;
}

struct segment blocks_segment(const struct blocks *blocks, const struct run *run)
{
	if (run->block == HOLE)
		return (struct segment){HOLE, 0, run->length, 0};
	uint32_t use = run->block & TAIL ? blocks->owners[run->block & ~TAIL] : run->block;
	return (struct segment){blocks->numbers[use], run->offset, run->length, 0};
}
