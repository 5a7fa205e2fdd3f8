/* Going along a path in an image's tree, through symlinks while they stay in the tree (tmprun/index/walk.py has the same). */
#ifndef TMPRUN_IMAGE_WALK_H
#define TMPRUN_IMAGE_WALK_H

#include <stddef.h>
#include <stdint.h>

#include "image/index.h"

#define NOT_FOUND UINT32_MAX

enum { MAX_LINKS = 40 /* as many as the kernel follows */ };

struct trail {
	const struct index *index;
	unsigned links;
	void (*passed)(void *context, uint32_t link); /* told of each link that is followed */
	void *context;
};

/* The node that a symlink leads to; NOT_FOUND when there is none. */
uint32_t walk_link(struct trail *trail, uint32_t link);

/* The node that `path`, `length` bytes, leads to from `directory` on; of a hard link the file. NOT_FOUND when there is none. */
uint32_t walk_to(const struct index *index, uint32_t directory, const char *path, size_t length);

#endif
