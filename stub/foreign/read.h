/* An AppImage that nobody knows yet, from its first byte to an index. */
#ifndef TMPRUN_FOREIGN_READ_H
#define TMPRUN_FOREIGN_READ_H

#include "foreign/head.h"
#include "image/image.h"
#include "squashfs/squashfs.h"

/* Read and hash the whole open image, and load its index. The image is what it was at the first look when this returns 0. */
int read_foreign(struct image *image, struct fault *fault);

/* Its parts. */
struct reading {
	struct source source; /* of the open image */
	struct head head;
	struct raw_index made;
	uint64_t begun_at, tables_at; /* now_us(): when its tables were begun with, and done */
};

/* The head: whether it is an image at all, and for which machine. */
int reading_begin(struct reading *reading, const struct image *image, struct fault *fault);
/* The tables. */
int reading_tables(struct reading *reading, struct fault *fault);
/* The digests, and the index. */
int reading_finish(struct reading *reading, struct image *image, struct fault *fault);
/* The index alone, of one that was marked by first_mark. */
int reading_load(struct reading *reading, struct image *image, struct fault *fault);
/* An index that was loaded so gets its digests. */
int reading_hash_loaded(struct image *image, struct fault *fault);
void reading_free(struct reading *reading);

#endif
