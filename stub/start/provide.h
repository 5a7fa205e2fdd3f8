/* A tree for the request's image: the one that is there, or one built in the first root that can take it. */
#ifndef TMPRUN_START_PROVIDE_H
#define TMPRUN_START_PROVIDE_H

#include "base/fault.h"
#include "image/image.h"
#include "start/request.h"
#include "store/entry.h"

/* The image, open, and its entry, leased. */
int provide(const struct request *request, struct image *image, struct entry *entry, struct fault *fault);

#endif
