/* What the disk cache knows about images that are no bundles (docs/store.md, "Layout"). */
#ifndef TMPRUN_FOREIGN_KNOWN_H
#define TMPRUN_FOREIGN_KNOWN_H

#include <stdbool.h>

#include "base/environment.h"
#include "image/image.h"

/* Load the open image's index from there; false when nothing is known. */
bool known_load(struct image *image, const struct environment *environment);

#endif
