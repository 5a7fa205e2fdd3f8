/* What reading an image makes: an index that lacks the digests, of the image and of its frames. */
#ifndef TMPRUN_SQUASHFS_TABLE_H
#define TMPRUN_SQUASHFS_TABLE_H

#include <stddef.h>

struct table {
	void *bytes;
	size_t size;
};

#endif
