#include "squashfs/order.h"

#include <stdbool.h>
#include <string.h>

static size_t least(size_t left, size_t right)
{
	return left < right ? left : right;
}

/* Two neighbours, each in order, become one: the left one ends at `middle`. */
static void merge(uint32_t *numbers, uint32_t *spare, size_t middle, size_t count, order_compare *compare, const void *context)
{
	if (compare(context, numbers[middle - 1], numbers[middle]) <= 0)
		return;
	memcpy(spare, numbers, middle * sizeof *numbers);
	size_t left = 0, right = middle, at = 0;
	while (left < middle && right < count)
		numbers[at++] = compare(context, spare[left], numbers[right]) <= 0 ? spare[left++] : numbers[right++];
	memcpy(numbers + at, spare + left, (middle - left) * sizeof *numbers);
}

void order_sort(uint32_t *numbers, uint32_t *spare, size_t count, order_compare *compare, const void *context)
{
	for (size_t width = 1; width < count; width *= 2)
		for (size_t at = 0; at + width < count; at += 2 * width)
			merge(numbers + at, spare, width, least(2 * width, count - at), compare, context);
}

enum { DIGIT_BITS = 8, DIGITS = 64 / DIGIT_BITS, VALUES = 1 << DIGIT_BITS };

/* Where the keys with each value of a digit go, as their counts were before; false when all have the same. */
static bool places(uint32_t counts[VALUES], size_t count)
{
	uint32_t at = 0;
	for (size_t value = 0; value < VALUES; value++) {
		uint32_t here = counts[value];
		if (here == count)
			return false;
		counts[value] = at;
		at += here;
	}
	return true;
}

/* From the lowest digit to the highest, each keeping the order of the ones before. */
void order_keys(uint64_t *keys, uint64_t *spare, size_t count)
{
	uint32_t counts[DIGITS][VALUES] = {{0}};
	uint64_t *from = keys, *to = spare;
	for (size_t i = 0; i < count; i++)
		for (unsigned digit = 0; digit < DIGITS; digit++)
			counts[digit][keys[i] >> digit * DIGIT_BITS & (VALUES - 1)]++;
	for (unsigned digit = 0; digit < DIGITS; digit++) {
		if (!places(counts[digit], count))
			continue;
		for (size_t i = 0; i < count; i++)
			to[counts[digit][from[i] >> digit * DIGIT_BITS & (VALUES - 1)]++] = from[i];
		uint64_t *other = from;
		from = to;
		to = other;
	}
	if (from != keys)
		memcpy(keys, from, count * sizeof *keys);
}
