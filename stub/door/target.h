/* What was typed as an application and is no file: an AppDir, which starts where it is; an address; a command that is spelt wrong. */
#ifndef TMPRUN_DOOR_TARGET_H
#define TMPRUN_DOOR_TARGET_H

#include <stdbool.h>
#include <stddef.h>

#include "start/request.h"

/* Whether the request's path leads to no file, and what is to be done then has been done: `status` is the exit status. `commands` are
 * the words that might have been meant. */
bool target_answer(const struct request *request, const char *const *commands, size_t count, int *status);

#endif
