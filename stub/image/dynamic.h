/* What a program or library tells the dynamic linker: its dynamic section (System V ABI, "Dynamic Linking"). Of 64 bits and for this
 * machine only: what is for another one asks nothing of anybody here. */
#ifndef TMPRUN_IMAGE_DYNAMIC_H
#define TMPRUN_IMAGE_DYNAMIC_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* No program has as many; tables that claim more lie. */
enum { DYNAMIC_SEGMENTS = 256, DYNAMIC_ROWS = 512 };

/* `read` reads so many bytes from there in the file; false when there are not so many. */
struct dynamic {
	bool (*read)(void *context, uint64_t offset, void *out, uint64_t size);
	void *context;
	uint64_t strings; /* address of the names */
	uint16_t count;
	Elf64_Phdr segments[DYNAMIC_SEGMENTS];
};

/* With `read` and `context` set: false when it is no such file, or links to nothing. */
bool dynamic_open(struct dynamic *dynamic);
/* The row of that number; false behind the last one. */
bool dynamic_row(struct dynamic *dynamic, uint64_t number, Elf64_Dyn *row);
/* `size` bytes at an address of the running program. */
bool dynamic_read(struct dynamic *dynamic, uint64_t address, void *out, uint64_t size);
/* The name at that offset among the names, of which `room` bytes are looked at; "" when it cannot be read, or is longer. */
void dynamic_name(struct dynamic *dynamic, uint64_t offset, char *out, size_t room);

#endif
