#include "squashfs/strings.h"

#include "squashfs/numbers.h"

#include <stdlib.h>
#include <string.h>

enum { LONGEST = 4096 };

int strings_begin(struct strings *strings, uint32_t texts, size_t size, struct fault *fault)
{
	*strings = (struct strings){.bits = 4, .seed = unforeseeable(), .room = size > LONGEST ? size : LONGEST};
	strings->pool = malloc(strings->room);
	while ((uint64_t)1 << strings->bits < 2 * (uint64_t)texts)
		strings->bits++;
	strings->slots = calloc((size_t)1 << strings->bits, sizeof *strings->slots);
	return strings->slots && strings->pool ? 0 : FAILED(fault, "no memory for the image's names");
}

static uint64_t folded(uint64_t left, uint64_t right)
{
	unsigned __int128 product = (unsigned __int128)left * right;
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* By a seed that nobody can foresee: see numbers.h. */
static uint64_t hash(uint64_t seed, const uint8_t *text, size_t length)
{
	uint64_t state = seed ^ length, word;
	for (; length >= sizeof word; text += sizeof word, length -= sizeof word) {
		memcpy(&word, text, sizeof word);
		state = folded(state ^ word, seed ^ 0x9E3779B97F4A7C15u);
	}
	for (word = 0; length; length--) /* a call of memcpy would take longer */
		word = word << 8 | *text++;
	return folded(state ^ word, seed ^ 0xC2B2AE3D27D4EB4Fu);
}

static int append(struct strings *strings, const uint8_t *text, uint32_t length, struct fault *fault)
{
	if (length > strings->room - strings->used) {
		size_t room = 2 * strings->room; /* which no text is longer than */
		uint8_t *pool = realloc(strings->pool, room);
		if (!pool)
			return FAILED(fault, "no memory for the image's names");
		strings->pool = pool;
		strings->room = room;
	}
	memcpy(strings->pool + strings->used, text, length);
	strings->used += length;
	return 0;
}

static uint64_t mask_of(const struct strings *strings)
{
	return ((uint64_t)1 << strings->bits) - 1;
}

uint64_t strings_hash(const struct strings *strings, const uint8_t *text, size_t length)
{
	uint64_t hashed = hash(strings->seed, text, length);
	__builtin_prefetch(&strings->slots[hashed & mask_of(strings)], 1);
	return hashed;
}

int strings_add(struct strings *strings, uint64_t hashed, const uint8_t *text, uint32_t length, uint32_t *at, struct fault *fault)
{
	uint64_t mask = mask_of(strings), number = hashed & mask;
	uint16_t rest = (uint16_t)(hashed >> 48);
	for (; strings->slots[number].length; number = (number + 1) & mask) {
		const struct slot *slot = &strings->slots[number];
		if (slot->hash == rest && slot->length == length && memcmp(strings->pool + slot->at, text, length) == 0) {
			*at = slot->at;
			return 0;
		}
	}
	*at = (uint32_t)strings->used;
	strings->slots[number] = (struct slot){*at, (uint16_t)length, rest};
	return append(strings, text, length, fault);
}

void strings_free(struct strings *strings)
{
	free(strings->pool);
	free(strings->slots);
}
