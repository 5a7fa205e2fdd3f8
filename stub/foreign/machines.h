/* The machines that ELF files are for, by the names that `uname -m` prints. */
#ifndef TMPRUN_FOREIGN_MACHINES_H
#define TMPRUN_FOREIGN_MACHINES_H

#include <stdbool.h>
#include <stdint.h>

/* So many bytes from a file's start tell its machine. */
enum { MACHINE_HEAD = 20 };

/* A number of `size` bytes, 8 at most, in the byte order of the ELF file that begins with `head`. */
uint64_t machine_number(const uint8_t *head, const uint8_t *at, unsigned size);
/* The name of the machine that the ELF file is for, NULL when it has none here; and its number. */
const char *machine_name(const uint8_t head[MACHINE_HEAD]);
uint16_t machine_of(const uint8_t head[MACHINE_HEAD]);

/* Whether programs for the machine of that name run on the machine `here` without an emulator. */
bool machine_runs(const char *name, const char *here);

#endif
