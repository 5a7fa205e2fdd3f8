#include "slices/needs.h"

#include "base/system.h"
#include "base/text.h"

#include <elf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* No program has as many; tables that claim more lie. */
enum { MOST_SEGMENTS = 256, MOST_ROWS = 512, MOST_VERSIONS = 4096, NAME_ROOM = 32, RELR_SINCE = 2 << 16 | 36 };

/* What is for another machine asks nothing of this one. */
#ifdef __aarch64__
enum { HERE = EM_AARCH64 };
#else
enum { HERE = EM_X86_64 };
#endif

struct program {
	struct files *files;
	const struct node *file;
	uint16_t count;
	Elf64_Phdr segments[MOST_SEGMENTS];
	uint64_t versions, strings; /* addresses */
};

/* `size` bytes at an address of the running program. */
static bool read_address(struct program *program, uint64_t address, void *out, size_t size)
{
	for (uint16_t i = 0; i < program->count; i++) {
		const Elf64_Phdr *segment = &program->segments[i];
		uint64_t offset;
		if (segment->p_type != PT_LOAD || address < segment->p_vaddr || address - segment->p_vaddr > segment->p_filesz ||
		    size > segment->p_filesz - (address - segment->p_vaddr))
			continue;
		return !__builtin_add_overflow(segment->p_offset, address - segment->p_vaddr, &offset) &&
		       files_read_part(program->files, program->file, offset, out, size);
	}
	return false;
}

static bool read_segments(struct program *program)
{
	Elf64_Ehdr head;
	if (!files_read_part(program->files, program->file, 0, &head, sizeof head) ||
	    memcmp(head.e_ident, ELFMAG "\2\1\1", EI_VERSION + 1) != 0 || head.e_machine != HERE ||
	    head.e_phentsize != sizeof *program->segments || head.e_phnum > MOST_SEGMENTS)
		return false;
	program->count = head.e_phnum;
	return files_read_part(program->files, program->file, head.e_phoff, program->segments, head.e_phnum * sizeof *program->segments);
}

static void take_row(struct program *program, const Elf64_Dyn *row)
{
	if (row->d_tag == DT_VERNEED)
		program->versions = row->d_un.d_ptr;
	else if (row->d_tag == DT_STRTAB)
		program->strings = row->d_un.d_ptr;
}

static bool read_dynamic(struct program *program)
{
	const Elf64_Phdr *dynamic = NULL;
	for (uint16_t i = 0; i < program->count; i++)
		if (program->segments[i].p_type == PT_DYNAMIC)
			dynamic = &program->segments[i];
	uint64_t count = dynamic ? dynamic->p_filesz / sizeof(Elf64_Dyn) : 0;
	for (uint64_t i = 0; i < count && i < MOST_ROWS; i++) {
		Elf64_Dyn row;
		if (!files_read_part(program->files, program->file, dynamic->p_offset + i * sizeof row, &row, sizeof row) ||
		    row.d_tag == DT_NULL)
			break;
		take_row(program, &row);
	}
	return program->versions && program->strings;
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

static uint32_t version_at(struct program *program, uint32_t string)
{
	char name[NAME_ROOM + 1] = "";
	/* Names lie close together; the last one may end before our room does. */
	for (size_t size = NAME_ROOM; size >= 8; size /= 2)
		if (read_address(program, program->strings + string, name, size))
			return version_of(name);
	return 0;
}

/* The versions that are required of one library, from `address` on; `left` is how many more are looked at in all. */
static uint32_t highest_of(struct program *program, uint64_t address, unsigned *left)
{
	uint32_t highest = 0;
	Elf64_Vernaux row;
	while (*left && read_address(program, address, &row, sizeof row)) {
		uint32_t version = version_at(program, row.vna_name);
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
	CLEANUP(free_pointer) struct program *program = zeroed(1, sizeof *program);
	uint32_t highest = 0;
	unsigned left = MOST_VERSIONS;
	Elf64_Verneed row;
	if (!program)
		return 0;
	program->files = files;
	program->file = file;
	if (!read_segments(program) || !read_dynamic(program))
		return 0;
	for (uint64_t at = program->versions; left && read_address(program, at, &row, sizeof row); at += row.vn_next) {
		uint32_t version = highest_of(program, at + row.vn_aux, &left);
		highest = version > highest ? version : highest;
		if (!row.vn_next)
			break;
		left--;
	}
	return highest;
}
