/* The way from the front door to the Python command line beside it. */
#ifndef TMPRUN_FOREIGN_PYTHON_H
#define TMPRUN_FOREIGN_PYTHON_H

#include "base/fault.h"
#include "start/request.h"

/* Become `tmprun-py` with these arguments (NULL at the end); does not return but on failure. */
int python_become(const char *const *arguments, struct fault *fault);

/* Become the importer, which makes an index of the request's open image and comes back with both. Does not return but on failure. */
int python_import(const struct request *request, const struct image *image, struct fault *fault);

/* CPython ignores SIGPIPE and SIGXFSZ from its first moment: the image that it execs would inherit that. These carry the
 * caller's choice past it as text, and put it back. */
void signals_save(char out[24]);
void signals_restore(const char *saved);

#endif
