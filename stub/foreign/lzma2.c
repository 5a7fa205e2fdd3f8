/* Written anew from what 7-Zip's lzma-specification.txt and xz-file-format.txt (https://tukaani.org/xz/) say. A library's decoder would
 * do, were it as fast: 7-Zip's jumps at each bit of a literal, which nobody can foresee, and takes a third longer; liblzma has one
 * that does not since 5.6, and no sdist brings it (docs/engine-build.md). 7-Zip's is what this one is compared with when it is fuzzed.
 *
 * The plain bytes are the dictionary. Data is a row of chunks, each of which says how large it is, before and after; so most of it is
 * decoded without looking for the end of the input at each byte: a symbol takes SYMBOL_MAX bytes at the most, and where less is left
 * of a chunk, it goes on in a copy with zeros behind it. */
#include "foreign/lzma2.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define UNROLLED _Pragma("GCC unroll 8")

enum {
	CHANCE_BITS = 11, /* a chance is that of a 0, of 2048 */
	ONE = 1 << CHANCE_BITS,
	LEARN = 5, /* an adaption is a 32nd of the difference */
	RANGE_TOP = 1 << 24,
	STATES = 12,
	LITERAL_STATES = 7, /* those behind a literal */
	PLACES = 16,        /* of a byte in groups of up to so many */
	LITERAL = 0x300,    /* chances of a literal in one context */
	CONTEXT_BITS = 4,   /* LZMA2 allows so many for the contexts of literals */
	SLOTS = 64,
	FIRST_LONG_SLOT = 14, /* from here on, most bits of a distance are as likely 0 as 1 */
	ALIGN_BITS = 4,
	SHORTEST = 2,
	SYMBOL_MAX = 24, /* 22 bits with a chance of 31 in 2048 at the least, and 26 without: less than 20 bytes */
	CODER_BYTES = 5,
	AT_ONCE = 16,
	DICTIONARY_MAX = 40,
};

/* The first byte of a chunk. Those of LZMA begin with the second highest bits set to what they begin anew. */
enum { END = 0, COPY_ANEW = 1, COPY = 2, LZMA = 0x80, NEW_STATE = 0xA0, NEW_PROPERTIES = 0xC0, ALL_ANEW = 0xE0 };

typedef uint16_t chance;

struct lengths {
	chance choice[2], low[PLACES][8], middle[PLACES][8], high[256];
};

struct chances {
	chance match[STATES][PLACES], again[STATES], first[STATES], second[STATES], third[STATES], one_byte[STATES][PLACES];
	chance slots[4][SLOTS], near[115], align[1 << ALIGN_BITS];
	struct lengths fresh, repeated;
	chance literals[LITERAL << CONTEXT_BITS];
};

/* What came last: `state` says of which kinds the last few symbols were; and the last four distances, 0 being that of the byte before. */
struct past {
	uint32_t state, nearest, second, third, fourth;
};

struct lzma2 {
	struct chances chances;
	struct past past;
	uint32_t literal_mask, literal_bits, place_mask, dictionary;
	uint8_t needed; /* the least that the next chunk must begin anew */
};

/* The range coder: where the input is, and what is left of the range. It lives in registers, as what follows does: so all that works on
 * it is in line. */
struct coder {
	const uint8_t *in;
	uint32_t range, code;
};

/* What is being written: the dictionary begins at `start`. */
struct output {
	const uint8_t *start;
	uint8_t *at, *end;
};

struct lzma2 *lzma2_new(void)
{
	return malloc(sizeof(struct lzma2));
}

INLINE void normalize(struct coder *coder)
{
	if (coder->range < RANGE_TOP) {
		coder->range <<= 8;
		coder->code = coder->code << 8 | *coder->in++;
	}
}

/* A bit that decides what comes next. Most are what they were before, so that a jump is foreseen. */
INLINE bool decide(struct coder *coder, chance *of)
{
	uint32_t zero = *of;
	normalize(coder);
	uint32_t bound = (coder->range >> CHANCE_BITS) * zero;
	if (coder->code < bound) {
		coder->range = bound;
		*of = (chance)(zero + ((ONE - zero) >> LEARN));
		return false;
	}
	coder->range -= bound;
	coder->code -= bound;
	*of = (chance)(zero - (zero >> LEARN));
	return true;
}

/* The chances of the bit behind one, by what that one is. They are loaded before it is known: else each bit would wait for a load. */
struct behind {
	uint32_t zero, one;
};

static const struct behind nothing = {0};

