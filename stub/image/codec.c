#define _GNU_SOURCE
#include "image/codec.h"

#include "base/file.h"
#include "base/sha256.h"
#include "base/system.h"
#include "image/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

static int copy(void **own, const void *in, size_t in_size, void *out, size_t room, size_t *got, struct fault *fault)
{
	(void)own;
	if (in_size > room)
		return BAD_IMAGE(fault, "damaged frame (stored)");
	memcpy(out, in, in_size);
	*got = in_size;
	return 0;
}

static int decode_zstd(void **own, const void *in, size_t in_size, void *out, size_t room, size_t *got, struct fault *fault)
{
	if (!*own && !(*own = ZSTD_createDCtx()))
		return FAILED(fault, "no memory for the decoder");
	/* Straight into the buffer that there is: a frame's window, however large it says it is, is never allocated. */
	*got = ZSTD_decompressDCtx(*own, out, room, in, in_size);
	return *got <= room ? 0 : BAD_IMAGE(fault, "damaged frame (zstd)"); /* its errors are the largest numbers */
}

static void leave_zstd(void *own)
{
	ZSTD_freeDCtx(own);
}

static struct decoder decoders[CODECS] = {
	[CODEC_STORED] = {.decode = copy},
	[CODEC_ZSTD] = {.decode = decode_zstd, .leave = leave_zstd},
};

void codec_add(enum codec codec, const struct decoder *decoder)
{
	decoders[codec] = *decoder;
}

int codec_some(struct codec_state *state, enum codec codec, const void *in, size_t in_size, void *out, size_t room, size_t *got,
	       struct fault *fault)
{
	if (!decoders[codec].decode)
		return BAD_IMAGE(fault, "this image needs tmprun to start it (its codec is not in this program)");
	return decoders[codec].decode(&state->decoders[codec], in, in_size, out, room, got, fault);
}

int codec_plain(struct codec_state *state, enum codec codec, const void *in, size_t in_size, void *out, size_t out_size,
		struct fault *fault)
{
	size_t got;
	if (codec_some(state, codec, in, in_size, out, out_size, &got, fault) < 0)
		return -1;
	return got == out_size ? 0 : BAD_IMAGE(fault, "damaged frame (it is too short)");
}

int codec_decode(struct codec_state *state, const struct frame *frame, size_t which, void *plain, struct fault *fault)
{
	return codec_plain(state, frame->codec, state->stored[which].bytes, frame->stored, plain, frame->plain, fault);
}

static int make_room(struct stored *stored, size_t size, struct fault *fault)
{
	if (stored->room >= size)
		return 0;
	free(stored->bytes);
	stored->bytes = malloc(size);
	stored->room = stored->bytes ? size : 0;
	return stored->bytes ? 0 : FAILED(fault, "no memory for a frame");
}

int codec_reserve(struct codec_state *state, size_t stored, struct fault *fault)
{
	return make_room(&state->stored[0], stored, fault);
}

void codec_forget(struct codec_state *state)
{
	memset(state->decoders, 0, sizeof state->decoders);
}

static int read_stored(struct stored *stored, int fd, uint64_t offset, size_t size, struct fault *fault)
{
	if (make_room(stored, size, fault) < 0)
		return -1;
	/* A private copy, not a mapping: the file may change between the digest and the decoder, this cannot. */
	if (read_at(fd, stored->bytes, size, offset) < 0)
		return BAD_IMAGE(fault, errno ? reason_text(errno) : "it is cut short; download it again");
	return 0;
}

/* As long as our lease on it stands nobody has been let through who would write to the image, though it may have got another name,
 * mode or time (`mv`, `chmod`, `touch`). */
static bool still_stands(const struct codec_state *state, int fd)
{
	return fcntl(fd, F_GETLEASE) == F_RDLCK || identity_stands(fd, state->unhashed);
}

int codec_fetch(struct codec_state *state, int fd, uint64_t base, const struct frame *const *frames, size_t count, struct fault *fault)
{
	uint8_t digest[2][SHA256_SIZE];
	for (size_t i = 0; i < count; i++)
		if (read_stored(&state->stored[i], fd, base + frames[i]->offset, frames[i]->stored, fault) < 0)
			return -1;
	/* In this order: whatever was changed before it was read shows now. */
	if (state->unhashed)
		return still_stands(state, fd) ? 0 : BAD_IMAGE(fault, "changed while it was read; start it again");
	if (count == 2)
		sha256_two((const void *const[]){state->stored[0].bytes, state->stored[1].bytes},
			   (const size_t[]){frames[0]->stored, frames[1]->stored}, digest);
	else
		sha256(state->stored[0].bytes, frames[0]->stored, digest[0]);
	for (size_t i = 0; i < count; i++)
		if (memcmp(digest[i], frames[i]->digest, sizeof digest[i]) != 0)
			return BAD_IMAGE(fault, "damaged or changed while it was read (a frame's SHA-256 is wrong); download it again");
	return 0;
}

int codec_read(struct codec_state *state, int fd, uint64_t base, const struct frame *frame, void *plain, struct fault *fault)
{
	return codec_fetch(state, fd, base, &frame, 1, fault) < 0 ? -1 : codec_decode(state, frame, 0, plain, fault);
}

void codec_free(struct codec_state *state)
{
	for (size_t i = 0; i < CODECS; i++)
		if (state->decoders[i])
			decoders[i].leave(state->decoders[i]);
	for (size_t i = 0; i < COUNT(state->stored); i++)
		free(state->stored[i].bytes);
	*state = (struct codec_state){0};
}
