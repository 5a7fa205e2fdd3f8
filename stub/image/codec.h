/* From a frame's stored bytes to its plain ones. Nothing is decoded before its digest has been checked. */
#ifndef TMPRUN_IMAGE_CODEC_H
#define TMPRUN_IMAGE_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "base/fault.h"
#include "image/index.h"

/* What one thread needs to decode; zeroed to begin with. Made when first needed, so that a start without a codec pays nothing. */
struct codec_state {
	void *zstd;
	void *zlib;
	struct stored {
		void *bytes; /* a frame's stored ones */
		size_t room;
	} stored[2];
};

/* Read one or two frames, whose offsets count from `base` in `fd`, and check their digests. Two at once cost less than twice one. */
int codec_fetch(struct codec_state *state, int fd, uint64_t base, const struct frame *const *frames, size_t count, struct fault *fault);

/* Put the plain bytes of the frame that was fetched as number `which` at `plain`. */
int codec_decode(struct codec_state *state, const struct frame *frame, size_t which, void *plain, struct fault *fault);

/* Both for one frame. */
int codec_read(struct codec_state *state, int fd, uint64_t base, const struct frame *frame, void *plain, struct fault *fault);
void codec_free(struct codec_state *state);

/* A whole zstd frame from one buffer into another of exactly the plain size. */
int codec_zstd(struct codec_state *state, const void *in, size_t in_size, void *out, size_t out_size, struct fault *fault);

/* Only the front door has DEFLATE (codec_zlib.c): a bundle needs none, and the stub should be small. */
__attribute__((weak)) int codec_zlib(struct codec_state *state, const void *in, size_t in_size, void *out, size_t out_size,
				     struct fault *fault);
__attribute__((weak)) void codec_zlib_free(struct codec_state *state);

#endif
