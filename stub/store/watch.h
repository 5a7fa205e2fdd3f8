/* The list of what a warm start looks at: each directory of a tree, and its AppRun, with the ctime that it had when the tree
 * was published. Nobody can set a ctime: where all are the same, nothing was deleted, added, renamed or replaced. */
#ifndef TMPRUN_STORE_WATCH_H
#define TMPRUN_STORE_WATCH_H

#include <stdbool.h>

#include "image/index.h"

/* Write `watch` into the entry, making it complete. The tree must be finished. 0, or -1 with errno. */
int watch_write(int entry_fd, const struct index *index);

/* Whether the entry is complete and its tree as it was published. */
bool watch_holds(int entry_fd);

#endif