/* A bit that nobody can foresee, with a chance of `now`, which is kept at `of`. *symbol becomes twice as much and the bit; `now` becomes
 * the chance of the bit behind it. Returns ~0 for a 0 and 0 for a 1. There is no jump in it: for a 0, `learnt` is what makes the same
 * shift and difference add to the chance, rounded as it should be. */
INLINE uint32_t shift_in(struct coder *coder, chance *of, uint32_t *now, struct behind behind, uint32_t *symbol)
{
	uint32_t zero = *now, mask;
	normalize(coder);
	uint32_t bound = (coder->range >> CHANCE_BITS) * zero, learnt = zero - (ONE - (1 << LEARN) + 1);
#ifdef __x86_64__
	/* The compiler would rather jump, or compute with masks, which takes longer. */
	uint32_t before = coder->code, next = 2 * *symbol;
	coder->range -= bound;
	__asm__("sub %[bound], %[code]\n\t"
		"cmovb %[before], %[code]\n\t"
		"cmovb %[bound], %[range]\n\t"
		"cmovb %[behind_zero], %[now]\n\t"
		"cmovae %[zero], %[learnt]\n\t"
		"sbb %[mask], %[mask]\n\t"
		"sbb $-1, %[next]"
		: [code] "+&r"(coder->code), [range] "+&r"(coder->range), [learnt] "+&r"(learnt), [mask] "=&r"(mask), [next] "+&r"(next),
		  [now] "+&r"(behind.one)
		: [bound] "r"(bound), [before] "r"(before), [zero] "r"(zero), [behind_zero] "r"(behind.zero)
		: "cc");
	*symbol = next;
	*now = behind.one;
#else
	mask = (uint32_t)-(int32_t)(coder->code < bound);
	coder->range = mask ? bound : coder->range - bound;
	coder->code -= bound & ~mask;
	learnt = mask ? learnt : zero;
	*symbol = 2 * *symbol + 1 + mask;
	*now = mask ? behind.zero : behind.one;
#endif
	*of = (chance)(zero - (uint32_t)((int32_t)learnt >> LEARN));
	return mask;
}

/* The next of several bits, the highest first or the lowest; each has a chance for each row of bits before it. */
INLINE uint32_t take_bit(struct coder *coder, chance *of, uint32_t *now, bool last, uint32_t *symbol)
{
	struct behind behind = last ? nothing : (struct behind){of[2 * *symbol], of[2 * *symbol + 1]};
	return shift_in(coder, of + *symbol, now, behind, symbol);
}

INLINE uint32_t take_bits(struct coder *coder, chance *of, unsigned bits)
{
	uint32_t symbol = 1, now = of[1];
	UNROLLED
	for (unsigned i = 1; i <= bits; i++)
		take_bit(coder, of, &now, i == bits, &symbol);
	return symbol - ((uint32_t)1 << bits);
}

INLINE uint32_t take_reversed(struct coder *coder, chance *of, unsigned bits)
{
	uint32_t symbol = 1, now = of[1], value = 0;
	for (unsigned i = 1; i < bits; i++)
		value |= (1 + take_bit(coder, of, &now, false, &symbol)) << (i - 1);
	return value | (1 + take_bit(coder, of, &now, true, &symbol)) << (bits - 1);
}

/* Bits that are as likely 0 as 1. */
INLINE uint32_t take_even(struct coder *coder, unsigned bits)
{
	uint32_t value = 0;
	for (; bits; bits--) {
		normalize(coder);
		coder->range >>= 1;
		coder->code -= coder->range;
		uint32_t mask = (uint32_t)-(int32_t)(coder->code >> 31); /* it was less: a 0 */
		coder->code += coder->range & mask;
		value = 2 * value + 1 + mask;
	}
	return value;
}

/* A literal behind a match differs from the byte that would have followed: as long as it does not, that byte's bits choose. */
INLINE uint32_t take_other(struct coder *coder, chance *of, uint32_t likely)
{
	uint32_t symbol = 1, same = 0x100, now = of[same + (2 * likely & same) + symbol];
	UNROLLED
	for (unsigned i = 0; i < 8; i++) {
		likely <<= 1;
		uint32_t bit = likely & same;
		/* What will be the same behind a 0, and behind a 1, and the bits there. */
		uint32_t zero = same & ~bit, one = bit, zero_bit = 2 * likely & zero, one_bit = 2 * likely & one;
		struct behind behind =
			i == 7 ? nothing : (struct behind){of[zero + zero_bit + 2 * symbol], of[one + one_bit + 2 * symbol + 1]};
		uint32_t mask = shift_in(coder, of + same + bit + symbol, &now, behind, &symbol);
		same = bit ^ (same & mask);
	}
	return symbol - 0x100;
}

