/* An open image that remembers what was read from it, so that it can be compared with what is hashed later. */
#ifndef TMPRUN_SQUASHFS_SOURCE_H
#define TMPRUN_SQUASHFS_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "base/fault.h"

/* The program's header, its last section's, the payload's magic, the superblock, the tables: five, and some. */
enum { SOURCE_PIECES = 8 };

struct source {
	int fd;
	uint64_t size;
	unsigned count;
	struct piece {
		uint64_t offset;
		size_t size;
		uint8_t *bytes;
	} pieces[SOURCE_PIECES]; /* all that was read */
};

/* `size` bytes from `offset`, which stay the source's; NULL when the file has not so many, or with any other fault. */
const uint8_t *source_read(struct source *source, uint64_t offset, size_t size, struct fault *fault);
void source_free(struct source *source);

/* Bytes that nobody has to remember, since a decoder finds out when they lied: 0, or -1. They are in range. */
int source_peek(const struct source *source, uint64_t offset, void *out, size_t size, struct fault *fault);

/* The fault of an image whose bytes are not the same ones all the time; -1. */
int source_changed(struct fault *fault);

#endif
