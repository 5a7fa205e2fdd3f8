/* Which item an inode number has become: a table for those that may come again. */
#ifndef TMPRUN_SQUASHFS_NUMBERS_H
#define TMPRUN_SQUASHFS_NUMBERS_H

#include <stdint.h>

#include "base/fault.h"

struct known {
	uint32_t number, item;
	uint32_t place; /* of the inode, in the inodes' plain bytes, plus 1; 0: nothing is known here */
};

/* Zeroed to begin with. */
struct numbers {
	struct known *slots;
	uint32_t count, bits; /* how many there are, and of how many slots, as a power of 2 */
	uint64_t seed;
};

const struct known *numbers_find(const struct numbers *numbers, uint32_t number);
/* `number` is none that is known. */
int numbers_add(struct numbers *numbers, struct known known, struct fault *fault);
void numbers_free(struct numbers *numbers);

/* What nobody can foresee who makes an image: with it nobody makes one whose numbers, or names, all want one slot. */
uint64_t unforeseeable(void);

#endif