INLINE uint32_t take_length(struct coder *coder, struct lengths *lengths, uint32_t place)
{
	if (!decide(coder, &lengths->choice[0]))
		return SHORTEST + take_bits(coder, lengths->low[place], 3);
	if (!decide(coder, &lengths->choice[1]))
		return SHORTEST + 8 + take_bits(coder, lengths->middle[place], 3);
	return SHORTEST + 16 + take_bits(coder, lengths->high, 8);
}

INLINE uint32_t take_distance(struct coder *coder, struct chances *chances, uint32_t length)
{
	uint32_t slot = take_bits(coder, chances->slots[length < SHORTEST + 3 ? length - SHORTEST : 3], 6);
	if (slot < 4)
		return slot;
	unsigned bits = slot / 2 - 1;
	uint32_t high = (2 | (slot & 1)) << bits;
	if (slot < FIRST_LONG_SLOT)
		return high + take_reversed(coder, chances->near + (high - slot), bits);
	uint32_t middle = take_even(coder, bits - ALIGN_BITS);
	return high + (middle << ALIGN_BITS) + take_reversed(coder, chances->align, ALIGN_BITS);
}

INLINE int take_literal(struct lzma2 *lzma, struct coder *coder, struct past *past, struct output *output)
{
	size_t place = (size_t)(output->at - output->start);
	uint32_t before = place ? output->at[-1] : 0;
	size_t context = ((place & lzma->literal_mask) << lzma->literal_bits) + (before >> (8 - lzma->literal_bits));
	chance *of = lzma->chances.literals + LITERAL * context;
	if (past->state < LITERAL_STATES) {
		*output->at++ = (uint8_t)take_bits(coder, of, 8);
		past->state = past->state < 4 ? 0 : past->state - 3;
		return 0;
	}
	if (past->nearest >= place)
		return -1;
	uint32_t likely = *(output->at - past->nearest - 1);
	*output->at++ = (uint8_t)take_other(coder, of, likely);
	past->state -= past->state < 10 ? 3 : 6;
	return 0;
}

/* Bytes that are copied may be among those that the copy makes. */
INLINE int copy(struct output *output, uint32_t distance, uint32_t length, uint32_t dictionary)
{
	if (distance >= (size_t)(output->at - output->start) || distance >= dictionary || length > (size_t)(output->end - output->at))
		return -1;
	const uint8_t *from = output->at - distance - 1;
	uint8_t *to = output->at, *end = to + length;
	output->at = end;
	if (distance >= AT_ONCE - 1 && (size_t)(output->end - end) >= AT_ONCE)
		for (; to < end; to += AT_ONCE, from += AT_ONCE)
			memcpy(to, from, AT_ONCE);
	else
		while (to < end)
			*to++ = *from++;
	return 0;
}

/* Another of the last distances than the nearest becomes the nearest. */
INLINE void choose_distance(struct chances *chances, struct coder *coder, struct past *past)
{
	uint32_t chosen = past->second;
	if (decide(coder, &chances->second[past->state])) {
		bool last = decide(coder, &chances->third[past->state]);
		chosen = last ? past->fourth : past->third;
		past->fourth = last ? past->third : past->fourth;
		past->third = past->second;
	}
	past->second = past->nearest;
	past->nearest = chosen;
}

/* What is no literal: bytes that were there before, from a new distance or from one of the last. */
INLINE int take_match(struct lzma2 *lzma, struct coder *coder, struct past *past, struct output *output, uint32_t place)
{
	struct chances *chances = &lzma->chances;
	bool literal = past->state < LITERAL_STATES;
	uint32_t length;
	if (!decide(coder, &chances->again[past->state])) {
		length = take_length(coder, &chances->fresh, place);
		past->fourth = past->third, past->third = past->second, past->second = past->nearest;
		past->nearest = take_distance(coder, chances, length);
		past->state = literal ? 7 : 10;
		return copy(output, past->nearest, length, lzma->dictionary);
	}
	if (decide(coder, &chances->first[past->state])) {
		choose_distance(chances, coder, past);
	} else if (!decide(coder, &chances->one_byte[past->state][place])) {
		past->state = literal ? 9 : 11;
		return copy(output, past->nearest, 1, lzma->dictionary);
	}
	length = take_length(coder, &chances->repeated, place);
	past->state = literal ? 8 : 11;
	return copy(output, past->nearest, length, lzma->dictionary);
}

