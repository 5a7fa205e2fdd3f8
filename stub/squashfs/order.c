#include "squashfs/order.h"

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
