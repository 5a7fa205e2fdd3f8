#define _GNU_SOURCE
#include "tree/retarget.h"

#include "base/fault.h"
#include "base/file.h"
#include "base/system.h"
#include "base/text.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

enum {
	SCRIPT_MAX = 1 << 20,
	SLICE_ITSELF = 1
		<< 30, /* no interpreter's: a slice's tree has its own path in it wherever it is, and another key than one without */
	SCRIPT_LINE_MAX = 254, /* the kernel looks at 256 bytes of a script's first line (Linux 5.1; 128 before) */
};

void retarget_stamp(const struct retarget *retarget, char stamps[STAMPS_SIZE])
{
	if (retarget->lacking)
		stamps_add(stamps, retarget->tree);
}

void retarget_plan(struct retarget *retarget, const struct image *image, const char *root, char key[2 * SHA256_SIZE + 1])
{
	const struct index *index = retarget_index(image);
	*retarget = (struct retarget){.index = index};
#ifndef TMPRUN_SMALL
	retarget->sliced = image->sliced;
	if (image->sliced && image->sliced->finish)
		retarget->lacking = SLICE_ITSELF;
#endif
	memcpy(key, index->key_text, sizeof index->key_text);
	for (uint32_t i = 0; i < index->interpreters; i++)
		if (!interpreter_is_here(index, interpreter_at(index, i)))
			retarget->lacking |= 1u << i;
	if (retarget->lacking) {
		uint8_t digest[SHA256_SIZE];
		char lacking[24];
		join(retarget->tree, sizeof retarget->tree, key, " ", hexadecimal(lacking, retarget->lacking), " ", root, (char *)NULL);
		sha256(retarget->tree, strlen(retarget->tree), digest);
		hex_bytes(key, digest, SHA256_SIZE);
	}
}

/* The fixup of that file, when its interpreter is lacking here. */
const struct fixup *retarget_find(const struct retarget *retarget, uint32_t number)
{
	const struct index *index = retarget->index;
	uint32_t low = index->interpreters, high = index->head->fixups;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (index->fixups[middle].node < number)
			low = middle + 1;
		else
			high = middle;
	}
	const struct fixup *fixup = &index->fixups[low];
	return low < index->head->fixups && fixup->node == number && retarget->lacking & 1u << fixup->interpreter ? fixup : NULL;
}

const char *retarget_link(const struct retarget *retarget, uint32_t number, uint32_t *length)
{
	const struct index *index = retarget->index;
	for (uint32_t i = 0; i < index->interpreters; i++) {
		const struct interpreter *interpreter = interpreter_at(index, i);
		if (!(retarget->lacking & 1u << i) || interpreter->link != number || !number)
			continue;
		*length = interpreter->target_length;
		return index->strings + interpreter->target;
	}
	return NULL;
}

/* Path of the image's own interpreter; its length with the NUL, or 0 when it is too long. */
size_t retarget_path(const struct retarget *retarget, const struct fixup *fixup, char out[PATH_MAX])
{
	char inside[MAX_PATH + 1];
#ifndef TMPRUN_SMALL
	if (retarget->sliced && fixup->interpreter >= retarget->sliced->first)
		return join(out, PATH_MAX, retarget->sliced->loader, (char *)NULL) ? strlen(out) + 1 : 0;
#endif
	index_path(retarget->index, interpreter_at(retarget->index, fixup->interpreter)->node, inside);
	return join(out, PATH_MAX, retarget->tree, "/", inside, (char *)NULL) ? strlen(out) + 1 : 0;
}

/* Whether the file is what the index says: an ELF file for machines like this, whose PT_INTERP is there and names that
 * interpreter; and whether nobody's bytes would be overwritten. */