/* A chunk of LZMA: `size` bytes that become what there is between output->at and output->end. */
static int take_symbols(struct lzma2 *lzma, const uint8_t *in, size_t size, struct output output)
{
	uint8_t rest[2 * SYMBOL_MAX] = {0};
	const uint8_t *end = in + size, *safe = size > SYMBOL_MAX ? end - SYMBOL_MAX : in;
	if (size < CODER_BYTES || in[0])
		return -1;
	struct coder coder = {in + CODER_BYTES, UINT32_MAX, (uint32_t)in[1] << 24 | (uint32_t)in[2] << 16 | (uint32_t)in[3] << 8 | in[4]};
	struct past past = lzma->past;
	while (output.at < output.end) {
		if (coder.in > safe) {
			if (safe == end)
				return -1;
			size_t left = (size_t)(end - coder.in);
			coder.in = memcpy(rest, coder.in, left);
			end = safe = rest + left;
		}
		uint32_t place = (uint32_t)(output.at - output.start) & lzma->place_mask;
		bool match = decide(&coder, &lzma->chances.match[past.state][place]);
		if ((match ? take_match(lzma, &coder, &past, &output, place) : take_literal(lzma, &coder, &past, &output)) < 0)
			return -1;
	}
	lzma->past = past;
	/* A byte that is left may still be needed; then there is nothing left, nor of the range. */
	normalize(&coder);
	return coder.code == 0 && coder.in == end ? 0 : -1;
}

static void begin_anew(struct lzma2 *lzma)
{
	chance *chances = (chance *)&lzma->chances;
	for (size_t i = 0; i < sizeof lzma->chances / sizeof *chances; i++)
		chances[i] = ONE / 2;
	lzma->past = (struct past){0};
}

/* How bytes are told apart by where they are: three numbers in one. */
static int set_properties(struct lzma2 *lzma, unsigned properties)
{
	unsigned bits = properties % 9, places = properties / 9 % 5, groups = properties / 45;
	if (groups > 4 || bits + places > CONTEXT_BITS)
		return -1;
	lzma->literal_bits = bits;
	lzma->literal_mask = ((uint32_t)1 << places) - 1;
	lzma->place_mask = ((uint32_t)1 << groups) - 1;
	return 0;
}

struct input {
	const uint8_t *at, *end;
};

static size_t left(const struct input *input)
{
	return (size_t)(input->end - input->at);
}

/* Sizes are one less than what is meant. */
static size_t size_at(const uint8_t *at)
{
	return ((size_t)at[0] << 8 | at[1]) + 1;
}

/* A chunk of bytes as they are. */
static int take_copied(struct lzma2 *lzma, unsigned control, struct input *input, struct output *output)
{
	if (control > COPY || (control == COPY && lzma->needed == ALL_ANEW) || left(input) < 2)
		return -1;
	size_t size = size_at(input->at);
	input->at += 2;
	if (size > left(input) || size > (size_t)(output->end - output->at))
		return -1;
	if (control == COPY_ANEW) {
		output->start = output->at;
		lzma->needed = NEW_PROPERTIES;
	}
	memcpy(output->at, input->at, size);
	output->at += size;
	input->at += size;
	return 0;
}

static int take_lzma(struct lzma2 *lzma, unsigned control, struct input *input, struct output *output)
{
	if (control < lzma->needed || left(input) < 5)
		return -1;
	size_t plain = ((size_t)(control & 0x1F) << 16) + size_at(input->at), size = size_at(input->at + 2);
	input->at += 4;
	if (control >= NEW_PROPERTIES && set_properties(lzma, *input->at++) < 0)
		return -1;
	if (control >= NEW_STATE)
		begin_anew(lzma);
	if (control >= ALL_ANEW)
		output->start = output->at;
	lzma->needed = 0;
	if (size > left(input) || plain > (size_t)(output->end - output->at))
		return -1;
	if (take_symbols(lzma, input->at, size, (struct output){output->start, output->at, output->at + plain}) < 0)
		return -1;
	output->at += plain;
	input->at += size;
	return 0;
}

int64_t lzma2_decode(struct lzma2 *lzma, uint8_t dictionary, const uint8_t *in, size_t size, size_t *used, uint8_t *plain, size_t room)
{
	struct input input = {in, in + size};
	struct output output = {plain, plain, plain + room};
	if (dictionary > DICTIONARY_MAX)
		return -1;
	lzma->dictionary = dictionary == DICTIONARY_MAX ? UINT32_MAX : (2u | (dictionary & 1)) << (dictionary / 2 + 11);
	lzma->needed = ALL_ANEW;
	while (left(&input)) {
		unsigned control = *input.at++;
		if (control == END) {
			*used = (size_t)(input.at - in);
			return output.at - plain;
		}
		if ((control < LZMA ? take_copied : take_lzma)(lzma, control, &input, &output) < 0)
			return -1;
	}
	return -1;
}
