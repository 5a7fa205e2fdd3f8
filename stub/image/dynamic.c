#include "image/dynamic.h"

#include <string.h>

#ifdef __aarch64__
enum { HERE = EM_AARCH64 };
#else
enum { HERE = EM_X86_64 };
#endif

enum { SHORTEST_NAMES = 8 /* bytes that there are of a name and what follows it */ };

static bool read_segments(struct dynamic *dynamic)
{
	Elf64_Ehdr head;
	if (!dynamic->read(dynamic->context, 0, &head, sizeof head) || memcmp(head.e_ident, ELFMAG "\2\1\1", EI_VERSION + 1) != 0 ||
	    head.e_machine != HERE || head.e_phentsize != sizeof *dynamic->segments || head.e_phnum > DYNAMIC_SEGMENTS)
		return false;
	dynamic->count = head.e_phnum;
	return dynamic->read(dynamic->context, head.e_phoff, dynamic->segments, head.e_phnum * sizeof *dynamic->segments);
}

bool dynamic_row(struct dynamic *dynamic, uint64_t number, Elf64_Dyn *row)
{
	const Elf64_Phdr *rows = NULL;
	for (uint16_t i = 0; i < dynamic->count; i++)
		if (dynamic->segments[i].p_type == PT_DYNAMIC)
			rows = &dynamic->segments[i];
	return rows && number < DYNAMIC_ROWS && number < rows->p_filesz / sizeof *row &&
	       dynamic->read(dynamic->context, rows->p_offset + number * sizeof *row, row, sizeof *row) && row->d_tag != DT_NULL;
}

bool dynamic_open(struct dynamic *dynamic)
{
	Elf64_Dyn row;
	dynamic->strings = 0;
	if (!read_segments(dynamic))
		return false;
	for (uint64_t i = 0; !dynamic->strings && dynamic_row(dynamic, i, &row); i++)
		if (row.d_tag == DT_STRTAB)
			dynamic->strings = row.d_un.d_ptr;
	return dynamic->strings;
}

bool dynamic_read(struct dynamic *dynamic, uint64_t address, void *out, uint64_t size)
{
	for (uint16_t i = 0; i < dynamic->count; i++) {
		const Elf64_Phdr *segment = &dynamic->segments[i];
		uint64_t offset;
		if (segment->p_type != PT_LOAD || address < segment->p_vaddr || address - segment->p_vaddr > segment->p_filesz ||
		    size > segment->p_filesz - (address - segment->p_vaddr))
			continue;
		return !__builtin_add_overflow(segment->p_offset, address - segment->p_vaddr, &offset) &&
		       dynamic->read(dynamic->context, offset, out, size);
	}
	return false;
}

void dynamic_name(struct dynamic *dynamic, uint64_t offset, char *out, size_t room)
{
	/* Names lie close together; the last one may end before our room does. */
	for (size_t size = room; size >= SHORTEST_NAMES; size /= 2)
		if (dynamic_read(dynamic, dynamic->strings + offset, out, size)) {
			if (!memchr(out, '\0', size))
				break;
			return;
		}
	*out = '\0';
}
