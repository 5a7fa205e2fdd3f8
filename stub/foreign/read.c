#include "foreign/read.h"

#include "base/system.h"
#include "foreign/digests.h"
#include "foreign/files.h"
#include "foreign/impatient.h"
#include "image/index_load.h"

#include <stdlib.h>

int reading_begin(struct reading *reading, const struct image *image, struct fault *fault)
{
	*reading = (struct reading){.source = {.fd = image->fd, .size = image->size}};
	if (head_read(&reading->head, &reading->source, fault) < 0)
		return -1;
	return squashfs_read(&reading->source, reading->head.payload, &reading->table, fault);
}

void reading_free(struct reading *reading)
{
	source_free(&reading->source);
	free(reading->table.bytes);
}

/* What only the files tell stands in the header; the index is taken out of its hands meanwhile. */
static int look_at_files(struct image *image, struct fault *fault)
{
	struct index *index = &image->index;
	CLEANUP(files_free) struct files files = {.fd = image->fd, .index = index};
	if (!is_impatient(&files))
		return 0;
	void *bytes = index->bytes;
	((struct index_head *)bytes)->flags |= INDEX_AT_ONCE;
	return index_load(index, bytes, index->size, fault);
}

int reading_finish(struct reading *reading, struct image *image, struct fault *fault)
{
	if (digests_add(&reading->source, &reading->table, fault) < 0)
		return -1;
	if (!image_unchanged(image))
		return source_changed(fault);
	void *bytes = reading->table.bytes;
	reading->table.bytes = NULL;
	image->base = 0;
	return index_load(&image->index, bytes, reading->table.size, fault) < 0 ? -1 : look_at_files(image, fault);
}

int read_foreign(struct image *image, struct fault *fault)
{
	CLEANUP(reading_free) struct reading reading;
	return reading_begin(&reading, image, fault) < 0 ? -1 : reading_finish(&reading, image, fault);
}
