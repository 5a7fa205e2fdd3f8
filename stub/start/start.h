/* One start of one image, as the stub and the front door both do it: the story of docs/store.md, "A start". */
#ifndef TMPRUN_START_START_H
#define TMPRUN_START_START_H

#include "start/request.h"

/* Run the image, or do what a --appimage-* flag among its arguments asks for. Returns an exit status; it has said why. */
int start(struct request *request);

#endif
