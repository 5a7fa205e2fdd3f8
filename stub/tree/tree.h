/* The confined sink: makes an index's nodes below one directory, and never anywhere else.
 *
 * Every object is made by its single name in the directory that the index says, whose descriptor is opened from the root
 * without following any symlink; files with O_EXCL. So neither a symlink of the image nor one planted in advance can lead out. */
#ifndef TMPRUN_TREE_TREE_H
#define TMPRUN_TREE_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/fault.h"
#include "image/index.h"
#include "tree/retarget.h"

struct tree {
	const struct index *index;
	int root;              /* the directory that is node 0 */
	bool sealed;           /* the store's way: programs and libraries without write bits, and we can always get at it */
	bool merge;            /* replace what is already there (extraction over an older one) */
	bool root_stays;       /* the root is the user's own directory: its mode and time are not ours to set */
	const uint8_t *wanted; /* a flag a node: make only these; NULL: all */
	const struct retarget *retarget; /* the interpreters that this machine lacks; NULL: none */
};

/* The directory that a thread is in: most neighbours in an index share one. Start with {0, -1}. */
struct place {
	uint32_t directory;
	int fd;
};
#define NOWHERE ((struct place){.fd = -1})

static inline bool tree_wants(const struct tree *tree, uint32_t number)
{
	return !tree->wanted || tree->wanted[number];
}

/* The mode that the node gets. An ELF program (NODE_FIRST) in a sealed tree has no write bit, besides. */
enum { NO_WRITE = 0555 };
mode_t tree_mode(const struct tree *tree, const struct node *node);

/* Descriptor of directory node `number`, owned by `place`; -1 on failure. */
int tree_go(const struct tree *tree, struct place *place, uint32_t number, struct fault *fault);
void place_leave(struct place *place);

int tree_make_directory(const struct tree *tree, struct place *place, uint32_t number, struct fault *fault);
int tree_make_directories(const struct tree *tree, struct fault *fault);
int tree_make_symlink(const struct tree *tree, struct place *place, uint32_t number, struct fault *fault);
int tree_make_hard_links(const struct tree *tree, struct fault *fault);
/* A new, empty, writable file for the node; `finished` when its content will come through this descriptor alone. */
int tree_make_file(const struct tree *tree, struct place *place, uint32_t number, bool finished, struct fault *fault);
/* The file of the node, made before, to write to. */
int tree_open_file(const struct tree *tree, struct place *place, uint32_t number, struct fault *fault);
/* The file has its content: give it its mode (unless it was made `finished`) and its time. */
int tree_finish_file(const struct tree *tree, uint32_t number, int fd, bool finished, struct fault *fault);
/* Everything in it is there: give the directory its mode and time. */
int tree_finish_directory(const struct tree *tree, struct place *place, uint32_t number, struct fault *fault);
/* The same for all, deepest first. */
int tree_finish_directories(const struct tree *tree, struct fault *fault);

#endif
