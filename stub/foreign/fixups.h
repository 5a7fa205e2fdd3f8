/* The programs of a tree whose interpreter can be changed, for machines that lack it: an index's fixups (docs/elf.md). */
#ifndef TMPRUN_FOREIGN_FIXUPS_H
#define TMPRUN_FOREIGN_FIXUPS_H

#include <stdbool.h>

#include "foreign/files.h"
#include "squashfs/raw_index.h"

/* Whether a file's name says that it is a loader: without one there is nothing to plan. */
bool fixups_wanted(const struct index *index);

/* Make one that has the index's content and the fixups of its programs; with none its bytes stay NULL. A file that cannot be read
 * is left out: the start will say so, when it is needed. 0, or -1 when there is no memory. */
int fixups_plan(struct files *files, struct raw_index *made, struct fault *fault);

#endif
