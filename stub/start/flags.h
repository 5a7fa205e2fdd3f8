/* The --appimage-* flags that every AppImage understands, as the first argument only. */
#ifndef TMPRUN_START_FLAGS_H
#define TMPRUN_START_FLAGS_H

#include <stdbool.h>

#include "base/fault.h"
#include "start/request.h"

/* Whether the request's first argument was a flag that asked for something else than running the app, which is then done
 * and `status` set, or `fault`. A flag that only changes how to run is taken out of the arguments. */
bool flags_answer(struct request *request, int *status, struct fault *fault);

#endif
