/* Unpacking for people: into a directory of theirs, with the image's own modes, all of it or what matches a pattern. */
#ifndef TMPRUN_START_EXTRACT_H
#define TMPRUN_START_EXTRACT_H

#include "base/fault.h"
#include "start/request.h"

/* Unpack into `directory`, made when missing, over what is there, following no symlink; each path is printed. */
int extract(const struct request *request, const char *directory, char **patterns, int count, struct fault *fault);

/* Print every path in the image, a line each. */
int extract_list(const struct request *request, struct fault *fault);

#endif
