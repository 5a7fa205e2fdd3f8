/* A slice's own tree: two of its files have paths of the tree in them, and get them when it is unpacked (docs/libc.md). */
#ifndef TMPRUN_SLICES_OWN_H
#define TMPRUN_SLICES_OWN_H

#include <stdbool.h>

#include "image/image.h"
#include "tree/retarget.h"

/* The list of libraries in a slice, and the cache that is made of it. */
#define OWN_CACHE "ld.so.cache"
enum { OWN_ROOM = 4096 /* at the end of the loader, for the path of its cache */ };

/* Whether the loaded index is a slice's: then its loader is the node of its first interpreter. */
bool own_is_slice(const struct index *index);

/* What unpacking the image, a slice whose index is loaded, takes: NULL when it is damaged. */
struct sliced *own_make(const struct image *image, struct fault *fault);
void own_free(struct sliced *sliced);

/* What such a file is to have in the tree instead of the image's bytes: for OWN_CACHE all of it, for the loader its last OWN_ROOM
 * bytes. Its size, and `*bytes` to be freed; 0 for every other file, or without memory. */
size_t own_content(const struct retarget *retarget, uint32_t number, uint8_t **bytes);

#endif
