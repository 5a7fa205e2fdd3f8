/* From bytes to an index: every rule of docs/format.md is checked, and after it every number in the tables is in range. */
#ifndef TMPRUN_IMAGE_INDEX_LOAD_H
#define TMPRUN_IMAGE_INDEX_LOAD_H

#include <stddef.h>

#include "base/fault.h"
#include "base/system.h"
#include "image/index.h"

/* Check `table` and make `index` of it. Owns `table` from here on, also when it fails. */
int index_load(struct index *index, void *table, size_t size, struct fault *fault);

#endif
