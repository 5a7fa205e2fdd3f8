/* A file that cannot be filled. Zeros must never be read, and nobody is to notice who does not open it: it gets a new inode behind
 * its name, empty and under lease like the old one, and those who wait for the old one are ended. */
#ifndef TMPRUN_GATE_REFUSE_H
#define TMPRUN_GATE_REFUSE_H

#include <stdbool.h>

#include "gate/state.h"

/* Have an inode that can take any file's place, before there is need: then there may be no room for one. */
bool spare_make(struct filler *filler);

/* Refuse whatever hands have reported. In the main thread. */
void refuse_reported(struct filler *filler);

/* Another filler died while it was at it. */
void refuse_inherited(struct filler *filler);

#endif
