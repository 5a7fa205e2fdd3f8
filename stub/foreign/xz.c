/* The container is read here, since all there is of it lies in memory: a header, blocks, and an index of them that nobody needs who
 * has them all (https://tukaani.org/xz/xz-file-format.txt). What is in a block is decoded straight into the buffer that there is: so no
 * dictionary is allocated, however large the block says it is. What was done to programs before is 7-Zip's to undo. */
#include "foreign/xz.h"

#include "base/fault.h"
#include "base/sha256.h"
#include "base/system.h"
#include "foreign/lzma2.h"

#include <Bra.h>
#include <libdeflate.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
	STREAM_HEAD = 12,
	FILTERS_MAX = 3, /* before LZMA2 */
	SIZE_MAX_BYTES = 9,
	HAS_STORED = 0x40,
	HAS_PLAIN = 0x80,
	RESERVED = 0x3C, /* a block's flags; its lowest bits are the number of filters */
	UNKNOWN = -1,
};
enum { CHECK_NONE = 0, CHECK_CRC32 = 1, CHECK_CRC64 = 4, CHECK_SHA256 = 10 };
enum { X86 = 4, POWERPC, IA64, ARM, ARM_THUMB, SPARC, ARM64, LZMA2 = 0x21 };

struct reader {
	const uint8_t *at, *end;
};

struct filter {
	uint64_t id;
	uint32_t start; /* where its program is taken to begin */
};

/* A block's header. */
struct block {
	int64_t stored, plain; /* sizes, or UNKNOWN */
	struct filter filters[FILTERS_MAX];
	unsigned count;
	uint8_t dictionary;
};

static size_t left(const struct reader *reader)
{
	return (size_t)(reader->end - reader->at);
}

