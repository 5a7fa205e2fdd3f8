/* Portable mode: directories beside the image that stand in for the user's own. */
#ifndef TMPRUN_START_PORTABLE_H
#define TMPRUN_START_PORTABLE_H

#include "base/environment.h"

/* Point the environment to those of the image at this path that are there. */
void portable_use(const char *image, const struct environment *environment);

#endif
