/* Retargeting: programs whose interpreter this machine lacks get the one that the image brings (docs/elf.md).
 *
 * What to change stands in the index. Each change is checked against the file's own bytes, and made in the private copy before
 * anybody can see it; where something is not as the index says, the file stays as it was. */
#ifndef TMPRUN_TREE_RETARGET_H
#define TMPRUN_TREE_RETARGET_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/sha256.h"
#include "image/index.h"

struct retarget {
	const struct index *index;
	uint32_t lacking;    /* a bit an interpreter: nothing on this machine will do in its place */
	char tree[PATH_MAX]; /* where the tree will be, or is */
};

/* Look which of the index's interpreters this machine lacks, and where in `root` the tree for such a machine belongs: its
 * entry's name goes to `key`. Programs carry the tree's absolute path, so there is one tree for each such path. */
void retarget_plan(struct retarget *retarget, const struct index *index, const char *root, char key[2 * SHA256_SIZE + 1]);

/* The file is whole, and open to read and write: change what must be changed. 0, or -1 with errno. */
int retarget_file(const struct retarget *retarget, uint32_t number, int fd);
/* Whether that file is one of those. */
bool retarget_concerns(const struct retarget *retarget, uint32_t number);
/* The other target of a symlink, with its length, or NULL when it keeps its own. */
const char *retarget_link(const struct retarget *retarget, uint32_t number, uint32_t *length);

/* Whether the `length` bytes at `at` of the retargeted file behind `fd` come from these of the image; and its size. */
bool retarget_made(const struct retarget *retarget, uint32_t number, int fd, uint64_t at, const uint8_t *bytes, uint32_t length);
uint64_t retarget_size(const struct retarget *retarget, uint32_t number);

/* What this machine's interpreters are, as lines "\nCTIME PATH"; "" when the index names none. */
enum { STAMPS_SIZE = INTERPRETERS_MAX * (MAX_INTERPRETER + 24) + PATH_MAX };
void retarget_stamp(const struct index *index, char out[STAMPS_SIZE]);
/* The same for a tree in which something was changed: it is of no use where it has another path. */
void retarget_stamp_tree(const struct retarget *retarget, char stamps[STAMPS_SIZE]);
/* Whether they still are; cuts the text up. */
bool retarget_stamps_hold(char *stamps);
/* Whether there was none at some of the paths. */
bool retarget_stamps_lack(const char *stamps);

#endif
