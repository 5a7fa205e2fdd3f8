/* Where entries are built before they get their names: one builder at a time for each, and what killed ones left behind. */
#ifndef TMPRUN_STORE_STAGE_H
#define TMPRUN_STORE_STAGE_H

#include "store/layout.h"

/* The build lock: 0 with its descriptor; 1 when whoever holds it does not move; -1 with errno. */
int stage_lock(const struct shelves *shelves, const char *key, int *lock);

/* Delete what killed builders left behind: it takes the room that we are about to need. The build lock of `key` is held. */
void stage_sweep(const struct shelves *shelves, const char *key);

#endif
