/* fuzz_bundle with a mutator that puts the digests right after each change, so that what stands behind them is reached: an index
 * whose SHA-256 the footer names, and frames whose SHA-256 the index names, with other bytes in them. */
#define _GNU_SOURCE
#include "base/fault.h"
#include "image/codec.h"
#include "image/index.h"
#include "image/index_load.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t room, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t size, size_t room);

/* An input is an index, its size before it, and the frames' bytes. */
struct parts {
	uint64_t index_size;
	uint8_t rest[];
};

/* The table of frames, as far as it lies inside; the layout is docs/format.md's. */
static uint32_t frames_in(const uint8_t *index, size_t size)
{
	const struct index_head *head = (const void *)index;
	size_t room = size < sizeof *head ? 0 : (size - sizeof *head) / sizeof(struct frame);
	return room == 0 ? 0 : head->frames < room ? head->frames : (uint32_t)room;
}

static void mend(uint8_t *bytes, size_t size)
{
	struct parts *parts = (void *)bytes;
	if (size < sizeof *parts || parts->index_size > size - sizeof *parts)
		return;
	uint8_t *payload = parts->rest + parts->index_size;
	size_t room = size - sizeof *parts - parts->index_size;
	struct frame *frames = (void *)(parts->rest + sizeof(struct index_head));
	for (uint32_t i = 0; i < frames_in(parts->rest, parts->index_size); i++)
		if (frames[i].offset <= room && frames[i].stored <= room - frames[i].offset)
			sha256(payload + frames[i].offset, frames[i].stored, frames[i].digest);
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t room, unsigned seed)
{
	(void)seed;
	size = LLVMFuzzerMutate(bytes, size, room);
	mend(bytes, size);
	return size;
}

static void decode(const struct index *index, const uint8_t *payload, size_t room)
{
	struct codec_state codec = {0};
	for (uint32_t i = 0; i < index->head->frames; i++) {
		const struct frame *frame = &index->frames[i];
		struct fault fault = {0};
		uint8_t digest[SHA256_SIZE];
		if (frame->offset > room || frame->stored > room - frame->offset)
			continue;
		sha256(payload + frame->offset, frame->stored, digest);
		void *plain = malloc(frame->plain ? frame->plain : 1);
		if (plain && memcmp(digest, frame->digest, sizeof digest) == 0)
			codec_plain(&codec, (int)frame->codec, payload + frame->offset, frame->stored, plain, frame->plain, &fault);
		free(plain);
	}
	codec_free(&codec);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct fault fault = {0};
	struct index index;
	uint64_t index_size;
	if (size < sizeof index_size)
		return 0;
	memcpy(&index_size, bytes, sizeof index_size);
	bytes += sizeof index_size;
	size -= sizeof index_size;
	if (index_size > size)
		return 0;
	void *copy = malloc(index_size ? index_size : 1);
	if (!copy)
		return 0;
	memcpy(copy, bytes, index_size);
	if (index_load(&index, copy, index_size, &fault) == 0)
		decode(&index, bytes + index_size, size - index_size);
	index_free(&index);
	return 0;
}
