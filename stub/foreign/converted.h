/* Files that the engine cannot read: archives, packages, and images of other kinds. Each is converted once, by the Python part, into a
 * bundle in the disk cache (tmprun/cli/once.py), and that is started in its place. */
#ifndef TMPRUN_FOREIGN_CONVERTED_H
#define TMPRUN_FOREIGN_CONVERTED_H

#include <limits.h>

#include "base/fault.h"
#include "image/image.h"
#include "start/request.h"

/* Have the open file converted, and wait for it: the bundle's path. Where that fails the reason has been said, and this process ends;
 * -1 when there is no Python part, with that behind what `fault` says already. */
int converted_make(const struct request *request, const struct image *image, char path[PATH_MAX], struct fault *fault);

/* Go on with the bundle at `path`: to start it, from the beginning, which does not return; for anything else as `image`. */
int converted_take(const struct request *request, struct image *image, const char *path, struct fault *fault);

/* Start the program that --entry names, whatever the image was started by before; returns the exit status when that fails. */
int converted_start(struct request *request);

#endif
