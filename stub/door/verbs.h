/* What the front door does with an image besides running it: `tmprun @VERB`, for the Python command line (docs/cli.md). */
#ifndef TMPRUN_DOOR_VERBS_H
#define TMPRUN_DOOR_VERBS_H

#include <stdbool.h>

#include "image/image.h"
#include "start/request.h"

struct verb {
	const char *name;
	int (*act)(struct request *request); /* returns the exit status */
	bool without_image;
};

/* The verb of that name, without the `@`; or NULL. */
const struct verb *verb_find(const char *name);

/* Whether the directory `tree` is what the image says: struct request's `same`. */
bool same_tree(const struct request *request, const struct image *image, const char *tree);

#endif
