#define _GNU_SOURCE
#include "door/verify_retarget.h"

#include "base/file.h"
#include "base/system.h"
#include "base/text.h"
#include "image/index.h"
#include "slices/own.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

/* Lay `piece`, which belongs at `from`, over the `length` bytes that belong at `at`. */
static void overlay(uint8_t *bytes, uint64_t at, uint32_t length, const void *piece, size_t size, uint64_t from)
{
	for (size_t i = 0; i < size; i++)
		if (from + i >= at && from + i - at < length)
			bytes[from + i - at] = ((const uint8_t *)piece)[i];
}

/* A slice's own file that has another content than in the image, `size` bytes of it at `at`: whether the tree's has it, too. */
static bool slice_made(const struct retarget *retarget, uint32_t number, int fd, uint64_t at, const uint8_t *bytes, uint32_t length)
{
	CLEANUP(free_pointer) uint8_t *made = NULL;
	size_t size = own_content(retarget, number, &made);
	CLEANUP(free_pointer) uint8_t *there = malloc(size > length ? size : length);
	if (!size || !there)
		return false;
	if (number != interpreter_at(retarget->index, 0)->node)
		return read_at(fd, there, size, 0) == 0 && memcmp(there, made, size) == 0;
	CLEANUP(free_pointer) uint8_t *expected = malloc(length);
	if (!expected || read_at(fd, there, length, at) < 0)
		return false;
	memcpy(expected, bytes, length);
	overlay(expected, at, length, made, size, retarget->index->nodes[number].size - size);
	return memcmp(expected, there, length) == 0;
}

static uint64_t slice_size(const struct retarget *retarget, uint32_t number)
{
	CLEANUP(free_pointer) uint8_t *made = NULL;
	uint64_t whole = retarget->index->nodes[number].size;
	size_t size = own_content(retarget, number, &made);
	return size && number != interpreter_at(retarget->index, 0)->node ? size : whole;
}

uint64_t retargeted_size(const struct retarget *retarget, uint32_t number)
{
	if (retarget->sliced && retarget->sliced->finish && !retarget_find(retarget, number))
		return slice_size(retarget, number);
	char path[PATH_MAX];
	uint64_t size = retarget->index->nodes[number].size;
	const struct fixup *fixup = retarget_find(retarget, number);
	size_t length = fixup ? retarget_path(retarget, fixup, path) : 0;
	if (length && fixup->kind == FIXUP_SCRIPT)
		return size - fixup->header - fixup->room + strlen("#!") + length - 1;
	return length && fixup->room == FIXUP_AT_END ? size + length : size;
}

static bool script_made(const struct fixup *fixup, int fd, uint64_t at, const uint8_t *bytes, uint32_t length, const char *path)
{
	uint64_t end = fixup->header + fixup->room, grown = strlen("#!") + strlen(path);
	CLEANUP(free_pointer) uint8_t *there = malloc(length);
	char head[PATH_MAX + 2] = "#!", found[PATH_MAX + 2];
	join(head + 2, PATH_MAX, path, (char *)NULL);
	if (!there || read_at(fd, found, (size_t)grown, 0) < 0 || memcmp(found, head, (size_t)grown) != 0)
		return false;
	uint32_t skip = at >= end ? 0 : end - at < length ? (uint32_t)(end - at) : length;
	return read_at(fd, there, length - skip, at + skip - end + grown) == 0 && memcmp(there, bytes + skip, length - skip) == 0;
}

bool retargeted_from(const struct retarget *retarget, uint32_t number, int fd, uint64_t at, const uint8_t *bytes, uint32_t length)
{
	char path[PATH_MAX], found[PATH_MAX];
	if (retarget->sliced && retarget->sliced->finish && !retarget_find(retarget, number))
		return slice_made(retarget, number, fd, at, bytes, length);
	const struct fixup *fixup = retarget_find(retarget, number);
	size_t size = fixup ? retarget_path(retarget, fixup, path) : 0;
	if (!size)
		return false;
	if (fixup->kind == FIXUP_SCRIPT)
		return script_made(fixup, fd, at, bytes, length, path);
	CLEANUP(free_pointer) uint8_t *expected = malloc(2 * (size_t)length);
	if (!expected || read_at(fd, found, size, fixup->at) < 0 || memcmp(found, path, size) != 0)
		return false;
	/* Of the header only the two numbers may differ: lay what they must be over what the image has. */
	const uint64_t filesz = size;
	memcpy(expected, bytes, length);
	overlay(expected, at, length, &fixup->at, sizeof fixup->at, fixup->header + offsetof(Elf64_Phdr, p_offset));
	overlay(expected, at, length, &filesz, sizeof filesz, fixup->header + offsetof(Elf64_Phdr, p_filesz));
	overlay(expected, at, length, path, size, fixup->at);
	return read_at(fd, expected + length, length, at) == 0 && memcmp(expected, expected + length, length) == 0;
}
