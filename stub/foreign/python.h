/* The way from the front door to the Python command line beside it. */
#ifndef TMPRUN_FOREIGN_PYTHON_H
#define TMPRUN_FOREIGN_PYTHON_H

#include <stdbool.h>

#include "base/fault.h"

/* Become `tmprun-py` with these arguments (NULL at the end); does not return but on failure. */
int python_become(const char *const *arguments, struct fault *fault);

/* Whether it is there at all; the reason when it is not. */
bool python_there(struct fault *fault);

#endif
