#include "base/fault.h"
#include "image/codec.h"

#include <libdeflate.h>

int codec_zlib(struct codec_state *state, const void *in, size_t in_size, void *out, size_t out_size, struct fault *fault)
{
	if (!state->zlib && !(state->zlib = libdeflate_alloc_decompressor()))
		return FAILED(fault, "no memory for the decoder");
	size_t got = 0;
	enum libdeflate_result result = libdeflate_zlib_decompress(state->zlib, in, in_size, out, out_size, &got);
	return result == LIBDEFLATE_SUCCESS && got == out_size ? 0 : BAD_IMAGE(fault, "damaged frame (zlib)");
}

void codec_zlib_free(struct codec_state *state)
{
	libdeflate_free_decompressor(state->zlib);
}
