/* What the disk cache knows about images that are no bundles (docs/store.md, "Layout"). All of it is best effort: where the cache
 * cannot be written, each start finds out again. */
#ifndef TMPRUN_FOREIGN_KNOWN_H
#define TMPRUN_FOREIGN_KNOWN_H

#include <limits.h>
#include <stdbool.h>

#include "base/environment.h"
#include "image/image.h"

/* Load the open image's index from there; false when nothing is known. */
bool known_load(struct image *image, const struct environment *environment);

/* The path of the bundle that the open file was converted into; false when there is none, or no good one. */
bool known_bundle(const struct image *image, const struct environment *environment, char path[PATH_MAX]);

/* Whether an image of this size is known, and this file not: then it may be a copy of it. */
bool known_size(const struct image *image, const struct environment *environment);

/* Load the index of the image with that SHA-256; false when there is no good one. */
bool known_load_digest(struct image *image, const uint8_t digest[SHA256_SIZE], const struct environment *environment);

/* Keep the index that is loaded. */
void known_keep(const struct image *image, const struct environment *environment);
/* From now on the image's identity leads to it: only for an image that is settled. */
void known_remember(const struct image *image, const struct environment *environment);

/* A note about an index that has digests, which says whatever follows from it alone: opened to be read, or -1; and kept. */
int known_note_open(const struct index *index, const char *ending, const struct environment *environment);
void known_note_keep(const struct index *index, const char *ending, const void *bytes, size_t size, const struct environment *environment);

#endif
