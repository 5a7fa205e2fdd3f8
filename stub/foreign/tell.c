#define _GNU_SOURCE
#include "foreign/tell.h"

#include "base/file.h"
#include "base/system.h"
#include "base/text.h"
#include "foreign/head.h"
#include "foreign/machines.h"
#include "foreign/sections.h"
#include "image/image.h"

#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Bytes of a section that are printed, which has 1024, 8192 at most; and of the tables that are looked at. */
enum { MAX_CONTENT = 64 << 10, MAX_NAMES = 1 << 20, MAX_TABLE = 8 << 20 };

/* Where the tools of type-1 AppImages put the update information: offset and size. */
enum { ISO_UPDATE_AT = 0x8373, ISO_UPDATE_SIZE = 512 };

/* The table of sections, and their names. */
struct sections {
	uint8_t start[sizeof(Elf64_Ehdr)];
	struct section_table table;
	uint8_t *rows, *names;
	size_t names_size;
};

static void sections_free(struct sections *sections)
{
	free(sections->rows);
	free(sections->names);
}

/* What there is of so many bytes: how many; *out is the caller's. */
static size_t read_some(int fd, uint64_t offset, size_t size, uint8_t **out)
{
	if (offset >= (uint64_t)1 << 62 || !(*out = malloc(size ? size : 1)))
		return 0;
	ssize_t got = pread(fd, *out, size, (off_t)offset);
	return got < 0 ? 0 : (size_t)got;
}

#define ROW_FIELD(sections, number, name) \
	ELF_FIELD((sections)->start, (sections)->rows + (number) * (sections)->table.row, (sections)->table.wide, Shdr, name)

/* False for what is no ELF file, and for one whose headers lie. */
static bool read_sections(int fd, struct sections *sections)
{
	struct section_table *table = &sections->table;
	ssize_t got = pread(fd, sections->start, sizeof sections->start, 0);
	if (got < 0 || sections_read(sections->start, (size_t)got, table) != 0)
		return false;
	size_t size = table->row * table->count, names = table->names;
	if (table->row < table->least || size > MAX_TABLE || names >= table->count ||
	    read_some(fd, table->at, size, &sections->rows) != size)
		return false;
	uint64_t length = ROW_FIELD(sections, names, sh_size);
	sections->names_size =
		read_some(fd, ROW_FIELD(sections, names, sh_offset), length < MAX_NAMES ? (size_t)length : MAX_NAMES, &sections->names);
	return true;
}

/* The number of the section that has the name; their count when none has. */
static size_t find_section(const struct sections *sections, const char *name)
{
	size_t length = strlen(name) + 1, i = 0;
	for (; i < sections->table.count; i++) {
		uint64_t at = ROW_FIELD(sections, i, sh_name);
		if (at <= sections->names_size && length <= sections->names_size - at && memcmp(sections->names + at, name, length) == 0)
			break;
	}
	return i;
}

/* The section's content up to its first NUL, as a string that is the caller's; NULL when there is no such section. */
static char *read_section(int fd, const char *name)
{
	CLEANUP(sections_free) struct sections sections = {.rows = NULL};
	if (!read_sections(fd, &sections))
		return NULL;
	size_t number = find_section(&sections, name);
	if (number == sections.table.count)
		return NULL;
	uint64_t size = ROW_FIELD(&sections, number, sh_type) == SHT_NOBITS ? 0 : ROW_FIELD(&sections, number, sh_size);
	CLEANUP(free_pointer) uint8_t *bytes = NULL;
	size_t got = read_some(fd, ROW_FIELD(&sections, number, sh_offset), size < MAX_CONTENT ? (size_t)size : MAX_CONTENT, &bytes);
	return bytes ? strndup((const char *)bytes, got) : strdup("");
}

static int print_section(int fd, const char *name, struct fault *fault)
{
	CLEANUP(free_pointer) char *content = read_section(fd, name);
	char update[ISO_UPDATE_SIZE + 1] = "";
	if ((!content || !*content) && strcmp(name, ".upd_info") == 0 && is_iso(fd)) {
		ssize_t got = pread(fd, update, ISO_UPDATE_SIZE, ISO_UPDATE_AT);
		update[got < 0 ? 0 : got] = '\0';
		for (size_t length = strlen(update); length && strchr(" \t\n\r\v\f", update[length - 1]); length--)
			update[length - 1] = '\0';
		return print(update + strspn(update, " \t\n\r\v\f"), fault) < 0 ? -1 : print("\n", fault);
	}
	if (!content)
		return FAILED(fault, "has no ", name, " section; it may be no AppImage");
	return print(content, fault) < 0 ? -1 : print("\n", fault);
}

static int print_offset(const struct image *image, struct fault *fault)
{
	struct source source = {.fd = image->fd, .size = image->size};
	struct head head;
	char number[24];
	int result = head_read(&head, &source, fault);
	source_free(&source);
	return result < 0 || print(decimal(number, head.payload), fault) < 0 ? -1 : print("\n", fault);
}

static int tell_of(const struct image *image, const char *what, struct fault *fault)
{
	if (strcmp(what, "offset") == 0)
		return print_offset(image, fault);
	return print_section(image->fd, strcmp(what, "signature") == 0 ? ".sha256_sig" : ".upd_info", fault);
}

int tell(const struct request *request, int fd, const char *what, struct fault *fault)
{
	CLEANUP(image_close) struct image image = IMAGE_CLOSED;
	int own = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (own >= 0 ? image_take(&image, own, fault) < 0 : request_open(request, &image, fault) < 0)
		return -1;
	return tell_of(&image, what, fault);
}
