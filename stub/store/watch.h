/* The list of what a warm start looks at: each directory of a tree, and its AppRun, with the ctime that it had when the list was
 * written. Nobody can set a ctime: where all are the same, nothing was deleted, added, renamed or replaced. Where one is not, each
 * node is compared with the index; what the app added may stay. */
#ifndef TMPRUN_STORE_WATCH_H
#define TMPRUN_STORE_WATCH_H

#include <stdbool.h>

#include "image/index.h"

/* Write `watch` into the entry, making it complete. The tree must be finished, and when it is `in_use` already, all that the image
 * brought must still stand. 0, or -1. */
int watch_write(int entry_fd, const struct index *index, bool in_use);

/* Whether the entry is complete, and what the image brought as it was published. */
bool watch_holds(int entry_fd);

#endif
