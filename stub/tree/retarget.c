#define _GNU_SOURCE
#include "tree/retarget.h"

#include "base/fault.h"
#include "base/file.h"
#include "base/system.h"
#include "base/text.h"

#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	SCRIPT_MAX = 1 << 20,
	SCRIPT_LINE_MAX = 254, /* the kernel looks at 256 bytes of a script's first line (Linux 5.1; 128 before) */
};

static const struct interpreter *interpreter_at(const struct index *index, uint32_t number)
{
	return (const struct interpreter *)&index->fixups[number];
}

static void interpreter_path(const struct index *index, const struct interpreter *interpreter, char out[MAX_INTERPRETER + 1])
{
	memcpy(out, index->strings + interpreter->path, interpreter->path_length);
	out[interpreter->path_length] = '\0';
}

/* --- This machine ------------------------------------------------------------------------------------------------- */

/* "... release version 2.36." in the banner that every libc.so.6 carries, as 0x00020024; 0 when there is none. */
static uint32_t banner_version(const char *bytes, size_t size)
{
	static const char banner[] = "GNU C Library ", version[] = "release version ";
	const char *end = bytes + size, *at = bytes;
	while ((at = memchr(at, 'G', (size_t)(end - at))) && end - at > 256 && memcmp(at, banner, sizeof banner - 1) != 0)
		at++;
	for (const char *stop = at + 200; at && end - at > 256 && at < stop; at++) {
		if (memcmp(at, version, sizeof version - 1) != 0)
			continue;
		at += sizeof version - 1;
		return (uint32_t)(parse_decimal(at) << 16 | (parse_decimal(at + strcspn(at, ".") + 1) & 0xffff));
	}
	return 0;
}

/* The version of the C library that the loader at `path` belongs to: it lies beside the loader itself. Asking the file is
 * cheaper than asking the loader, and works for one of another machine. */
static uint32_t libc_version(const char *path)
{
	char library[PATH_MAX + 16];
	struct stat stat;
	absolute_path(path, library, PATH_MAX);
	char *slash = strrchr(library, '/'), target[PATH_MAX];
	if (!slash)
		return 0;
	/* Without /proc it is still what was asked for, which mostly is a link to where the library is. */
	ssize_t length = readlink(library, target, sizeof target - 1);
	if (length > 0) {
		target[length] = '\0';
		char *at = target[0] == '/' ? library : slash + 1;
		join(at, PATH_MAX - (size_t)(at - library), target, (char *)NULL);
		slash = strrchr(library, '/');
	}
	memcpy(slash, "/libc.so.6", sizeof "/libc.so.6");
	CLEANUP(close_fd) int fd = open(library, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &stat) < 0 || !S_ISREG(stat.st_mode) || stat.st_size <= 0)
		return 0;
	size_t size = (size_t)stat.st_size;
	CLEANUP(free_pointer) char *bytes = malloc(size);
	return bytes && read_at(fd, bytes, size, 0) == 0 ? banner_version(bytes, size) : 0;
}

static bool here(const struct index *index, const struct interpreter *interpreter)
{
	char path[MAX_INTERPRETER + 1];
	interpreter_path(index, interpreter, path);
	return access(path, X_OK) == 0 && (!interpreter->need || libc_version(path) >= interpreter->need);
}

static uint64_t stamp_of(const char *path)
{
	struct stat now;
	if (stat(path, &now) < 0)
		return 0;
	return (uint64_t)now.st_ctim.tv_sec * 1000000000u + (uint64_t)now.st_ctim.tv_nsec;
}

static void add_stamp(char stamps[STAMPS_SIZE], const char *path)
{
	char stamp[24];
	size_t used = strlen(stamps);
	join(stamps + used, STAMPS_SIZE - used, "\n", hexadecimal(stamp, stamp_of(path)), " ", path, (char *)NULL);
}

void retarget_stamp(const struct index *index, char out[STAMPS_SIZE])
{
	out[0] = '\0';
	for (uint32_t i = 0; i < index->interpreters; i++) {
		char path[MAX_INTERPRETER + 1];
		interpreter_path(index, interpreter_at(index, i), path);
		add_stamp(out, path);
	}
}

