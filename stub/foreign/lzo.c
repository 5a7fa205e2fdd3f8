/* Written anew from what Linux's Documentation/staging/lzo.rst says of the stream; the library itself is under the GPL.
 *
 * A stream is instructions, each of which copies something that was written before and then takes up to three literal bytes from the
 * stream, or takes many. What an instruction below 16 means depends on how many literals the one before took; the last copies
 * nothing, from a distance that no other can name. */
#include "foreign/lzo.h"

#include "base/fault.h"

#include <stdbool.h>
#include <string.h>

enum {
	FIRST_RUN = 17,     /* a first byte above this is a run of so many less */
	AT_ONCE = 16,       /* bytes that are copied whatever the length, where there is room: most copies are short */
	MANY = 4,           /* "so many literals or more" */
	NEAR = 1,
	FAR = 2049,
	FARTHEST = 16384, /* the shortest distances of three kinds of instructions */
};

struct stream {
	const uint8_t *in, *in_end;
	uint8_t *start, *out, *out_end;
	size_t literals; /* that the last instruction took, at the most MANY */
};

/* A copy of `length` bytes from `distance` back, then so many literals. */
struct step {
	size_t length, distance, literals;
};

static bool next(struct stream *stream, size_t *byte)
{
	if (stream->in == stream->in_end)
		return false;
	*byte = *stream->in++;
	return true;
}

static bool next_two(struct stream *stream, size_t *word)
{
	size_t low, high;
	if (!next(stream, &low) || !next(stream, &high))
		return false;
	*word = low | high << 8;
	return true;
}

/* A length in the bits of an instruction under `mask`; when they are 0 more follows: 255 for each zero byte, and the byte behind. */
static bool take_length(struct stream *stream, size_t instruction, size_t mask, size_t *length)
{
	size_t byte;
	*length = instruction & mask;
	if (*length)
		return true;
	*length = mask;
	for (;;) {
		if (!next(stream, &byte))
			return false;
		if (byte) {
			*length += byte;
			return true;
		}
		*length += 255;
	}
}

static bool take_literals(struct stream *stream, size_t count)
{
	size_t left = (size_t)(stream->in_end - stream->in), room = (size_t)(stream->out_end - stream->out);
	if (count > left || count > room)
		return false;
	memcpy(stream->out, stream->in, count <= AT_ONCE && left >= AT_ONCE && room >= AT_ONCE ? AT_ONCE : count);
	stream->in += count;
	stream->out += count;
	stream->literals = count < MANY ? count : MANY;
	return true;
}

static bool copy(struct stream *stream, size_t distance, size_t length)
{
	size_t room = (size_t)(stream->out_end - stream->out);
	if (distance > (size_t)(stream->out - stream->start) || length > room)
		return false;
	uint8_t *to = stream->out;
	const uint8_t *from = to - distance;
	stream->out += length;
	if (distance >= AT_ONCE && length <= AT_ONCE && room >= AT_ONCE)
		memcpy(to, from, AT_ONCE);
	else if (distance >= length)
		memcpy(to, from, length);
	else /* what is copied is part of what it becomes */
		while (to < stream->out)
			*to++ = *from++;
	return true;
}

/* Below 16, and not a run of literals. */
static bool read_short(struct stream *stream, size_t instruction, struct step *step)
{
	size_t high;
	if (!next(stream, &high))
		return false;
	bool far = stream->literals == MANY;
	step->length = far ? 3 : 2;
	step->distance = (far ? FAR : NEAR) + (high << 2) + (instruction >> 2);
	step->literals = instruction & 3;
	return true;
}

/* From 64 on. */
static bool read_middle(struct stream *stream, size_t instruction, struct step *step)
{
	size_t high;
	if (!next(stream, &high))
		return false;
	step->length = (instruction >> 5) + 1;
	step->distance = NEAR + (high << 3) + (instruction >> 2 & 7);
	step->literals = instruction & 3;
	return true;
}

/* From 16 to 63. */
static bool read_long(struct stream *stream, size_t instruction, struct step *step)
{
	bool farthest = instruction < 32;
	size_t word;
	if (!take_length(stream, instruction, farthest ? 7 : 31, &step->length) || !next_two(stream, &word))
		return false;
	step->length += 2;
	step->distance = farthest ? FARTHEST + ((instruction & 8) << 11) + (word >> 2) : NEAR + (word >> 2);
	step->literals = word & 3;
	return true;
}

static bool read_step(struct stream *stream, size_t instruction, struct step *step)
{
	if (instruction >= 64)
		return read_middle(stream, instruction, step);
	return instruction >= 16 ? read_long(stream, instruction, step) : read_short(stream, instruction, step);
}

static bool begin(struct stream *stream)
{
	if (stream->in == stream->in_end || *stream->in <= FIRST_RUN)
		return true;
	size_t count = (size_t)*stream->in++ - FIRST_RUN;
	return take_literals(stream, count);
}

static bool run(struct stream *stream)
{
	size_t instruction, count;
	if (!begin(stream))
		return false;
	while (next(stream, &instruction)) {
		struct step step;
		if (instruction < 16 && stream->literals == 0) {
			if (!take_length(stream, instruction, 15, &count) || !take_literals(stream, count + 3))
				return false;
			continue;
		}
		if (!read_step(stream, instruction, &step))
			return false;
		if (instruction < 32 && instruction >= 16 && step.distance == FARTHEST)
			return step.length == 3 && stream->in == stream->in_end;
		if (!copy(stream, step.distance, step.length) || !take_literals(stream, step.literals))
			return false;
	}
	return false;
}

static int decode(void **own, const void *in, size_t in_size, void *out, size_t room, size_t *got, struct fault *fault)
{
	(void)own;
	struct stream stream = {in, (const uint8_t *)in + in_size, out, out, (uint8_t *)out + room, 0};
	if (!run(&stream))
		return BAD_IMAGE(fault, "damaged frame (lzo)");
	*got = (size_t)(stream.out - stream.start);
	return 0;
}

const struct decoder lzo_decoder = {.decode = decode};
