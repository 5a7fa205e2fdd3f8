#include "foreign/slot.h"

#include "base/system.h"
#include "squashfs/order.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

/* No program has as many rows; a table that claims more lies. (Linkers write some 15 segments and 40 sections.) Then: bytes that the
 * path of a loader in a store takes at most, in practice, and the least that are of any use. */
enum { MOST_SEGMENTS = 256, MOST_SECTIONS = 4096, PLENTY = 512, ENOUGH = 256, MOST = 4096 };
enum { SCRIPT_HEAD = 256 /* bytes of a script that the kernel looks at */, SCRIPT_LARGEST = 1 << 20 };

/* 64 bits, little-endian, version 1: what the machines are that the engine runs on. */
static const char ident[] = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT};

/* A part of the file that somebody owns. */
struct owned {
	uint64_t start, stop;
};

struct program {
	struct files *files;
	const struct node *file;
	Elf64_Ehdr head;
	uint32_t count;
	struct owned owned[MOST_SEGMENTS + MOST_SECTIONS + 3];
	uint32_t numbers[MOST_SEGMENTS + MOST_SECTIONS + 3], spare[MOST_SEGMENTS + MOST_SECTIONS + 3];
	union {
		Elf64_Phdr segments[MOST_SEGMENTS];
		Elf64_Shdr sections[MOST_SECTIONS];
		char bytes[MOST];
	} table;
};

static void own(struct program *program, uint64_t start, uint64_t size)
{
	uint64_t stop;
	if (__builtin_add_overflow(start, size, &stop))
		stop = UINT64_MAX;
	program->owned[program->count++] = (struct owned){start, stop};
}

/* The segments own what they hold; one of them, and no more, names the interpreter. */
static bool look_at_segments(struct program *program, struct slot_found *slot, Elf64_Phdr *named)
{
	const Elf64_Ehdr *head = &program->head;
	uint64_t size = head->e_phnum * sizeof *named;
	unsigned found = 0;
	if (head->e_phentsize != sizeof *named || head->e_phnum > MOST_SEGMENTS ||
	    !files_read_part(program->files, program->file, head->e_phoff, program->table.segments, size))
		return false;
	own(program, 0, sizeof *head);
	own(program, head->e_phoff, size);
	for (unsigned i = 0; i < head->e_phnum; i++) {
		const Elf64_Phdr *segment = &program->table.segments[i];
		own(program, segment->p_offset, segment->p_filesz);
		if (segment->p_type != PT_INTERP)
			continue;
		*named = *segment;
		slot->header = head->e_phoff + i * sizeof *named;
		found++;
	}
	return found == 1;
}

/* There are none after sstrip. */
static bool look_at_sections(struct program *program)
{
	const Elf64_Ehdr *head = &program->head;
	uint64_t size = head->e_shnum * sizeof(Elf64_Shdr);
	if (head->e_shoff == 0)
		return true;
	if (head->e_shentsize != sizeof(Elf64_Shdr) || head->e_shnum == 0 || head->e_shnum > MOST_SECTIONS ||
	    !files_read_part(program->files, program->file, head->e_shoff, program->table.sections, size))
		return false;
	own(program, head->e_shoff, size);
	for (unsigned i = 0; i < head->e_shnum; i++) {
		const Elf64_Shdr *section = &program->table.sections[i];
		if (section->sh_type != SHT_NOBITS && section->sh_size)
			own(program, section->sh_offset, section->sh_size);
	}
	return true;
}

static int compare_owned(const void *context, uint32_t left, uint32_t right)
{
	const struct owned *one = (const struct owned *)context + left, *other = (const struct owned *)context + right;
	if (one->start != other->start)
		return one->start < other->start ? -1 : 1;
	return (one->stop > other->stop) - (one->stop < other->stop);
}

/* Zeros that may be written over: what can be read of them is at once in the table's room. */
static bool is_free(struct program *program, uint64_t at, size_t size, bool *readable)
{
	*readable = files_read_part(program->files, program->file, at, program->table.bytes, size);
	for (size_t i = 0; *readable && i < size; i++)
		if (program->table.bytes[i])
			return false;
	return *readable;
}

