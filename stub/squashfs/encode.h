/* From a tree and its blocks to an index, which says how to build a tree from compressed frames (docs/format.md). */
#ifndef TMPRUN_SQUASHFS_ENCODE_H
#define TMPRUN_SQUASHFS_ENCODE_H

#include "squashfs/raw_index.h"
#include "squashfs/items.h"

/* Make the index of what `tree` and its blocks, which are finished, hold; it is the caller's. */
int encode(struct tree *tree, struct raw_index *made, struct fault *fault);

#endif
