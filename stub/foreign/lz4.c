#include "foreign/lz4.h"

#include "base/fault.h"

#include <lz4.h>

static int decode(void **own, const void *in, size_t in_size, void *out, size_t room, size_t *got, struct fault *fault)
{
	(void)own;
	if (in_size > MAX_STORED || room > MAX_PLAIN) /* what follows counts with int */
		return BAD_IMAGE(fault, "damaged frame (lz4)");
	int size = LZ4_decompress_safe(in, out, (int)in_size, (int)room);
	if (size < 0)
		return BAD_IMAGE(fault, "damaged frame (lz4)");
	*got = (size_t)size;
	return 0;
}

const struct decoder lz4_decoder = {.decode = decode};
