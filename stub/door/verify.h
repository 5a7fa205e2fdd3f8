/* Comparing an unpacked tree with its image, byte for byte. */
#ifndef TMPRUN_DOOR_VERIFY_H
#define TMPRUN_DOOR_VERIFY_H

#include <stdbool.h>

#include "base/fault.h"
#include "image/image.h"
#include "start/request.h"

/* Compare the directory `path`, built in the store's way, with the image, whose index is loaded. Each difference is printed
 * on stdout as a line, unless `silent`. The number of differences, or -1. */
int verify_tree(const struct request *request, const struct image *image, const char *path, bool silent, struct fault *fault);

#endif
