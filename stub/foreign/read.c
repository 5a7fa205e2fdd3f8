#include "foreign/read.h"

#include "base/system.h"
#include "base/text.h"
#include "foreign/digests.h"
#include "foreign/files.h"
#include "foreign/fixups.h"
#include "foreign/impatient.h"
#include "image/index_load.h"

#include <stdlib.h>

int reading_begin(struct reading *reading, const struct image *image, struct fault *fault)
{
	*reading = (struct reading){.source = {.fd = image->fd, .size = image->size}};
	return head_read(&reading->head, &reading->source, fault);
}

void reading_free(struct reading *reading)
{
	source_free(&reading->source);
	free(reading->table.bytes);
}

/* Another table in the place of the index that is loaded, or the same one that was changed. */
static int load_again(struct index *index, void *bytes, size_t size, struct fault *fault)
{
	if (bytes != index->bytes)
		index_free(index);
	return index_load(index, bytes, size, fault);
}

/* What only the files tell, and stands in the index, too: what would help the image's programs on a machine that lacks the loader
 * which the image brings; and whether it may open files without waiting. */
static int look_at_files(struct image *image, struct fault *fault)
{
	struct index *index = &image->index;
	struct table with_fixups = {0};
	CLEANUP(files_free) struct files files = {.fd = image->fd, .index = index};
	if (fixups_wanted(index) && fixups_plan(&files, &with_fixups, fault) < 0)
		return -1;
	bool impatient = is_impatient(&files);
	if (!with_fixups.bytes && !impatient)
		return 0;
	struct table table = with_fixups.bytes ? with_fixups : (struct table){index->bytes, index->size};
	((struct index_head *)table.bytes)->flags |= impatient ? INDEX_AT_ONCE : 0;
	return load_again(index, table.bytes, table.size, fault);
}

/* For the debug log: when each of the steps was done, in microseconds. */
struct steps {
	uint64_t begin, tables, digests, files;
};

static void say_how_long(const struct steps *steps)
{
	char tables[24], digests[24], files[24];
	debug_log("reading it took ", decimal(tables, steps->tables - steps->begin), " us for its tables, ",
		  decimal(digests, steps->digests - steps->tables), " us for the digests, ", decimal(files, steps->files - steps->digests),
		  " us for the index", (char *)NULL);
}

static int load(struct reading *reading, struct image *image, struct fault *fault)
{
	void *bytes = reading->table.bytes;
	reading->table.bytes = NULL;
	image->base = 0;
	return index_load(&image->index, bytes, reading->table.size, fault) < 0 ? -1 : look_at_files(image, fault);
}

int reading_finish(struct reading *reading, struct image *image, struct fault *fault)
{
	struct steps steps = {.begin = now_us()};
	if (squashfs_read(&reading->source, reading->head.payload, &reading->table, fault) < 0)
		return -1;
	steps.tables = now_us();
	if (digests_add(&reading->source, &reading->table, fault) < 0)
		return -1;
	if (!image_unchanged(image))
		return source_changed(fault);
	steps.digests = now_us();
	if (load(reading, image, fault) < 0)
		return -1;
	steps.files = now_us();
	say_how_long(&steps);
	return 0;
}

int read_foreign(struct image *image, struct fault *fault)
{
	CLEANUP(reading_free) struct reading reading;
	return reading_begin(&reading, image, fault) < 0 ? -1 : reading_finish(&reading, image, fault);
}
