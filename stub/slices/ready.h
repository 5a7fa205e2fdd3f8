/* A slice whose tree the store has: what must be known of it stands there, and its file is not read. */
#ifndef TMPRUN_SLICES_READY_H
#define TMPRUN_SLICES_READY_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "image/image.h"
#include "store/entry.h"

struct ready {
	struct entry entry;    /* leased; its lease is -1 when there is none */
	uint32_t version;      /* of its glibc, major << 16 | minor */
	char loader[PATH_MAX]; /* absolute */
};

#define READY_NONE ((struct ready){.entry = {.lease = -1, .tie = -1}})

/* The tree of the slice, whose file is open: false when there is none that can be trusted. Release it with ready_release. */
bool ready_find(const struct roots *roots, const struct image *slice, struct ready *ready);
void ready_release(struct ready *ready);

/* What an entry keeps of its own slice in its file `slice`, for a loader at that path in the tree. */
enum { READY_NOTES = 2 * PATH_MAX };
bool ready_note(const struct index *slice, char notes[READY_NOTES]);

#endif