static uint32_t number(const uint8_t *bytes)
{
	return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static bool take_byte(struct reader *reader, uint8_t *byte)
{
	if (!left(reader))
		return false;
	*byte = *reader->at++;
	return true;
}

/* Seven bits a byte, the lowest first, as long as the highest bit is set. */
static bool take_size(struct reader *reader, uint64_t *size)
{
	uint8_t byte = 0x80;
	*size = 0;
	for (unsigned i = 0; byte & 0x80; i++) {
		if (i == SIZE_MAX_BYTES || !take_byte(reader, &byte) || (byte == 0 && i > 0))
			return false;
		*size |= (uint64_t)(byte & 0x7F) << 7 * i;
	}
	return true;
}

static bool take_sizes(struct reader *head, uint8_t flags, struct block *block)
{
	uint64_t stored, plain;
	block->stored = block->plain = UNKNOWN;
	if (flags & HAS_STORED) {
		if (!take_size(head, &stored))
			return false;
		block->stored = (int64_t)stored;
	}
	if (flags & HAS_PLAIN) {
		if (!take_size(head, &plain))
			return false;
		block->plain = (int64_t)plain;
	}
	return true;
}

/* A filter's number, and where its own settings are. */
static bool take_settings(struct reader *head, uint64_t *id, const uint8_t **own, uint64_t *size)
{
	if (!take_size(head, id) || !take_size(head, size) || *size > left(head))
		return false;
	*own = head->at;
	head->at += *size;
	return true;
}

static bool take_filter(struct reader *head, struct block *block)
{
	struct filter *filter = &block->filters[block->count++];
	const uint8_t *own;
	uint64_t size;
	if (!take_settings(head, &filter->id, &own, &size) || (size != 0 && size != 4))
		return false;
	filter->start = size ? number(own) : 0;
	return filter->id >= X86 && filter->id <= ARM64;
}

static bool take_lzma(struct reader *head, struct block *block)
{
	const uint8_t *own;
	uint64_t id, size;
	if (!take_settings(head, &id, &own, &size) || id != LZMA2 || size != 1)
		return false;
	block->dictionary = own[0];
	return true;
}

/* 1 and a block's header, or 0 when there is the index in its place, or -1. */
static int take_head(struct reader *reader, struct block *block)
{
	if (left(reader) < 1)
		return -1;
	size_t size = ((size_t)reader->at[0] + 1) * 4;
	if (reader->at[0] == 0)
		return 0;
	if (size > left(reader) || libdeflate_crc32(0, reader->at, size - 4) != number(reader->at + size - 4))
		return -1;
	struct reader head = {reader->at + 2, reader->at + size - 4};
	uint8_t flags = reader->at[1];
	reader->at += size;
	*block = (struct block){0};
	if (flags & RESERVED || !take_sizes(&head, flags, block))
		return -1;
	for (unsigned before = flags & FILTERS_MAX; block->count < before;)
		if (!take_filter(&head, block))
			return -1;
	if (!take_lzma(&head, block))
		return -1;
	while (head.at < head.end)
		if (*head.at++)
			return -1;
	return 1;
}

/* Reverse what was done to a program's jumps. The functions leave the last bytes alone, where no instruction can begin. */
static void unfilter(const struct block *block, uint8_t *bytes, size_t size)
{
	static const z7_Func_BranchConv functions[] = {
		[POWERPC] = z7_BranchConv_PPC_Dec,    [IA64] = z7_BranchConv_IA64_Dec,   [ARM] = z7_BranchConv_ARM_Dec,
		[ARM_THUMB] = z7_BranchConv_ARMT_Dec, [SPARC] = z7_BranchConv_SPARC_Dec, [ARM64] = z7_BranchConv_ARM64_Dec,
	};
	for (unsigned i = block->count; i-- > 0;) {
		UInt32 state = Z7_BRANCH_CONV_ST_X86_STATE_INIT_VAL;
		if (block->filters[i].id == X86)
			z7_BranchConvSt_X86_Dec(bytes, size, block->filters[i].start, &state);
		else
			functions[block->filters[i].id](bytes, size, block->filters[i].start);
	}
}

/* ECMA-182's, half a byte at a time: mksquashfs writes CRC32. */
static uint64_t crc64(const uint8_t *bytes, size_t size)
{
	static const uint64_t polynomial = 0xC96C5795D7870F42u;
	uint64_t table[16], crc = ~(uint64_t)0;
	for (unsigned i = 0; i < COUNT(table); i++) {
		table[i] = i;
		for (unsigned bit = 0; bit < 4; bit++)
			table[i] = table[i] >> 1 ^ (table[i] & 1 ? polynomial : 0);
	}
	for (size_t i = 0; i < size; i++) {
		crc = table[(crc ^ bytes[i]) & 15] ^ crc >> 4;
		crc = table[(crc ^ bytes[i] >> 4) & 15] ^ crc >> 4;
	}
	return ~crc;
}

static bool is_right(struct reader *reader, uint8_t check, const uint8_t *plain, size_t size)
{
	uint8_t digest[SHA256_SIZE];
	size_t length = check == CHECK_NONE ? 0 : check == CHECK_CRC32 ? 4 : check == CHECK_CRC64 ? 8 : sizeof digest;
	const uint8_t *told = reader->at;
	if (length > left(reader))
		return false;
	reader->at += length;
	if (check == CHECK_NONE)
		return true;
	if (check == CHECK_CRC32)
		return libdeflate_crc32(0, plain, size) == number(told);
	if (check == CHECK_CRC64)
		return crc64(plain, size) == (number(told) | (uint64_t)number(told + 4) << 32);
	sha256(plain, size, digest);
	return memcmp(digest, told, sizeof digest) == 0;
}

static bool take_padding(struct reader *reader, size_t behind)
{
	for (; behind % 4; behind++) {
		uint8_t byte;
		if (!take_byte(reader, &byte) || byte)
			return false;
	}
	return true;
}

/* One block; so many bytes it had, or -1. */
static int64_t take_block(struct lzma2 *lzma, struct reader *reader, const struct block *block, uint8_t check, uint8_t *plain, size_t room)
{
	size_t stored;
	int64_t size = lzma2_decode(lzma, block->dictionary, reader->at, left(reader), &stored, plain, room);
	if (size < 0 || (block->plain != UNKNOWN && block->plain != size) ||
	    (block->stored != UNKNOWN && (uint64_t)block->stored != stored))
		return -1;
	reader->at += stored;
	if (!take_padding(reader, stored))
		return -1;
	unfilter(block, plain, (size_t)size);
	return is_right(reader, check, plain, (size_t)size) ? size : -1;
}

static bool take_stream(struct reader *reader, uint8_t *check)
{
	static const uint8_t magic[] = {0xFD, '7', 'z', 'X', 'Z', 0, 0};
	const uint8_t *head = reader->at;
	if (left(reader) < STREAM_HEAD || memcmp(head, magic, sizeof magic) != 0 || libdeflate_crc32(0, head + 6, 2) != number(head + 8))
		return false;
	reader->at += STREAM_HEAD;
	*check = head[7];
	return *check == CHECK_NONE || *check == CHECK_CRC32 || *check == CHECK_CRC64 || *check == CHECK_SHA256;
}

static int decode(void **own, const void *in, size_t in_size, void *out, size_t room, size_t *got, struct fault *fault)
{
	struct reader reader = {in, (const uint8_t *)in + in_size};
	struct block block;
	uint8_t check;
	int more;
	if (!*own && !(*own = lzma2_new()))
		return FAILED(fault, "no memory for the decoder");
	*got = 0;
	if (!take_stream(&reader, &check))
		return BAD_IMAGE(fault, "damaged frame (xz)");
	while ((more = take_head(&reader, &block)) > 0) {
		int64_t size = take_block(*own, &reader, &block, check, (uint8_t *)out + *got, room - *got);
		if (size < 0)
			return BAD_IMAGE(fault, "damaged frame (xz)");
		*got += (size_t)size;
	}
	return more == 0 ? 0 : BAD_IMAGE(fault, "damaged frame (xz)");
}

const struct decoder xz_decoder = {.decode = decode, .leave = free};
