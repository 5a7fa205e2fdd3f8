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
	free(reading->made.bytes);
}

/* Another one in the place of the index that is loaded, or the same one that was changed. */
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
	struct raw_index with_fixups = {0};
	CLEANUP(files_free) struct files files = {.fd = image->fd, .index = index};
	image_prepare(image, &files.codec);
	if (fixups_wanted(index) && fixups_plan(&files, &with_fixups, fault) < 0)
		return -1;
	bool impatient = is_impatient(&files);
	if (!with_fixups.bytes && !impatient)
		return 0;
	struct raw_index made = with_fixups.bytes ? with_fixups : (struct raw_index){index->bytes, index->size};
	((struct index_head *)made.bytes)->flags |= impatient ? INDEX_AT_ONCE : 0;
	return load_again(index, made.bytes, made.size, fault);
}

/* For the debug log: when each of the steps was done, in microseconds. */
static void say_how_long(const struct reading *reading, uint64_t hashed)
{
	char tables[24], digests[24], files[24];
	debug_log("reading it took ", decimal(tables, reading->tables_at - reading->begun_at), " us for its tables, ",
		  decimal(digests, hashed - reading->tables_at), " us for the digests, ", decimal(files, now_us() - hashed),
		  " us for the index", (char *)NULL);
}

int reading_tables(struct reading *reading, struct fault *fault)
{
	reading->begun_at = now_us();
	if (squashfs_read(&reading->source, reading->head.payload, &reading->made, fault) < 0)
		return -1;
	reading->tables_at = now_us();
	return 0;
}

int reading_load(struct reading *reading, struct image *image, struct fault *fault)
{
	uint64_t hashed = now_us();
	if (!image_unchanged(image))
		return source_changed(fault);
	void *bytes = reading->made.bytes;
	reading->made.bytes = NULL;
	image->base = 0;
	if (index_load(&image->index, bytes, reading->made.size, fault) < 0 || look_at_files(image, fault) < 0)
		return -1;
	say_how_long(reading, hashed);
	return 0;
}

int reading_finish(struct reading *reading, struct image *image, struct fault *fault)
{
	return digests_add(&reading->source, &reading->made, fault) < 0 ? -1 : reading_load(reading, image, fault);
}

int reading_hash_loaded(struct image *image, struct fault *fault)
{
	const struct source source = {.fd = image->fd, .size = image->size};
	struct raw_index made = {image->index.bytes, image->index.size};
	struct index_head *head = made.bytes;
	head->flags &= ~(uint32_t)INDEX_UNHASHED;
	if (digests_add(&source, &made, fault) < 0)
		return -1;
	if (!image_unchanged(image))
		return source_changed(fault);
	return load_again(&image->index, made.bytes, made.size, fault);
}

int read_foreign(struct image *image, struct fault *fault)
{
	CLEANUP(reading_free) struct reading reading;
	if (reading_begin(&reading, image, fault) < 0 || reading_tables(&reading, fault) < 0)
		return -1;
	return reading_finish(&reading, image, fault);
}
