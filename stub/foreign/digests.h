/* One pass over an image: the SHA-256 of the whole file and of each frame, from the same bytes.
 *
 * The file is read once, from its start to its end, into buffers; one thread hashes the frames in them, another the whole. So what
 * the frames' digests describe is what the file's digest describes, whoever writes to the file meanwhile. What was read before, to
 * make sense of the file, is compared with the pass's bytes, too.
 */
#ifndef TMPRUN_FOREIGN_DIGESTS_H
#define TMPRUN_FOREIGN_DIGESTS_H

#include "base/sha256.h"
#include "squashfs/squashfs.h"

/* Put the digests that it lacks into the index of the image open as `source->fd`. The index is sound, and the source may hold what it
 * was made of, or nothing. Can be done at any time; whether the image is still the file that it was is for the caller to ask
 * afterwards. */
int digests_add(const struct source *source, struct raw_index *made, struct fault *fault);

/* The SHA-256 of the whole file, and nothing else about it. */
int digests_whole(const struct source *source, uint8_t digest[SHA256_SIZE], struct fault *fault);

#endif
