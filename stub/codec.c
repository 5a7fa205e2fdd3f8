#include "codec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

int codec_zstd(struct codec_state *state, const void *in, size_t in_size, void *out, size_t out_size, struct fault *fault)
{
	if (!state->zstd && !(state->zstd = ZSTD_createDCtx()))
		return FAILED(fault, "no memory for the decoder");
	/* Straight into a buffer of the promised size: a frame's window, however large it says it is, is never allocated. */
	size_t got = ZSTD_decompressDCtx(state->zstd, out, out_size, in, in_size);
	return got == out_size ? 0 : BAD_IMAGE(fault, "damaged frame (zstd)");
}

static int decode(struct codec_state *state, const struct frame *frame, void *plain, struct fault *fault)
{
	if (frame->codec == CODEC_ZSTD)
		return codec_zstd(state, state->stored, frame->stored, plain, frame->plain, fault);
	if (frame->codec == CODEC_ZLIB && codec_zlib)
		return codec_zlib(state, state->stored, frame->stored, plain, frame->plain, fault);
	if (frame->codec == CODEC_STORED) {
		memcpy(plain, state->stored, frame->stored);
		return 0;
	}
	return BAD_IMAGE(fault, "this image needs tmprun to start it (its codec is not in this program)");
}

int codec_read(struct codec_state *state, int fd, uint64_t base, const struct frame *frame, void *plain, struct fault *fault)
{
	if (state->stored_size < frame->stored) {
		free(state->stored);
		state->stored = malloc(frame->stored);
		state->stored_size = state->stored ? frame->stored : 0;
		if (!state->stored)
			return FAILED(fault, "no memory for a frame");
	}
	/* A private copy, not a mapping: the file may change between the digest and the decoder, this cannot. */
	if (read_at(fd, state->stored, frame->stored, base + frame->offset) < 0)
		return BAD_IMAGE(fault, errno ? reason_text(errno) : "it is cut short; download it again");
	uint8_t digest[SHA256_SIZE];
	sha256(state->stored, frame->stored, digest);
	if (memcmp(digest, frame->digest, sizeof digest) != 0)
		return BAD_IMAGE(fault, "damaged or changed while it was read (a frame's SHA-256 is wrong); download it again");
	return decode(state, frame, plain, fault);
}

void codec_free(struct codec_state *state)
{
	ZSTD_freeDCtx(state->zstd);
	if (codec_zlib_free)
		codec_zlib_free(state);
	free(state->stored);
	*state = (struct codec_state){0};
}
