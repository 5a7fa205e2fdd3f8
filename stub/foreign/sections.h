/* Where an ELF file's table of sections is, as its first bytes say. Nothing of it is checked yet. */
#ifndef TMPRUN_FOREIGN_SECTIONS_H
#define TMPRUN_FOREIGN_SECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct section_table {
	uint64_t at;
	size_t row, count;
	size_t names; /* the number of the section with their names */
	size_t least; /* bytes that a row must have */
	bool wide;    /* an ELF file of 64 bits */
};

enum { SECTIONS_DAMAGED = -1, SECTIONS_CUT = 1 };

/* 0; SECTIONS_DAMAGED, when that is the beginning of no ELF file of a class and an order of bytes that there is; SECTIONS_CUT when it is
 * of one whose header goes on behind `size`. */
int sections_read(const uint8_t *start, size_t size, struct section_table *out);

#endif