/* Offset and length of zeros that nobody owns, or the file's end when that is the program's end, too. */
static bool find_room(struct program *program, struct slot_found *slot)
{
	uint64_t end = 0;
	bool readable;
	for (uint32_t i = 0; i < program->count; i++)
		program->numbers[i] = i;
	order_sort(program->numbers, program->spare, program->count, compare_owned, program->owned);
	slot->room = 0;
	for (uint32_t i = 0; i < program->count; i++) {
		const struct owned *owned = &program->owned[program->numbers[i]];
		if (owned->stop > program->file->size)
			return false;
		uint64_t gap = owned->start > end ? owned->start - end : 0;
		size_t room = gap < MOST ? (size_t)gap : MOST;
		if (room >= ENOUGH && is_free(program, end, room, &readable) && (!slot->room || gap >= PLENTY)) {
			slot->at = end;
			slot->room = (uint32_t)room;
			if (gap >= PLENTY)
				return true;
		}
		if (room >= ENOUGH && !readable)
			return false;
		end = owned->stop > end ? owned->stop : end;
	}
	if (end == program->file->size) {
		slot->at = end;
		slot->room = FIXUP_AT_END;
	}
	return slot->room;
}

static bool read_path(struct program *program, const Elf64_Phdr *named, struct slot_found *slot)
{
	if (named->p_filesz < 2 || named->p_filesz > sizeof slot->path ||
	    !files_read_part(program->files, program->file, named->p_offset, slot->path, named->p_filesz))
		return false;
	slot->length = (uint32_t)named->p_filesz - 1;
	return slot->path[0] == '/' && !slot->path[slot->length] && strlen(slot->path) == slot->length && !strchr(slot->path, '\n');
}

/* A third of a megabyte, most of which no file needs: its pages are asked of the kernel once. */
static struct program *program_for(struct files *files, const struct node *file)
{
	struct program *program = files->scratch ? files->scratch : malloc(sizeof *program);
	files->scratch = program;
	if (!program)
		return NULL;
	program->files = files;
	program->file = file;
	program->count = 0;
	return program;
}

static bool find_in_elf(struct files *files, const struct node *file, struct slot_found *slot)
{
	Elf64_Phdr named = {0};
	struct program *program = program_for(files, file);
	slot->kind = FIXUP_ELF;
	return program && files_read_part(program->files, program->file, 0, &program->head, sizeof program->head) &&
	       memcmp(program->head.e_ident, ident, sizeof ident) == 0 && program->head.e_phnum &&
	       look_at_segments(program, slot, &named) && look_at_sections(program) && find_room(program, slot) &&
	       read_path(program, &named, slot);
}

/* The path in a script's first line, unless the script would have no room to grow. */
static bool find_in_script(struct files *files, const struct node *file, struct slot_found *slot)
{
	char head[SCRIPT_HEAD];
	ssize_t size = files_read(files, file, 0, head, sizeof head);
	const char *newline = size > 0 ? memchr(head, '\n', (size_t)size) : NULL;
	if (size < 2 || file->size > SCRIPT_LARGEST || (!newline && file->size >= SCRIPT_HEAD))
		return false;
	size_t end = newline ? (size_t)(newline - head) : (size_t)size, begin = 2;
	while (begin < end && (head[begin] == ' ' || head[begin] == '\t'))
		begin++;
	size_t stop = begin;
	while (stop < end && head[stop] != ' ' && head[stop] != '\t')
		stop++;
	size_t length = stop - begin;
	if (begin == stop || head[begin] != '/' || memchr(head + begin, '\0', length) || length > MAX_INTERPRETER)
		return false;
	*slot = (struct slot_found){.kind = FIXUP_SCRIPT, .length = (uint32_t)length, .header = begin, .room = (uint32_t)length};
	memcpy(slot->path, head + begin, length);
	return true;
}

bool slot_find(struct files *files, const struct node *file, struct slot_found *slot)
{
	char magic[2] = "";
	if (files_read(files, file, 0, magic, sizeof magic) < 0)
		return false;
	return memcmp(magic, "#!", 2) == 0 ? find_in_script(files, file, slot) : find_in_elf(files, file, slot);
}
