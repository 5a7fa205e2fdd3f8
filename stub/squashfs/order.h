/* Numbers in the order of what they stand for. */
#ifndef TMPRUN_SQUASHFS_ORDER_H
#define TMPRUN_SQUASHFS_ORDER_H

#include <stddef.h>
#include <stdint.h>

/* Below 0, 0 or above it as what `left` stands for comes before, is equal to or comes after what `right` stands for. */
typedef int order_compare(const void *context, uint32_t left, uint32_t right);

/* Sort `count` numbers; equal ones stay as they stood. `spare` has room for as many. What is in order already, wholly or in long
 * stretches, as mksquashfs writes everything, takes a time that is linear; anything else count * log(count) comparisons. */
void order_sort(uint32_t *numbers, uint32_t *spare, size_t count, order_compare *compare, const void *context);

/* Sort numbers that are their own order, in a time that is linear. `spare` has room for as many. */
void order_keys(uint64_t *keys, uint64_t *spare, size_t count);

#endif
