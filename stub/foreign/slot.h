/* Where a program names its interpreter, and where a longer name could stand without anything being moved (docs/elf.md). */
#ifndef TMPRUN_FOREIGN_SLOT_H
#define TMPRUN_FOREIGN_SLOT_H

#include <stdbool.h>

#include "foreign/files.h"

/* `header`, `at` and `room` as in a fixup of that kind. */
struct slot_found {
	enum fixup_kind kind;
	char path[MAX_INTERPRETER + 1];
	uint32_t length;
	uint64_t header, at;
	uint32_t room;
};

/* False for what is no dynamic program or script of the kind we know, and for one that is damaged, or without room. */
bool slot_find(struct files *files, const struct node *file, struct slot_found *slot);

#endif
