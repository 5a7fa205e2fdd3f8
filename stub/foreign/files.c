#include "foreign/files.h"

#include <stdlib.h>
#include <string.h>

/* The frame's plain bytes, or NULL. */
static const uint8_t *plain(struct files *files, uint32_t number)
{
	struct fault ignored = {0};
	for (unsigned i = 0; i < FILES_KEPT; i++)
		if (files->kept[i].plain && files->kept[i].frame == number)
			return files->kept[i].plain;
	const struct frame *frame = &files->index->frames[number];
	uint8_t *bytes = malloc(frame->plain);
	if (!bytes || codec_read(&files->codec, files->fd, files->base, frame, bytes, &ignored) < 0) {
		free(bytes);
		return NULL;
	}
	struct kept *place = &files->kept[files->oldest++ % FILES_KEPT];
	free(place->plain);
	*place = (struct kept){number, bytes};
	return bytes;
}

/* What there is of the wanted bytes in a segment that begins at `at` in the file. */
static int read_segment(struct files *files, const struct segment *segment, uint64_t at, uint64_t offset, uint8_t *out, size_t size)
{
	uint64_t low = offset > at ? offset : at;
	uint64_t high = offset + size < at + segment->length ? offset + size : at + segment->length;
	if (low >= high)
		return 0;
	if (segment->frame == HOLE) {
		memset(out + (low - offset), 0, high - low);
		return 0;
	}
	const uint8_t *bytes = plain(files, segment->frame);
	if (!bytes)
		return -1;
	memcpy(out + (low - offset), bytes + segment->offset + (low - at), high - low);
	return 0;
}

ssize_t files_read(struct files *files, const struct node *file, uint64_t offset, void *out, size_t size)
{
	uint64_t at = 0, end = file->size;
	if (offset >= end)
		return 0;
	size = size < end - offset ? size : (size_t)(end - offset);
	for (uint32_t i = 0; i < file->b && at < offset + size; i++) {
		const struct segment *segment = &files->index->segments[file->a + i];
		if (read_segment(files, segment, at, offset, out, size) < 0)
			return -1;
		at += segment->length;
	}
	return (ssize_t)size;
}

bool files_read_part(struct files *files, const struct node *file, uint64_t offset, void *out, uint64_t size)
{
	uint64_t end = file->size;
	return offset <= end && size <= end - offset && files_read(files, file, offset, out, (size_t)size) == (ssize_t)size;
}

void files_free(struct files *files)
{
	for (unsigned i = 0; i < FILES_KEPT; i++)
		free(files->kept[i].plain);
	free(files->scratch);
	codec_free(&files->codec);
}
