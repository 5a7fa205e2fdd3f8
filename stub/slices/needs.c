#include "slices/needs.h"

#include "base/text.h"
#include "image/dynamic.h"

#include <elf.h>
#include <stdbool.h>
#include <string.h>

/* No program has as many; tables that claim more lie. */
enum { MOST_VERSIONS = 4096, NAME_ROOM = 32, RELR_SINCE = 2 << 16 | 36 };

struct program {
	struct files *files;
	const struct node *file;
};

static bool read_part(void *context, uint64_t offset, void *out, uint64_t size)
{
	const struct program *program = context;
	return files_read_part(program->files, program->file, offset, out, size);
}

/* The address of what is required of others; 0 when there is nothing. */
static uint64_t versions_of(struct dynamic *dynamic)
{
	Elf64_Dyn row;
	uint64_t address = 0;
	for (uint64_t i = 0; dynamic_row(dynamic, i, &row); i++)
		if (row.d_tag == DT_VERNEED)
			address = row.d_un.d_ptr;
	return address;
}

/* A required version's name; anything but GLIBC_X.Y needs nothing. */
static uint32_t version_of(const char *name)
{
	static const char prefix[] = "GLIBC_";
	if (strcmp(name, "GLIBC_ABI_DT_RELR") == 0)
		return RELR_SINCE;
	if (strncmp(name, prefix, sizeof prefix - 1) != 0)
		return 0;
	const char *number = name + sizeof prefix - 1, *dot = strchr(number, '.');
	uint64_t major = parse_decimal(number), minor = dot ? parse_decimal(dot + 1) : UINT64_MAX;
	return major > 0xff || minor > 0xffff ? 0 : (uint32_t)(major << 16 | minor);
}

static uint32_t version_at(struct dynamic *dynamic, uint32_t string)
{
	char name[NAME_ROOM];
	dynamic_name(dynamic, string, name, sizeof name);
	return version_of(name);
}

/* The versions that are required of one library, from `address` on; `left` is how many more are looked at in all. */
static uint32_t highest_of(struct dynamic *dynamic, uint64_t address, unsigned *left)
{
	uint32_t highest = 0;
	Elf64_Vernaux row;
	while (*left && dynamic_read(dynamic, address, &row, sizeof row)) {
		uint32_t version = version_at(dynamic, row.vna_name);
		--*left;
		highest = version > highest ? version : highest;
		if (!row.vna_next)
			break;
		address += row.vna_next;
	}
	return highest;
}

uint32_t needs_glibc(struct files *files, const struct node *file)
{
	struct program program = {files, file};
	struct dynamic dynamic = {.read = read_part, .context = &program};
	uint32_t highest = 0;
	unsigned left = MOST_VERSIONS;
	Elf64_Verneed row;
	uint64_t at = dynamic_open(&dynamic) ? versions_of(&dynamic) : 0;
	for (; at && left && dynamic_read(&dynamic, at, &row, sizeof row); at += row.vn_next) {
		uint32_t version = highest_of(&dynamic, at + row.vn_aux, &left);
		highest = version > highest ? version : highest;
		if (!row.vn_next)
			break;
		left--;
	}
	return highest;
}
