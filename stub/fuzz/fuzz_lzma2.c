/* Our decoder of LZMA2 beside 7-Zip's: whatever the bytes, both refuse them, or both find the same, and have read as many. An input is a
 * byte for the dictionary, twelve bits of two more for the room in units of 17 bytes, which is more than 64 KiB, and a row of chunks. Each
 * is decoded twice, since it must not matter what was there before. */
#include "foreign/lzma2.h"

#include <Lzma2Dec.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { HEAD = 3, UNIT = 17 };

static void *allocate(ISzAllocPtr unused, size_t size)
{
	(void)unused;
	return malloc(size);
}

static void release(ISzAllocPtr unused, void *address)
{
	(void)unused;
	free(address);
}

static const ISzAlloc memory = {allocate, release};

/* As lzma2_decode. */
static int64_t theirs(uint8_t dictionary, const uint8_t *in, size_t size, size_t *used, uint8_t *plain, size_t room)
{
	CLzma2Dec decoder;
	ELzmaStatus status;
	SizeT read = size;
	int64_t got = -1;
	Lzma2Dec_CONSTRUCT(&decoder) if (Lzma2Dec_AllocateProbs(&decoder, dictionary, &memory) != SZ_OK) return -1;
	Lzma2Dec_Init(&decoder);
	decoder.decoder.dic = plain;
	decoder.decoder.dicBufSize = room;
	SRes result = Lzma2Dec_DecodeToDic(&decoder, room, in, &read, LZMA_FINISH_END, &status);
	if (result == SZ_OK && status == LZMA_STATUS_FINISHED_WITH_MARK)
		got = (int64_t)decoder.decoder.dicPos;
	*used = read;
	Lzma2Dec_FreeProbs(&decoder, &memory);
	return got;
}

/* In buffers of their own, so that each byte that does not belong there is noticed. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct lzma2 *lzma;
	if (size < HEAD || (!lzma && !(lzma = lzma2_new())))
		return 0;
	size_t room = (size_t)(bytes[1] | (bytes[2] & 0x0F) << 8) * UNIT, length = size - HEAD, used = 0, other = 0;
	uint8_t *in = malloc(length ? length : 1), *ours = malloc(room ? room : 1), *plain = malloc(room ? room : 1);
	if (!in || !ours || !plain)
		abort();
	memcpy(in, bytes + HEAD, length);
	int64_t want = theirs(bytes[0], in, length, &other, plain, room);
	for (int turn = 0; turn < 2; turn++) {
		int64_t got = lzma2_decode(lzma, bytes[0], in, length, &used, ours, room);
		if (got != want || (got >= 0 && (used != other || memcmp(ours, plain, (size_t)got) != 0)))
			abort();
	}
	free(in);
	free(ours);
	free(plain);
	return 0;
}
