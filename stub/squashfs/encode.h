/* From a tree and its blocks to an index: the table that says how to build a tree from compressed frames (docs/format.md). */
#ifndef TMPRUN_SQUASHFS_ENCODE_H
#define TMPRUN_SQUASHFS_ENCODE_H

#include "squashfs/table.h"
#include "squashfs/items.h"

/* Make the table of what `tree` and its blocks, which are finished, hold; it is the caller's. */
int encode(struct tree *tree, struct table *table, struct fault *fault);

#endif
