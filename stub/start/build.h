/* How a tree gets into a store (docs/store.md, "A start"): locked, built in the stage, published by a rename. */
#ifndef TMPRUN_START_BUILD_H
#define TMPRUN_START_BUILD_H

#include "base/fault.h"
#include "gate/mode.h"
#include "image/image.h"
#include "start/request.h"
#include "store/entry.h"
#include "store/roots.h"

/* How a tree is to be made. */
struct manner {
	enum fill_mode mode;
	bool anew; /* what is there is not to be used, though it looks whole */
	bool all; /* it may have all the room there is, and not only a store's share */
};

/* The entry for `image`, the request's, whose index is loaded: found in `root` by its key, or built there, in that
 * manner. */
int build_provide(const struct request *request, const struct root *root, const struct image *image, struct manner manner,
		  struct entry *entry, struct fault *fault);

#endif
