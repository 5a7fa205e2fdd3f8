#include "foreign/sections.h"

#include "foreign/machines.h"

#include <elf.h>
#include <string.h>

static bool is_sound(const uint8_t *start, size_t size)
{
	return size >= MACHINE_HEAD && memcmp(start, ELFMAG, SELFMAG) == 0 &&
	       (start[EI_CLASS] == ELFCLASS32 || start[EI_CLASS] == ELFCLASS64) &&
	       (start[EI_DATA] == ELFDATA2LSB || start[EI_DATA] == ELFDATA2MSB);
}

int sections_read(const uint8_t *start, size_t size, struct section_table *out)
{
	if (!is_sound(start, size))
		return SECTIONS_DAMAGED;
	bool wide = start[EI_CLASS] == ELFCLASS64;
	if (size < (wide ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr)))
		return SECTIONS_CUT;
	*out = (struct section_table){
		.at = ELF_FIELD(start, start, wide, Ehdr, e_shoff),
		.row = ELF_FIELD(start, start, wide, Ehdr, e_shentsize),
		.count = ELF_FIELD(start, start, wide, Ehdr, e_shnum),
		.names = ELF_FIELD(start, start, wide, Ehdr, e_shstrndx),
		.least = wide ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr),
		.wide = wide,
	};
	return 0;
}
