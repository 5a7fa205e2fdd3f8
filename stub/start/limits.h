/* What is more than any app is: an image beyond these limits is refused unless somebody insists (docs/format.md, "Limits"). */
#ifndef TMPRUN_START_LIMITS_H
#define TMPRUN_START_LIMITS_H

#include "base/fault.h"
#include "image/image.h"

/* Whether the image, whose index is loaded, keeps to them: 0, or -1. */
int limits_check(const struct image *image, struct fault *fault);

#endif
