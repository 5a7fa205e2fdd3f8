/* Puts the content of frames into the files of a tree: decode once, write wherever a segment says. */
#ifndef TMPRUN_TREE_FILL_H
#define TMPRUN_TREE_FILL_H

#include <stdint.h>

#include "base/fault.h"
#include "image/image.h"
#include "tree/tree.h"

/* Build the whole of `tree` from `image` on `hands` threads. On failure what is there is incomplete and must be removed. */
int fill_tree(const struct image *image, const struct tree *tree, unsigned hands, struct fault *fault);

/* Only its files and symlinks; the directories are there. */
int fill_files(const struct image *image, const struct tree *tree, unsigned hands, struct fault *fault);

/* What to do with one piece of a file's content, `length` bytes at offset `at`; on any of the threads. */
typedef int fill_piece(void *context, struct place *place, uint32_t node, uint64_t at, const uint8_t *bytes, uint32_t length,
		       struct fault *fault);

/* Decode every frame that `tree` wants and pass on its pieces, instead of building. */
int fill_each_piece(const struct image *image, const struct tree *tree, unsigned hands, fill_piece *piece, void *context,
		    struct fault *fault);

#endif
