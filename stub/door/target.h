/* What was typed as an application and is no file: an AppDir, which starts where it is, or an address. */
#ifndef TMPRUN_DOOR_TARGET_H
#define TMPRUN_DOOR_TARGET_H

#include <stdbool.h>

#include "start/request.h"

/* Whether the request's path leads to no file, and what is to be done then has been done: `status` is the exit status. */
bool target_answer(const struct request *request, int *status);

#endif
