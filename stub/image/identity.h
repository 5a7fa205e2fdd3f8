/* Which file an image is, by what the kernel says of it, without reading it (docs/store.md, "Layout"). */
#ifndef TMPRUN_IMAGE_IDENTITY_H
#define TMPRUN_IMAGE_IDENTITY_H

#include <stdbool.h>
#include <sys/stat.h>

/* Whether both are about one file that was not changed in between: device, inode, size, and both times. */
bool identity_same(const struct stat *left, const struct stat *right);
/* Whether the open file still is what it was `then`. */
bool identity_stands(int fd, const struct stat *then);

#endif
