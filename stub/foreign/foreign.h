/* Images that are no bundles: known from an earlier start, or else for Python to read. */
#ifndef TMPRUN_FOREIGN_FOREIGN_H
#define TMPRUN_FOREIGN_FOREIGN_H

#include "base/fault.h"
#include "image/image.h"
#include "start/request.h"

/* Load the index of the request's open image: struct request's `foreign`. */
int foreign_load(const struct request *request, struct image *image, struct fault *fault);

/* Once, before anything is decoded: the codecs that only images which are no bundles have. */
void foreign_codecs(void);

#endif
