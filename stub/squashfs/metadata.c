#include "squashfs/metadata.h"

#include "squashfs/superblock.h"

#include <stdlib.h>
#include <string.h>

enum {
	HEADER = 2,
	STORED_SIZE = 0x7FFF,
	NOT_COMPRESSED = 0x8000,
	WINDOW = 512,       /* blocks that are decoded side by side, before anybody looks at how large they are */
	WORTH_A_CREW = 16,  /* so many take as long to decode as a thread takes to begin */
};

/* A block in the raw tables: where its content is, and how much of it. */
struct stored_block {
	uint32_t at;
	uint16_t size;
	bool compressed;
	uint16_t got; /* bytes that it decoded to */
};

static int find_block(const struct tables *tables, uint64_t place, struct stored_block *block, struct fault *fault)
{
	if (tables->size < HEADER || place > tables->size - HEADER)
		return LIES(fault, "a table is out of range");
	unsigned header = tables->raw[place] | (unsigned)tables->raw[place + 1] << 8;
	*block = (struct stored_block){(uint32_t)place + HEADER, header & STORED_SIZE, !(header & NOT_COMPRESSED), 0};
	if (block->size == 0 || block->size > METADATA || block->size > tables->size - HEADER - place)
		return LIES(fault, "a table is cut short");
	return 0;
}

static int decode(struct tables *tables, unsigned hand, struct stored_block *block, uint8_t *out, struct fault *fault)
{
	struct fault ignored = {0};
	size_t got = block->size;
	const uint8_t *in = tables->raw + block->at;
	if (!block->compressed)
		memcpy(out, in, got);
	else if (codec_some(&tables->states[hand], tables->codec, in, block->size, out, METADATA, &got, &ignored) < 0)
		return ignored.kind == FAULT_IMAGE ? BAD_IMAGE(fault, "a compressed block is damaged; download it again")
						   : FAILED(fault, ignored.text);
	block->got = (uint16_t)got;
	return got ? 0 : LIES(fault, "an empty block in a table");
}

int metadata_read(struct tables *tables, uint64_t place, uint8_t *out, size_t *got, struct fault *fault)
{
	struct stored_block block;
	if (find_block(tables, place, &block, fault) < 0 || decode(tables, 0, &block, out, fault) < 0)
		return -1;
	*got = block.got;
	return 0;
}

void chain_begin(struct chain *chain, struct tables *tables, size_t begin, size_t most)
{
	*chain = (struct chain){.tables = tables, .begin = begin, .next = begin, .most = most};
}

/* Room for so many more blocks, however large they are. */
static int make_room(struct chain *chain, uint32_t blocks, struct fault *fault)
{
	size_t need = chain->used + (size_t)blocks * METADATA;
	if (need <= chain->plain_room)
		return 0;
	size_t room = need < 2 * chain->plain_room ? 2 * chain->plain_room : need;
	uint8_t *plain = realloc(chain->plain, room);
	if (!plain)
		return FAILED(fault, "no memory for the image's tables");
	chain->plain = plain;
	chain->plain_room = room;
	return 0;
}

void chain_free(struct chain *chain)
{
	free(chain->plain);
	free(chain->starts);
}

static int note_start(struct chain *chain, size_t place, struct fault *fault)
{
	if (chain->count == chain->room) {
		size_t room = chain->room ? 2 * chain->room : 1024;
		struct start *starts = realloc(chain->starts, room * sizeof *starts);
		if (!starts)
			return FAILED(fault, "no memory for the image's tables");
		chain->starts = starts;
		chain->room = room;
	}
	chain->starts[chain->count++] = (struct start){(uint32_t)(place - chain->begin), (uint32_t)chain->used};
	return 0;
}

struct window {
	struct chain *chain;
	struct stored_block blocks[WINDOW];
};

static int decode_one(void *context, unsigned hand, uint32_t item, struct fault *fault)
{
	struct window *window = context;
	struct chain *chain = window->chain;
	return decode(chain->tables, hand, &window->blocks[item], chain->plain + chain->used + (size_t)item * METADATA, fault);
}

/* Where each of the decoded blocks belongs is known only now: most are where they belong. */
static int take_in(struct window *window, uint32_t count, struct fault *fault)
{
	struct chain *chain = window->chain;
	const uint8_t *from = chain->plain + chain->used;
	for (uint32_t i = 0; i < count; i++, from += METADATA) {
		const struct stored_block *block = &window->blocks[i];
		if (block->got > chain->most - chain->used)
			return BAD_IMAGE(fault, "its tables are larger than those of any application");
		if (note_start(chain, chain->next, fault) < 0)
			return -1;
		if (from != chain->plain + chain->used)
			memmove(chain->plain + chain->used, from, block->got);
		chain->used += block->got;
		chain->next = (size_t)block->at + block->size;
	}
	return 0;
}

/* Decode the next blocks: those that begin before `end`, and WINDOW at most. */
static int read_window(struct chain *chain, size_t end, struct fault *fault)
{
	struct window window = {.chain = chain};
	uint32_t count = 0;
	for (size_t place = chain->next; place < end && count < WINDOW; count++) {
		struct stored_block *block = &window.blocks[count];
		if (find_block(chain->tables, place, block, fault) < 0)
			return -1;
		place = (size_t)block->at + block->size;
	}
	unsigned hands = count < WORTH_A_CREW ? 1 : chain->tables->hands;
	if (make_room(chain, count, fault) < 0)
		return -1;
	return crew_run(hands, count, decode_one, &window, fault) < 0 ? -1 : take_in(&window, count, fault);
}

int chain_read(struct chain *chain, size_t end, struct fault *fault)
{
	while (chain->next < end)
		if (read_window(chain, end, fault) < 0)
			return -1;
	return 0;
}

/* The number of the block that begins at `place`; the one that was asked for last is most often asked for again. */
static bool find_start(struct chain *chain, uint64_t place, size_t *number)
{
	size_t low = 0, high = chain->count;
	if (chain->last < chain->count && chain->starts[chain->last].place == place)
		low = high = chain->last;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (chain->starts[middle].place < place)
			low = middle + 1;
		else
			high = middle;
	}
	*number = chain->last = low;
	return low < chain->count && chain->starts[low].place == place;
}

int chain_locate(struct chain *chain, uint64_t block, uint32_t offset, uint32_t size, size_t *at, struct fault *fault)
{
	size_t number;
	while (!find_start(chain, block, &number)) {
		if (block < chain->next - chain->begin)
			return LIES(fault, "a reference into the middle of a table's block");
		if (read_window(chain, chain->next + 1, fault) < 0)
			return -1;
	}
	*at = (size_t)chain->starts[number].plain + offset;
	while (chain->used < *at + size)
		if (read_window(chain, chain->next + 1, fault) < 0)
			return -1;
	return offset < METADATA ? 0 : LIES(fault, "a reference past the end of a table's block");
}
