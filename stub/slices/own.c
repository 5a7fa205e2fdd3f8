#define _GNU_SOURCE
#include "slices/own.h"

#include "base/file.h"
#include "base/system.h"
#include "base/text.h"
#include "foreign/files.h"
#include "slices/ready.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The marks of `tmprun libc make` (tmprun/libc/loader.py, pack.py), and the most libraries and bytes that a list has. */
static const char mark[] = "tmprun: the path of ld.so.cache", kind[] = "\"slice\":{";
enum { MOST_LIBRARIES = 16384, LARGEST_LIST = 1 << 20 };

/* glibc's cache, elf/cache.c and dl-cache.h: a head, a row for each library, strings. */
struct cache_head {
	char magic[20];
	uint32_t count, strings;
	uint8_t flags, padding[3];
	uint32_t extension, unused[3];
};
struct cache_row {
	uint32_t flags, key, value, version;
	uint64_t capabilities;
};
enum { LITTLE_ENDIAN_CACHE = 2 };
_Static_assert(sizeof(struct cache_head) == 48 && sizeof(struct cache_row) == 24, "layout");

bool own_is_slice(const struct index *index)
{
	uint32_t list = index_child(index, 0, OWN_CACHE, strlen(OWN_CACHE));
	return !(index->head->flags & INDEX_FOREIGN) && list && index->nodes[list].type == NODE_FILE &&
	       index->nodes[list].flags & NODE_FIRST && index->interpreters == 1 &&
	       find_text(index->strings + index->head->strings, index->head->metadata, kind);
}

/* A line of the list names a library, which lies in lib/. */
static bool is_library_of(const struct index *index, const char *name, size_t length)
{
	uint32_t folder = index_child(index, 0, "lib", 3);
	return folder && length && length <= MAX_NAME && index->nodes[folder].type == NODE_DIRECTORY &&
	       index_child(index, folder, name, length);
}

/* The flags stand in the first line, and all others name libraries. */
static int check_list(const struct index *index, const char *list, struct fault *fault)
{
	unsigned count = 0;
	const char *line = strchr(list, '\n');
	if (!line || parse_decimal(list) > INT32_MAX)
		return BAD_IMAGE(fault, "damaged slice (its list of libraries has no head); make it again");
	for (line++; *line; count++) {
		size_t length = strcspn(line, "\n");
		if (line[length] != '\n' || count == MOST_LIBRARIES || !is_library_of(index, line, length))
			return BAD_IMAGE(fault, "damaged slice (its list names what it has not); make it again");
		line += length + 1;
	}
	return 0;
}

static char *read_list(const struct image *image, struct fault *fault)
{
	const struct index *index = &image->index;
	const struct node *node = &index->nodes[index_child(index, 0, OWN_CACHE, strlen(OWN_CACHE))];
	CLEANUP(files_free) struct files files = {.fd = image->fd, .base = image->base, .index = index};
	CLEANUP(free_pointer) char *list = node->size < LARGEST_LIST ? zeroed(node->size + 1, 1) : NULL;
	image_prepare(image, &files.codec);
	if (!list || files_read(&files, node, 0, list, (size_t)node->size) != (ssize_t)node->size) {
		BAD_IMAGE(fault, "damaged slice (its list of libraries cannot be read); make it again");
		return NULL;
	}
	if (check_list(index, list, fault) < 0)
		return NULL;
	char *read = list;
	list = NULL;
	return read;
}

static uint32_t count_lines(const char *text)
{
	uint32_t count = 0;
	while ((text = strchr(text, '\n'))) {
		text++;
		count++;
	}
	return count;
}

/* The cache for a tree at that path. */
static size_t make_cache(const char *list, const char *tree, uint8_t **bytes)
{
	uint32_t count = count_lines(list) - 1;
	const char *line = strchr(list, '\n') + 1;
	size_t prefix = strlen(tree) + strlen("/lib/"), size = sizeof(struct cache_head) + count * sizeof(struct cache_row);
	size_t room = size + count * (prefix + 1) + strlen(list) + 1;
	char *cache = zeroed(room, 1);
	*bytes = (void *)cache;
	if (!cache)
		return 0;
	struct cache_head *head = (void *)cache;
	*head = (struct cache_head){.magic = "glibc-ld.so.cache1.", .count = count, .flags = LITTLE_ENDIAN_CACHE};
	head->magic[19] = '1';
	for (struct cache_row *row = (void *)(head + 1); *line; row++) {
		size_t length = strcspn(line, "\n");
		*row = (struct cache_row){(uint32_t)parse_decimal(list), (uint32_t)(size + prefix), (uint32_t)size, 0, 0};
		memcpy(cache + size, tree, prefix - strlen("/lib/"));
		memcpy(cache + size + prefix - strlen("/lib/"), "/lib/", strlen("/lib/"));
		memcpy(cache + size + prefix, line, length);
		size += prefix + length + 1;
		line += length + 1;
	}
	head->strings = (uint32_t)(size - sizeof *head - count * sizeof(struct cache_row));
	return size;
}

static bool is_list(const struct index *index, uint32_t number)
{
	return number && number == index_child(index, 0, OWN_CACHE, strlen(OWN_CACHE));
}

size_t own_content(const struct retarget *retarget, uint32_t number, uint8_t **bytes)
{
	const struct index *index = retarget->index;
	*bytes = NULL;
	if (is_list(index, number))
		return make_cache(retarget->sliced->list, retarget->tree, bytes);
	if (number != interpreter_at(index, 0)->node)
		return 0;
	*bytes = zeroed(OWN_ROOM, 1);
	return *bytes && join((char *)*bytes, OWN_ROOM, retarget->tree, "/" OWN_CACHE, (char *)NULL) ? OWN_ROOM : 0;
}

/* What is there before is the list, or the mark. */
static int finish(const struct retarget *retarget, uint32_t number, int fd)
{
	CLEANUP(free_pointer) uint8_t *bytes = NULL;
	size_t size = own_content(retarget, number, &bytes);
	char there[sizeof mark];
	if (!size)
		return 0;
	if (is_list(retarget->index, number))
		return ftruncate(fd, 0) < 0 ? -1 : write_at(fd, bytes, size, 0);
	uint64_t room = retarget->index->nodes[number].size - OWN_ROOM;
	if (read_at(fd, there, sizeof there, room) < 0 || memcmp(there, mark, sizeof mark) != 0) {
		errno = ENOEXEC;
		return -1;
	}
	return write_at(fd, bytes, size, room);
}

struct sliced *own_make(const struct image *image, struct fault *fault)
{
	struct sliced *sliced = zeroed(1, sizeof *sliced);
	if (!sliced) {
		FAILED(fault, "no memory for the slice");
		return NULL;
	}
	sliced->first = UINT32_MAX;
	sliced->finish = finish;
	sliced->list = read_list(image, fault);
	if (sliced->list && image->index.nodes[interpreter_at(&image->index, 0)->node].size > OWN_ROOM &&
	    ready_note(&image->index, sliced->notes))
		return sliced;
	own_free(sliced);
	BAD_IMAGE(fault, "damaged slice (its loader is too short); make it again");
	return NULL;
}

void own_free(struct sliced *sliced)
{
	free(sliced->list);
	index_free(&sliced->index);
	free(sliced);
}
