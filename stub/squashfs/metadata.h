/* Metadata blocks, one behind the other: how squashfs keeps its tables.
 *
 * A block is a 16-bit header (stored size; bit 15: not compressed) and what decodes to 8 KiB, the last one to less. The tables refer
 * to something in a chain by two numbers: the place of a block, counted from the chain's start, and an offset in its plain bytes.
 */
#ifndef TMPRUN_SQUASHFS_METADATA_H
#define TMPRUN_SQUASHFS_METADATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/crew.h"
#include "base/fault.h"
#include "image/codec.h"

enum { METADATA = 8192 };

/* All tables as they are stored, and what decodes them; shared by the chains. */
struct tables {
	const uint8_t *raw;
	size_t size;
	enum codec codec;
	unsigned hands;
	struct codec_state states[CREW_MAX]; /* one for each hand */
};

/* Each block is decoded once, in order, as far as somebody asks. `plain` is all that was decoded so far; it moves when more is. */
struct chain {
	struct tables *tables;
	size_t begin, next; /* places in the raw tables: of the first block, and of the first one that is not decoded */
	uint8_t *plain;
	size_t used, plain_room;
	size_t most; /* more bytes are refused */
	struct start {
		uint32_t place, plain; /* of a block, from `begin`, and of what it decoded to */
	} *starts;
	size_t count, room, last;
};

void chain_begin(struct chain *chain, struct tables *tables, size_t begin, size_t most);
void chain_free(struct chain *chain);

/* Decode everything before `end`, a place in the raw tables, on all cores. */
int chain_read(struct chain *chain, size_t end, struct fault *fault);

/* Where in `plain` the bytes that `block` and `offset` refer to begin, with `size` of them there; in *at. */
int chain_locate(struct chain *chain, uint64_t block, uint32_t offset, uint32_t size, size_t *at, struct fault *fault);

/* One metadata block at `place` in the raw tables, by itself: its plain bytes, METADATA at most, to `out`, and how many they are. */
int metadata_read(struct tables *tables, uint64_t place, uint8_t *out, size_t *got, struct fault *fault);

#endif
