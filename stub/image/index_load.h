/* From bytes to an index: every rule of docs/format.md is checked, and after it every number in the tables is in range. */
#ifndef TMPRUN_IMAGE_INDEX_LOAD_H
#define TMPRUN_IMAGE_INDEX_LOAD_H

#include <stddef.h>

#include "base/fault.h"
#include "image/index.h"

/* Check `bytes` and make `index` of it. Owns `bytes` from here on, also when it fails. */
int index_load(struct index *index, void *bytes, size_t size, struct fault *fault);
/* The same of what is in the open file. */
int index_read(struct index *index, int fd, struct fault *fault);

#endif
