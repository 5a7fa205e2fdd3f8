/* libc slices (docs/libc.md): a machine without glibc, or with one that is too old, starts programs with that of a slice. */
#ifndef TMPRUN_SLICES_SLICES_H
#define TMPRUN_SLICES_SLICES_H

#include <stdbool.h>

#include "base/fault.h"
#include "image/image.h"
#include "start/request.h"

/* struct request's `slice` and `hold`. */
int slices_use(const struct request *request, struct image *image, struct fault *fault);
bool slices_hold(const struct request *request, const struct image *image, const char *tree);

/* What a slice changed, or changes, about the tree at that path, which belongs to the image: NULL for nothing, and with a fault when
 * that cannot be told. */
struct sliced *slices_recall(const struct image *image, const char *tree, struct fault *fault);

/* Why this start has no slice, though programs need one: "" when none is there. NULL: they do not. */
const char *slices_why(void);

#endif
