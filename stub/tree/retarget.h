/* Retargeting: programs whose interpreter this machine lacks get the one that the image brings (docs/elf.md).
 *
 * What to change stands in the index. Each change is checked against the file's own bytes, and made in the private copy before
 * anybody can see it; where something is not as the index says, the file stays as it was. */
#ifndef TMPRUN_TREE_RETARGET_H
#define TMPRUN_TREE_RETARGET_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sha256.h"
#include "image/image.h"
#include "image/index.h"
#include "tree/interpreters.h"

struct retarget;

/* What a libc slice changes (slices/, docs/libc.md). The stub knows none. */
struct sliced {
	struct index index;    /* of an app: the image's, with other fixups */
	uint32_t first;        /* programs that ask for this one of its interpreters, or a later one, get: */
	char loader[PATH_MAX]; /* the slice's, absolute */
	char notes[2 * PATH_MAX]; /* what the entry keeps in its file `slice`: the slice's tree, its file */
	/* Of a slice itself: the list of its libraries, and what gives a file of it, which is whole and open to read and write, its own
	 * content. 0, or -1 with errno. */
	char *list;
	int (*finish)(const struct retarget *retarget, uint32_t number, int fd);
};

struct retarget {
	const struct index *index;
	uint32_t lacking;    /* a bit an interpreter: nothing on this machine will do in its place */
	char tree[PATH_MAX]; /* where the tree will be, or is */
#ifndef TMPRUN_SMALL
	const struct sliced *sliced; /* or NULL */
#endif
};

/* The index that says how the tree of the image is changed: its own, but where a slice helps. */
static inline const struct index *retarget_index(const struct image *image)
{
#ifndef TMPRUN_SMALL
	if (image->sliced && image->sliced->index.bytes)
		return &image->sliced->index;
#endif
	return &image->index;
}

/* Look which of the image's interpreters this machine lacks, and what the entry for such a machine is called in `root`: its name
 * goes to `key`. Programs carry the tree's absolute path, so there is one tree for each such path. `tree` is for the caller to
 * fill in. */
void retarget_plan(struct retarget *retarget, const struct image *image, const char *root, char key[2 * SHA256_SIZE + 1]);

/* The file is whole, and open to read and write: change what must be changed. 0, or -1 with errno. */
int retarget_file(const struct retarget *retarget, uint32_t number, int fd);
/* The other target of a symlink, with its length, or NULL when it keeps its own. */
const char *retarget_link(const struct retarget *retarget, uint32_t number, uint32_t *length);

/* The fixup of that file, when its interpreter is lacking here; or NULL. */
const struct fixup *retarget_find(const struct retarget *retarget, uint32_t number);
/* Path of the image's own interpreter for it; its length with the NUL, or 0 when it is too long. */
size_t retarget_path(const struct retarget *retarget, const struct fixup *fixup, char out[PATH_MAX]);

/* A line for the tree in which something was changed: it is of no use where it has another path. */
void retarget_stamp(const struct retarget *retarget, char stamps[STAMPS_SIZE]);

#endif
