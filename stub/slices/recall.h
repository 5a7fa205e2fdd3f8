/* What an image's programs ask for, remembered in the disk cache (docs/libc.md): it follows from the image alone, and finding it out
 * decodes the heads of all its programs. */
#ifndef TMPRUN_SLICES_RECALL_H
#define TMPRUN_SLICES_RECALL_H

#include "base/environment.h"
#include "image/image.h"
#include "slices/programs.h"

/* What programs_find said of the image at an earlier start; false when nobody knows. */
bool recall_programs(const struct image *image, const struct environment *environment, struct programs *programs);
/* Keep it; of an image that starts before it is hashed, for recall_keep_now, which is called when it is. */
void recall_keep(const struct image *image, const struct environment *environment, const struct programs *programs);
void recall_keep_now(const struct image *image, const struct environment *environment);

#endif
