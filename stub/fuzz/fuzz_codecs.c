/* The decoders that images of others need, each into a buffer of exactly the size that it is told. An input is a byte for the
 * codec, two for the size in units of 17 bytes, and a block. A mutator puts right the sums in an xz block's heads after each change, so
 * that what stands behind them is reached. */
#include "base/fault.h"
#include "foreign/lz4.h"
#include "foreign/lzo.h"
#include "foreign/xz.h"

#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t room, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t size, size_t room);

enum { HEAD = 3, UNIT = 17, STREAM_HEAD = 12 };

static const struct decoder *const decoders[] = {&xz_decoder, &lz4_decoder, &lzo_decoder};

static void put_sum(uint8_t *at, const uint8_t *of, size_t size)
{
	uint32_t sum = libdeflate_crc32(0, of, size);
	memcpy(at, &sum, sizeof sum);
}

static void mend(uint8_t *xz, size_t size)
{
	static const uint8_t magic[] = {0xFD, '7', 'z', 'X', 'Z', 0, 0};
	if (size <= STREAM_HEAD)
		return;
	memcpy(xz, magic, sizeof magic);
	put_sum(xz + 8, xz + 6, 2);
	size_t head = ((size_t)xz[STREAM_HEAD] + 1) * 4;
	if (head > 4 && head <= size - STREAM_HEAD)
		put_sum(xz + STREAM_HEAD + head - 4, xz + STREAM_HEAD, head - 4);
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t room, unsigned seed)
{
	(void)seed;
	size = LLVMFuzzerMutate(bytes, size, room);
	if (size > HEAD && bytes[0] % 3 == 0)
		mend(bytes + HEAD, size - HEAD);
	return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	if (size < HEAD)
		return 0;
	const struct decoder *decoder = decoders[bytes[0] % 3];
	size_t room = (size_t)(bytes[1] | bytes[2] << 8) * UNIT, got = 0;
	uint8_t *out = malloc(room ? room : 1), *in = malloc(size - HEAD ? size - HEAD : 1);
	if (!out || !in)
		abort();
	memcpy(in, bytes + HEAD, size - HEAD);
	/* Twice with what it keeps, for it must not matter what was there before. */
	void *own = NULL;
	for (int turn = 0; turn < 2; turn++) {
		struct fault fault = {0};
		size_t before = got;
		int result = decoder->decode(&own, in, size - HEAD, out, room, &got, &fault);
		if (result == 0 && (got > room || (turn && got != before)))
			abort();
		if (result < 0 && fault.kind == FAULT_NONE)
			abort();
		if (result < 0)
			break;
	}
	if (own && decoder->leave)
		decoder->leave(own);
	free(out);
	free(in);
	return 0;
}
