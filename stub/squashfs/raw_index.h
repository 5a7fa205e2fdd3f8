/* What reading an image makes: the bytes of an index, which nobody has loaded yet. It lacks the digests of the image and of its frames. */
#ifndef TMPRUN_SQUASHFS_RAW_INDEX_H
#define TMPRUN_SQUASHFS_RAW_INDEX_H

#include <stddef.h>

struct raw_index {
	void *bytes;
	size_t size;
};

#endif