static bool elf_is_as_planned(const struct retarget *retarget, const struct fixup *fixup, int fd, Elf64_Phdr *header, size_t length)
{
	char found[PATH_MAX], path[MAX_INTERPRETER + 1];
	const struct interpreter *interpreter = interpreter_at(retarget->index, fixup->interpreter);
	size_t named = interpreter->path_length + (size_t)1;
	interpreter_path(retarget->index, interpreter, path);
	if (read_at(fd, found, EI_VERSION, 0) < 0 || memcmp(found, ELFMAG "\2\1", EI_VERSION) != 0 ||
	    read_at(fd, header, sizeof *header, fixup->header) < 0 || header->p_type != PT_INTERP || header->p_filesz < named ||
	    read_at(fd, found, named, header->p_offset) < 0 || memcmp(found, path, named) != 0)
		return false;
	if (fixup->room == FIXUP_AT_END)
		return true;
	if (length > fixup->room || read_at(fd, found, length, fixup->at) < 0)
		return false;
	while (length && !found[length - 1])
		length--;
	return !length;
}

static int change_elf(const struct retarget *retarget, const struct fixup *fixup, int fd, const char *path, size_t length)
{
	Elf64_Phdr header;
	if (!elf_is_as_planned(retarget, fixup, fd, &header, length))
		return 1;
	header.p_offset = fixup->at;
	header.p_filesz = length;
	return write_at(fd, path, length, fixup->at) < 0 ? -1 : write_at(fd, &header, sizeof header, fixup->header);
}

/* "#!" and the new path; what follows the old one follows this. Its length, or 0 when the line is too long or another one. */
static size_t new_head(const struct retarget *retarget, const struct fixup *fixup, const char *text, size_t size, const char *path,
		       char head[SCRIPT_LINE_MAX + 1])
{
	char old[MAX_INTERPRETER + 1];
	size_t end = (size_t)fixup->header + fixup->room;
	interpreter_path(retarget->index, interpreter_at(retarget->index, fixup->interpreter), old);
	if (size < end || memcmp(text, "#!", 2) != 0 || memcmp(text + fixup->header, old, fixup->room) != 0)
		return 0;
	const char *newline = memchr(text + end, '\n', size - end);
	size_t rest = newline ? (size_t)(newline - text) - end : size - end;
	return rest < SCRIPT_LINE_MAX && join(head, SCRIPT_LINE_MAX + 1 - rest, "#!", path, (char *)NULL) ? strlen(head) : 0;
}

static int change_script(const struct retarget *retarget, const struct fixup *fixup, int fd, const char *path)
{
	char head[SCRIPT_LINE_MAX + 1];
	size_t size = (size_t)retarget->index->nodes[fixup->node].size, end = (size_t)fixup->header + fixup->room;
	CLEANUP(free_pointer) char *text = size <= SCRIPT_MAX ? malloc(size) : NULL;
	if (!text || read_at(fd, text, size, 0) < 0)
		return 1;
	size_t length = new_head(retarget, fixup, text, size, path, head);
	if (!length)
		return 1;
	return write_at(fd, head, length, 0) < 0 ? -1 : write_at(fd, text + end, size - end, length);
}

int retarget_file(const struct retarget *retarget, uint32_t number, int fd)
{
	char path[PATH_MAX];
#ifndef TMPRUN_SMALL
	if (retarget->sliced && retarget->sliced->finish && retarget->sliced->finish(retarget, number, fd) < 0)
		return -1;
#endif
	const struct fixup *fixup = retarget_find(retarget, number);
	if (!fixup)
		return 0;
	size_t length = retarget_path(retarget, fixup, path);
	int result = 1;
	if (length)
		result =
			fixup->kind == FIXUP_ELF ? change_elf(retarget, fixup, fd, path, length) : change_script(retarget, fixup, fd, path);
	if (result <= 0)
		return result;
	char inside[MAX_PATH + 1];
	index_path(retarget->index, number, inside);
	debug_log(inside, ": not retargeted: ", fixup->kind == FIXUP_SCRIPT ? "its #! line" : "the path",
		  " is too long, or not as the index says", (char *)NULL);
	return 0;
}
