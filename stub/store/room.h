/* Room for a new tree (docs/store.md, "Room"): a store's share, and idle entries that give way. */
#ifndef TMPRUN_STORE_ROOM_H
#define TMPRUN_STORE_ROOM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fault.h"
#include "image/index.h"
#include "store/layout.h"
#include "store/roots.h"

struct room {
	uint64_t bytes, inodes;
};

/* What a tree of that image takes: all of it, or, when files are filled as they are opened, what is there before, and the largest of the others. */
struct room room_of(const struct index *index, bool on_demand);

/* See to it that there is room in the root for the entry `key`, which the caller builds: 0; -1 with the reason. Where there is
 * none, entries that nobody uses are removed, those that were not used for the longest time first, unless all of them would
 * not be enough. With `all` the store has no share, but may take all there is. */
int room_make(const struct root *root, const struct shelves *shelves, const char *key, const struct room *room, bool all,
	      struct fault *fault);

#endif
