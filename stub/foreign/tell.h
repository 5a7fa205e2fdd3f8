/* What AppImage tools keep in the program at an image's head, printed as its own runtime would: struct request's `tell`. */
#ifndef TMPRUN_FOREIGN_TELL_H
#define TMPRUN_FOREIGN_TELL_H

#include "base/fault.h"
#include "start/request.h"

int tell(const struct request *request, int fd, const char *what, struct fault *fault);

#endif
