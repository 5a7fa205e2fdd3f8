/* libc slices (docs/libc.md): a machine without glibc, or with one that is too old, starts programs with that of a slice. */
#ifndef TMPRUN_SLICES_SLICES_H
#define TMPRUN_SLICES_SLICES_H

#include <stdbool.h>

#include "base/fault.h"
#include "image/image.h"
#include "start/request.h"

/* What to type, on both sides, where an app of glibc lacks it. (tmprun/report/runs_here.py says the same.) */
#define SLICES_REMEDY "on a machine with glibc: tmprun libc make -o glibc.slice; then here: tmprun libc add glibc.slice"

/* struct request's `slice`, `mark`, `hold` and `hashed`. */
void slices_mark(const struct request *request, char stamps[STAMPS_SIZE]);
int slices_use(const struct request *request, struct image *image, struct fault *fault);
bool slices_hold(const struct request *request, const struct image *image, const char *tree);
void slices_hashed(const struct request *request, const struct image *image);

/* What a slice changed, or changes, about the tree at that path, which belongs to the image: NULL for nothing, and with a fault when
 * that cannot be told. */
struct sliced *slices_recall(const struct request *request, const struct image *image, const char *tree, struct fault *fault);

#endif
