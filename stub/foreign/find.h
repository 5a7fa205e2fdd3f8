/* Finding files in an image's tree by their paths, through symlinks while they stay in the tree. */
#ifndef TMPRUN_FOREIGN_FIND_H
#define TMPRUN_FOREIGN_FIND_H

#include <stddef.h>
#include <stdint.h>

#include "image/index.h"

#define NOT_FOUND UINT32_MAX

/* The node that `path`, `length` bytes, leads to from `directory` on; of a hard link the file. NOT_FOUND when there is none. */
uint32_t find_from(const struct index *index, uint32_t directory, const char *path, size_t length);

#endif