void retarget_stamp_tree(const struct retarget *retarget, char stamps[STAMPS_SIZE])
{
	if (retarget->lacking)
		add_stamp(stamps, retarget->tree);
}

bool retarget_stamps_hold(char *stamps)
{
	strsep(&stamps, "\n"); /* each line begins with its newline */
	for (char *line; (line = strsep(&stamps, "\n"));) {
		char now[24];
		const char *then = strsep(&line, " ");
		if (!line || strcmp(hexadecimal(now, stamp_of(line)), then) != 0)
			return false;
	}
	return true;
}

bool retarget_stamps_lack(const char *stamps)
{
	return contains(stamps, strlen(stamps), "\n0 ");
}

void retarget_plan(struct retarget *retarget, const struct index *index, const char *root, char key[2 * SHA256_SIZE + 1])
{
	*retarget = (struct retarget){.index = index};
	memcpy(key, index->key_text, sizeof index->key_text);
	for (uint32_t i = 0; i < index->interpreters; i++)
		if (!here(index, interpreter_at(index, i)))
			retarget->lacking |= 1u << i;
	if (retarget->lacking) {
		uint8_t digest[SHA256_SIZE];
		char lacking[24];
		join(retarget->tree, sizeof retarget->tree, key, " ", hexadecimal(lacking, retarget->lacking), " ", root, (char *)NULL);
		sha256(retarget->tree, strlen(retarget->tree), digest);
		hex_bytes(key, digest, SHA256_SIZE);
	}
	if (!join(retarget->tree, sizeof retarget->tree, root, "/v1/tree/", key, "/tree", (char *)NULL))
		retarget->lacking = 0; /* a path that long cannot be executed either */
}

/* --- The changes -------------------------------------------------------------------------------------------------- */

/* The fixup of that file, when its interpreter is lacking here. */
static const struct fixup *find(const struct retarget *retarget, uint32_t number)
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

bool retarget_concerns(const struct retarget *retarget, uint32_t number)
{
	return find(retarget, number);
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
static size_t new_path(const struct retarget *retarget, const struct fixup *fixup, char out[PATH_MAX])
{
	char inside[MAX_PATH + 1];
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
	const struct fixup *fixup = find(retarget, number);
	if (!fixup)
		return 0;
	size_t length = new_path(retarget, fixup, path);
	int result = 1;
	if (length)
		result = fixup->kind == FIXUP_ELF ? change_elf(retarget, fixup, fd, path, length) : change_script(retarget, fixup, fd, path);
	if (result <= 0)
		return result;
	char inside[MAX_PATH + 1];
	index_path(retarget->index, number, inside);
	debug_log(inside, ": not retargeted: ", fixup->kind == FIXUP_SCRIPT ? "its #! line" : "the path", " is too long, or not as the index says",
		  (char *)NULL);
	return 0;
}

/* --- Looking whether a tree is what it must be -------------------------------------------------------------------- */

uint64_t retarget_size(const struct retarget *retarget, uint32_t number)
{
	char path[PATH_MAX];
	uint64_t size = retarget->index->nodes[number].size;
	const struct fixup *fixup = find(retarget, number);
	size_t length = fixup ? new_path(retarget, fixup, path) : 0;
	if (length && fixup->kind == FIXUP_SCRIPT)
		return size - fixup->header - fixup->room + strlen("#!") + length - 1;
	return length && fixup->room == FIXUP_AT_END ? size + length : size;
}

/* Lay `piece`, which belongs at `from`, over the `length` bytes that belong at `at`. */
static void overlay(uint8_t *bytes, uint64_t at, uint32_t length, const void *piece, size_t size, uint64_t from)
{
	for (size_t i = 0; i < size; i++)
		if (from + i >= at && from + i - at < length)
			bytes[from + i - at] = ((const uint8_t *)piece)[i];
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

bool retarget_made(const struct retarget *retarget, uint32_t number, int fd, uint64_t at, const uint8_t *bytes, uint32_t length)
{
	char path[PATH_MAX], found[PATH_MAX];
	const struct fixup *fixup = find(retarget, number);
	size_t size = fixup ? new_path(retarget, fixup, path) : 0;
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
