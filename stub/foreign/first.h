/* The first start ever of an image goes before the image is hashed (docs/how-it-works.md). Until then the file itself stands for its
 * content: device, inode, size and times, looked at again after every read. */
#ifndef TMPRUN_FOREIGN_FIRST_H
#define TMPRUN_FOREIGN_FIRST_H

#include <stdbool.h>

#include "image/image.h"
#include "squashfs/raw_index.h"
#include "start/request.h"

/* Whether what `made`, which lacks the digests, says of the open image is enough to start it. */
bool first_may_go(const struct request *request, const struct image *image, const struct raw_index *made);

/* Mark the index as one without digests; its key is then that of this file alone. */
void first_mark(const struct image *image, struct raw_index *made);

/* The same when more is known: whether the image, whose index is loaded, will be filled while it runs. Its digests are then made
 * behind the app, and what is known goes into the disk cache. The request must outlive the filler's fork. */
bool first_goes(const struct request *request, struct image *image);

#endif
