/* `tmprun @read IMAGE`: the image's index, and then pieces of its files, for a program that holds the other ends of our pipes. */
#ifndef TMPRUN_DOOR_SERVE_H
#define TMPRUN_DOOR_SERVE_H

#include "start/request.h"

/* On stdout a `hello` and the index; then, for each `wanted` on stdin, a `given` and its bytes. Ends with stdin; returns the exit
 * status. (tmprun/images/opened.py is the other side.) */
int serve(struct request *request);

#endif
