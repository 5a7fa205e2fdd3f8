/* From a frame's stored bytes to its plain ones. Nothing is decoded before its digest has been checked. */
#ifndef TMPRUN_IMAGE_CODEC_H
#define TMPRUN_IMAGE_CODEC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/fault.h"
#include "image/index.h"

/* What one thread needs to decode; zeroed to begin with. Made when first needed, so that a start without a codec pays nothing. */
struct codec_state {
	void *decoders[CODECS]; /* each decoder's own */
	struct stored {
		void *bytes; /* a frame's stored ones */
		size_t room;
	} stored[2];
	const struct stat *unhashed; /* the frames have no digests yet: that the file is still what this says must do */
};

/* Have room for one frame of `stored` bytes, so that nothing needs memory later but a decoder. */
int codec_reserve(struct codec_state *state, size_t stored, struct fault *fault);
/* The decoders' own are not to be trusted any more: another process was at work with them when we were copied. */
void codec_forget(struct codec_state *state);

/* Read one or two frames, whose offsets count from `base` in `fd`, and check their digests; or, of an image that was not hashed yet,
 * that it has not changed since it was opened. Two at once cost less than twice one. */
int codec_fetch(struct codec_state *state, int fd, uint64_t base, const struct frame *const *frames, size_t count, struct fault *fault);

/* Put the plain bytes of the frame that was fetched as number `which` at `plain`. */
int codec_decode(struct codec_state *state, const struct frame *frame, size_t which, void *plain, struct fault *fault);

/* Both for one frame. */
int codec_read(struct codec_state *state, int fd, uint64_t base, const struct frame *frame, void *plain, struct fault *fault);
void codec_free(struct codec_state *state);

/* A whole frame from one buffer into another with `room` for its plain bytes, of which there are `*got` in the end. */
int codec_some(struct codec_state *state, enum codec codec, const void *in, size_t in_size, void *out, size_t room, size_t *got,
	       struct fault *fault);
/* The same where exactly as many bytes must come. */
int codec_plain(struct codec_state *state, enum codec codec, const void *in, size_t in_size, void *out, size_t out_size,
		struct fault *fault);

/* How frames of one codec are decoded: not one byte more than there is room for is written, and no more memory is used than for
 * that. `own` is NULL until `decode` has made there what it needs, if it needs anything; `leave` frees that. */
struct decoder {
	int (*decode)(void **own, const void *in, size_t in_size, void *out, size_t room, size_t *got, struct fault *fault);
	void (*leave)(void *own);
};

/* Have one more, before any thread decodes: the front door brings what bundles do not need, so that the stub is small. */
void codec_add(enum codec codec, const struct decoder *decoder);

#endif
