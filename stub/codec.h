/* From a frame's stored bytes to its plain ones. Nothing is decoded before its digest has been checked. */
#ifndef TMPRUN_CODEC_H
#define TMPRUN_CODEC_H

#include "index.h"

/* What one thread needs to decode; zeroed to begin with. Made when first needed, so that a start without a codec pays nothing. */
struct codec_state {
	void *zstd;
	void *zlib;
	void *stored; /* room for one frame's stored bytes */
	size_t stored_size;
};

/* Read `frame`, whose offset counts from `base` in `fd`, check its digest and put its plain bytes at `plain`. */
int codec_read(struct codec_state *state, int fd, uint64_t base, const struct frame *frame, void *plain, struct fault *fault);
void codec_free(struct codec_state *state);

/* A whole zstd frame from one buffer into another of exactly the plain size. */
int codec_zstd(struct codec_state *state, const void *in, size_t in_size, void *out, size_t out_size, struct fault *fault);

/* Only the front door has DEFLATE (codec_zlib.c): a bundle needs none, and the stub should be small. */
__attribute__((weak)) int codec_zlib(struct codec_state *state, const void *in, size_t in_size, void *out, size_t out_size,
				     struct fault *fault);
__attribute__((weak)) void codec_zlib_free(struct codec_state *state);

#endif
