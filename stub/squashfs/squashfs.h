/* Reads the tables of a squashfs 4.0 and makes an index of them; the data before them is not needed for that, but for the heads of
 * fragment blocks. What is held in memory meanwhile: the tables as they are stored (24 MiB at most) and decoded (24 MiB), 64 bytes for
 * each name (200,000 at most) and 52 for each block of data (262,144, and as many fragments), twice while a list grows, and the
 * index itself. */
#ifndef TMPRUN_SQUASHFS_SQUASHFS_H
#define TMPRUN_SQUASHFS_SQUASHFS_H

#include <stddef.h>
#include <stdint.h>

#include "base/fault.h"
#include "squashfs/source.h"
#include "squashfs/raw_index.h"

/* The index of the file system that begins at `start` in the image; `made` is the caller's. Its numbers are in range as index_load
 * checks it. */
int squashfs_read(struct source *source, uint64_t start, struct raw_index *made, struct fault *fault);

#endif
