/* LZMA2, which is what lies in an .xz block. */
#ifndef TMPRUN_FOREIGN_LZMA2_H
#define TMPRUN_FOREIGN_LZMA2_H

#include <stddef.h>
#include <stdint.h>

/* What a decoder learns, and forgets where the data say so: 28 KB. Nothing in it need be set before. */
struct lzma2;

struct lzma2 *lzma2_new(void);

/* Decode all up to the end mark into `plain`, which has room for `room` bytes. `dictionary` is the size as the block's header has it, a
 * byte. Returns how many bytes there are then, and *used is how many of `in` were read; -1 when they are damaged, or too many. */
int64_t lzma2_decode(struct lzma2 *lzma, uint8_t dictionary, const uint8_t *in, size_t size, size_t *used, uint8_t *plain, size_t room);

#endif
