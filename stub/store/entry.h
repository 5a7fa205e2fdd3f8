/* Trees that are there already, and how one gets there (docs/store.md). */
#ifndef TMPRUN_STORE_ENTRY_H
#define TMPRUN_STORE_ENTRY_H

#include <limits.h>
#include <stdbool.h>

#include "base/fault.h"
#include "gate/gate.h"
#include "image/image.h"
#include "store/roots.h"

/* A published entry that we hold a lease on. */
struct entry {
	char tree[PATH_MAX]; /* absolute path of the AppDir */
	int lease;           /* shared lock; inherited by the app */
	bool bare;           /* the machine has nothing at the path of an interpreter that the image brings */
};

/* The entry that the file with this identity has in `root`: 1, or 0 when there is none that can be trusted. Reads nothing
 * of the image. */
int store_find(const struct root *root, const char *identity, struct entry *entry);

/* The entry for `image`, whose index is loaded: found by its key, or built, in the way that `mode` says. `source` is the
 * image's path, for people. */
int store_provide(const struct root *root, const struct image *image, const char *source, enum fill_mode mode, struct entry *entry,
		  struct fault *fault);

/* Take the entry out of the store, since it is damaged or of no use; releases it. With `identity`, also what is remembered
 * about the file that has it. */
void store_discard(struct entry *entry, const char *identity);

void entry_release(struct entry *entry);

#endif
