#include "squashfs/source.h"

#include "base/file.h"
#include "base/text.h"

#include <errno.h>
#include <stdlib.h>

int source_changed(struct fault *fault)
{
	return BAD_IMAGE(fault, "changed while it was read; start it again when nothing writes to it");
}

static int cut_short(uint64_t end, uint64_t size, struct fault *fault)
{
	char missing[24];
	return BAD_IMAGE(fault, "is cut short: ", decimal(missing, end - size), " bytes are missing; download it again");
}

int source_peek(const struct source *source, uint64_t offset, void *out, size_t size, struct fault *fault)
{
	if (read_at(source->fd, out, size, offset) == 0)
		return 0;
	return errno ? BAD_IMAGE(fault, "cannot be read: ", reason_text(errno)) : source_changed(fault);
}

const uint8_t *source_read(struct source *source, uint64_t offset, size_t size, struct fault *fault)
{
	uint64_t end;
	if (__builtin_add_overflow(offset, size, &end))
		end = UINT64_MAX;
	if (end > source->size) {
		cut_short(end, source->size, fault);
		return NULL;
	}
	struct piece piece = {offset, size, malloc(size ? size : 1)};
	if (!piece.bytes || source->count == SOURCE_PIECES) {
		free(piece.bytes);
		FAILED(fault, "no memory for the image's tables");
		return NULL;
	}
	source->pieces[source->count++] = piece;
	return source_peek(source, offset, piece.bytes, size, fault) < 0 ? NULL : piece.bytes;
}

void source_free(struct source *source)
{
	for (unsigned i = 0; i < source->count; i++)
		free(source->pieces[i].bytes);
	source->count = 0;
}
