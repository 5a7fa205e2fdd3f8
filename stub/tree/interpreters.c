#define _GNU_SOURCE
#include "tree/interpreters.h"

#include "base/file.h"
#include "base/system.h"
#include "base/text.h"

#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const struct interpreter *interpreter_at(const struct index *index, uint32_t number)
{
	return (const struct interpreter *)&index->fixups[number];
}

void interpreter_path(const struct index *index, const struct interpreter *interpreter, char out[MAX_INTERPRETER + 1])
{
	memcpy(out, index->strings + interpreter->path, interpreter->path_length);
	out[interpreter->path_length] = '\0';
}

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

static uint32_t version_between(int fd, uint64_t at, size_t size)
{
	CLEANUP(free_pointer) char *bytes = malloc(size);
	return bytes && read_at(fd, bytes, size, at) == 0 ? banner_version(bytes, size) : 0;
}

#ifdef TMPRUN_SMALL
#define version_in(fd, size) version_between(fd, 0, size)
#else
/* Piece by piece, in one and the same memory: fresh pages for all of it would take longer than the search. Pieces overlap by more than the
 * banner and what is looked at behind it. */
static uint32_t version_of_part(int fd, uint64_t at, size_t size)
{
	enum { PIECE = 64 << 10, OVERLAP = 1 << 10 };
	uint32_t version = 0;
	for (size_t done = 0; done < size && !version; done += PIECE - OVERLAP)
		version = version_between(fd, at + done, size - done < PIECE ? size - done : PIECE);
	return version;
}

/* Constants are a sixth of the library; what searching the rest of it takes is half of a cold start. */
static uint32_t version_in(int fd, size_t size)
{
	enum { MOST = 32 };
	Elf64_Ehdr head;
	Elf64_Phdr segments[MOST];
	uint32_t version = 0;
	bool sound = read_at(fd, &head, sizeof head, 0) == 0 && head.e_phnum <= MOST && head.e_phentsize == sizeof *segments &&
		     head.e_phoff < size && read_at(fd, segments, head.e_phnum * sizeof *segments, head.e_phoff) == 0;
	for (unsigned i = sound ? head.e_phnum : 0; i-- > 0 && !version;)
		if (segments[i].p_type == PT_LOAD && segments[i].p_flags == PF_R && segments[i].p_offset < size &&
		    segments[i].p_filesz <= size - segments[i].p_offset)
			version = version_of_part(fd, segments[i].p_offset, (size_t)segments[i].p_filesz);
	return version ? version : version_of_part(fd, 0, size);
}
#endif

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
	return version_in(fd, (size_t)stat.st_size);
}

#ifdef TMPRUN_SMALL
#define version_here libc_version
#else
/* A start with a slice asks for the same one again: reading and searching 2 MB takes 2 ms. */
static uint32_t version_here(const char *path)
{
	static char known[MAX_INTERPRETER + 1];
	static uint32_t version;
	if (strcmp(known, path) != 0) {
		version = libc_version(path);
		join(known, sizeof known, path, (char *)NULL);
	}
	return version;
}
#endif

bool interpreter_is_here(const struct index *index, const struct interpreter *interpreter)
{
	char path[MAX_INTERPRETER + 1];
	interpreter_path(index, interpreter, path);
	return access(path, X_OK) == 0 && (!interpreter->need || version_here(path) >= interpreter->need);
}

static uint64_t stamp_of(const char *path)
{
	struct stat there;
	if (stat(path, &there) < 0)
		return 0;
	return (uint64_t)there.st_ctim.tv_sec * 1000000000u + (uint64_t)there.st_ctim.tv_nsec;
}

void stamps_add(char stamps[STAMPS_SIZE], const char *path)
{
	char stamp[24];
	size_t used = strlen(stamps);
	join(stamps + used, STAMPS_SIZE - used, "\n", hexadecimal(stamp, stamp_of(path)), " ", path, (char *)NULL);
}

void stamps_take(const struct index *index, char out[STAMPS_SIZE])
{
	out[0] = '\0';
	for (uint32_t i = 0; i < index->interpreters; i++) {
		char path[MAX_INTERPRETER + 1];
		interpreter_path(index, interpreter_at(index, i), path);
		stamps_add(out, path);
	}
}

bool stamps_hold(char *stamps)
{
	strsep(&stamps, "\n"); /* each line begins with its newline */
	for (char *line; (line = strsep(&stamps, "\n"));) {
		char stamp[24];
		const char *then = strsep(&line, " ");
		if (!line || strcmp(hexadecimal(stamp, stamp_of(line)), then) != 0)
			return false;
	}
	return true;
}

bool stamps_lack(const char *stamps)
{
	return find_text(stamps, strlen(stamps), "\n0 ") != NULL;
}
