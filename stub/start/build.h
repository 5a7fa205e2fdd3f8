/* How a tree gets into a store (docs/store.md, "A start"): locked, built in the stage, published by a rename. */
#ifndef TMPRUN_START_BUILD_H
#define TMPRUN_START_BUILD_H

#include "base/fault.h"
#include "gate/mode.h"
#include "image/image.h"
#include "store/entry.h"
#include "store/roots.h"

/* The entry for `image`, whose index is loaded: found by its key, or built, in the way that `mode` says. `source` is the
 * image's path, for people. */
int build_provide(const struct root *root, const struct image *image, const char *source, enum fill_mode mode, struct entry *entry,
		  struct fault *fault);

#endif
