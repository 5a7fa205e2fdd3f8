#define _GNU_SOURCE
#include "foreign/head.h"

#include "base/file.h"
#include "base/system.h"
#include "base/text.h"
#include "foreign/machines.h"
#include "foreign/sections.h"

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { MAGIC_SIZE = 6 };

static int read_start(struct source *source, struct head *head, const uint8_t **start, struct section_table *sections, struct fault *fault)
{
	size_t size = source->size < sizeof(Elf64_Ehdr) ? (size_t)source->size : sizeof(Elf64_Ehdr);
	const uint8_t *bytes = *start = source_read(source, 0, size, fault);
	if (!bytes)
		return -1;
	head->other = size > 0;
	if (size < SELFMAG || memcmp(bytes, ELFMAG, SELFMAG) != 0)
		return BAD_IMAGE(fault, size ? "is not an AppImage (no program at its start)" : "is empty", "; check the file");
	head->other = false;
	int read = sections_read(bytes, size, sections);
	if (read == SECTIONS_DAMAGED)
		return BAD_IMAGE(fault, "its ELF header is damaged; download it again");
	if (read == SECTIONS_CUT)
		return BAD_IMAGE(fault, "its ELF header is cut short; download it again");
	char number[24];
	const char *name = machine_name(bytes);
	join(head->machine, sizeof head->machine, name ? name : "ELF machine ", name ? "" : decimal(number, machine_of(bytes)),
	     (char *)NULL);
	return 0;
}

static uint64_t sum(uint64_t left, uint64_t right)
{
	uint64_t result;
	return __builtin_add_overflow(left, right, &result) ? UINT64_MAX : result;
}

/* The end of the ELF file itself as the runtimes compute it; 0 when it has no sections to tell. */
static int end_of_program(struct source *source, const uint8_t *start, const struct section_table *sections, uint64_t *end,
			  struct fault *fault)
{
	*end = 0;
	if (!sections->at || !sections->count || sections->row < sections->least)
		return 0;
	const uint8_t *row = source_read(source, sum(sections->at, sections->row * (sections->count - 1)), sections->least, fault);
	if (!row)
		return -1;
	*end = sum(sections->at, sections->row * sections->count);
	if (ELF_FIELD(start, row, sections->wide, Shdr, sh_type) == SHT_NOBITS)
		return 0;
	uint64_t last = sum(ELF_FIELD(start, row, sections->wide, Shdr, sh_offset), ELF_FIELD(start, row, sections->wide, Shdr, sh_size));
	*end = last > *end ? last : *end;
	return 0;
}

static int refuse(const struct source *source, const uint8_t *magic, uint64_t payload, struct fault *fault)
{
	char number[24];
	if (is_iso(source->fd))
		return BAD_IMAGE(fault, "is a type-1 AppImage (ISO 9660)");
	if (magic && memcmp(magic, "DWARFS", MAGIC_SIZE) == 0)
		return BAD_IMAGE(fault, "its payload is DwarFS");
	if (payload > source->size)
		return BAD_IMAGE(fault, "is cut short: the program at its start says that it has ", decimal(number, payload),
				 " bytes; download it again");
	return BAD_IMAGE(fault, "is a program without an AppImage's payload; start it without tmprun");
}

bool is_iso(int fd)
{
	static const uint16_t places[] = {32769, 34817, 36865};
	char magic[5];
	for (size_t i = 0; i < COUNT(places); i++)
		if (read_at(fd, magic, sizeof magic, places[i]) == 0 && memcmp(magic, "CD001", sizeof magic) == 0)
			return true;
	return false;
}

static bool is_squashfs(const void *magic)
{
	return memcmp(magic, "hsqs", 4) == 0;
}

bool is_bare_squashfs(int fd)
{
	char magic[MAGIC_SIZE];
	return read_at(fd, magic, sizeof magic, 0) == 0 && is_squashfs(magic);
}

int head_read(struct head *head, struct source *source, struct fault *fault)
{
	const uint8_t *start, *magic = NULL;
	if (is_bare_squashfs(source->fd))
		return 0;
	struct section_table sections = {0};
	if (read_start(source, head, &start, &sections, fault) < 0 || end_of_program(source, start, &sections, &head->payload, fault) < 0)
		return -1;
	bool there = head->payload > 0 && source->size >= MAGIC_SIZE && head->payload <= source->size - MAGIC_SIZE;
	if (there && !(magic = source_read(source, head->payload, MAGIC_SIZE, fault)))
		return -1;
	head->other = magic || is_iso(source->fd);
	return magic && is_squashfs(magic) ? 0 : refuse(source, magic, head->payload, fault);
}

int head_check_machine(const struct head *head, struct fault *fault)
{
	char emulator[80];
	struct utsname here;
	uname(&here);
	if (!*head->machine || machine_runs(head->machine, here.machine))
		return 0;
	/* Two names for one. */
	const char *name = strcmp(head->machine, "armhf") == 0 ? "arm" : head->machine;
	join(emulator, sizeof emulator, "/proc/sys/fs/binfmt_misc/qemu-", name, (char *)NULL);
	if (access(emulator, F_OK) == 0)
		return 0;
	return BAD_IMAGE(fault, "is made for ", head->machine, ", and this machine is ", here.machine, "; get the release for ",
			 here.machine);
}
