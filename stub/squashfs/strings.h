/* The pool of names and targets of an index in the making, each text stored once. */
#ifndef TMPRUN_SQUASHFS_STRINGS_H
#define TMPRUN_SQUASHFS_STRINGS_H

#include <stddef.h>
#include <stdint.h>

#include "base/fault.h"

struct strings {
	uint8_t *pool;
	size_t used, room;
	struct slot {
		uint32_t at;
		uint16_t length, hash; /* length 0: free */
	} *slots;
	unsigned bits;
	uint64_t seed;
};

/* Have room for `texts` different texts, which have some `size` bytes. */
int strings_begin(struct strings *strings, uint32_t texts, size_t size, struct fault *fault);
/* The text's hash. Whoever asks for it some texts ahead does not wait for memory when he adds it. */
uint64_t strings_hash(const struct strings *strings, const uint8_t *text, size_t length);
/* Where the text, which is not empty, lies in the pool; in *at. */
int strings_add(struct strings *strings, uint64_t hashed, const uint8_t *text, uint32_t length, uint32_t *at, struct fault *fault);
void strings_free(struct strings *strings);

#endif
