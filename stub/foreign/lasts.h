/* On a terminal: what a start is doing, when it lasts longer than a second. */
#ifndef TMPRUN_FOREIGN_LASTS_H
#define TMPRUN_FOREIGN_LASTS_H

#include "start/request.h"

/* From now on the request's start does `what`; NULL when that is over. After a second a line on stderr says so, which is taken away
 * again at the end. Nothing where stderr is no terminal, and for what the Python command line asks, which has lines of its own. Not
 * while processes are forked: a thread does it. */
void start_lasts(const struct request *request, const char *what);

#endif
