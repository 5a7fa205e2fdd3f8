#include "squashfs/numbers.h"

#include "base/system.h"

#include <stdlib.h>
#include <sys/random.h>

enum { FIRST_BITS = 10 };

uint64_t unforeseeable(void)
{
	uint64_t random;
	if (getrandom(&random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random)
		random = now_us() * 0x9E3779B97F4A7C15u;
	return random | 1;
}

/* The slot that has the number, or the free one where it would be: half of them are free at least. (Multiply-shift hashing: two
 * numbers share a slot by chance only.) */
static struct known *slot_of(const struct numbers *numbers, uint32_t number)
{
	uint64_t mask = ((uint64_t)1 << numbers->bits) - 1;
	uint64_t at = number * numbers->seed >> (64 - numbers->bits);
	while (numbers->slots[at].place && numbers->slots[at].number != number)
		at = (at + 1) & mask;
	return &numbers->slots[at];
}

const struct known *numbers_find(const struct numbers *numbers, uint32_t number)
{
	const struct known *slot = numbers->count ? slot_of(numbers, number) : NULL;
	return slot && slot->place ? slot : NULL;
}

static int grow(struct numbers *numbers, struct fault *fault)
{
	struct numbers larger = {.bits = numbers->bits ? numbers->bits + 1 : FIRST_BITS, .count = numbers->count};
	larger.seed = numbers->seed ? numbers->seed : unforeseeable();
	larger.slots = calloc((size_t)1 << larger.bits, sizeof *larger.slots);
	if (!larger.slots)
		return FAILED(fault, "no memory for the image's tables");
	for (size_t i = 0; numbers->bits && i < (size_t)1 << numbers->bits; i++)
		if (numbers->slots[i].place)
			*slot_of(&larger, numbers->slots[i].number) = numbers->slots[i];
	free(numbers->slots);
	*numbers = larger;
	return 0;
}

int numbers_add(struct numbers *numbers, struct known known, struct fault *fault)
{
	if ((!numbers->bits || numbers->count == 1u << (numbers->bits - 1)) && grow(numbers, fault) < 0)
		return -1;
	*slot_of(numbers, known.number) = known;
	numbers->count++;
	return 0;
}

void numbers_free(struct numbers *numbers)
{
	free(numbers->slots);
}
