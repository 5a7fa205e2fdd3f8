#include "foreign/deflate.h"

#include "base/fault.h"

#include <libdeflate.h>

static int decode(void **own, const void *in, size_t in_size, void *out, size_t room, size_t *got, struct fault *fault)
{
	if (!*own && !(*own = libdeflate_alloc_decompressor()))
		return FAILED(fault, "no memory for the decoder");
	enum libdeflate_result result = libdeflate_zlib_decompress(*own, in, in_size, out, room, got);
	return result == LIBDEFLATE_SUCCESS ? 0 : BAD_IMAGE(fault, "damaged frame (zlib)");
}

static void leave(void *own)
{
	libdeflate_free_decompressor(own);
}

const struct decoder deflate_decoder = {.decode = decode, .leave = leave};
