#include "slices/recall.h"

#include "base/file.h"
#include "base/system.h"
#include "foreign/known.h"
#include "slices/record.h"

#include <stdlib.h>
#include <sys/stat.h>

#define ENDING ".programs"
enum { LARGEST = 64 << 20 };

bool recall_programs(const struct image *image, const struct environment *environment, struct programs *programs)
{
	struct stat stat;
	CLEANUP(close_fd) int fd = image_is_hashed(image) ? known_note_open(&image->index, ENDING, environment) : -1;
	if (fd < 0 || fstat(fd, &stat) < 0 || !S_ISREG(stat.st_mode) || stat.st_size <= 0 || stat.st_size > LARGEST)
		return false;
	size_t size = (size_t)stat.st_size;
	CLEANUP(free_pointer) char *bytes = malloc(size);
	return bytes && read_at(fd, bytes, size, 0) == 0 && record_read(&image->index, bytes, size, programs);
}

/* The record of an image that starts before it is hashed: its index has no name yet. The filler has a copy of this. */
static struct {
	void *bytes;
	size_t size;
} nameless;

void recall_keep(const struct image *image, const struct environment *environment, const struct programs *programs)
{
	CLEANUP(free_pointer) void *bytes = NULL;
	size_t size = record_write(&image->index, programs, &bytes);
	if (!size)
		return;
	if (image_is_hashed(image)) {
		known_note_keep(&image->index, ENDING, bytes, size, environment);
		return;
	}
	free(nameless.bytes);
	nameless.bytes = bytes;
	nameless.size = size;
	bytes = NULL;
}

void recall_keep_now(const struct image *image, const struct environment *environment)
{
	if (!nameless.bytes)
		return;
	record_digest(&image->index, nameless.bytes, nameless.size, (uint8_t *)nameless.bytes + RECORD_DIGEST);
	known_note_keep(&image->index, ENDING, nameless.bytes, nameless.size, environment);
}
