/* What a program asks of a machine's C library. */
#ifndef TMPRUN_SLICES_NEEDS_H
#define TMPRUN_SLICES_NEEDS_H

#include <stdint.h>

#include "foreign/files.h"

/* The highest version GLIBC_X.Y that the ELF program or library `file` requires, as X << 16 | Y; 0 when it requires none, or when its tables
 * cannot be made sense of. */
uint32_t needs_glibc(struct files *files, const struct node *file);

#endif
