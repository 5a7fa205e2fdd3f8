/* Reading parts of an image's files, to find out what kind they are: the tree's filler reads everything else. */
#ifndef TMPRUN_FOREIGN_FILES_H
#define TMPRUN_FOREIGN_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "image/codec.h"
#include "image/index.h"

enum { FILES_KEPT = 4 };

struct files {
	int fd;
	uint64_t base; /* where frame offsets count from */
	const struct index *index;
	struct codec_state codec;
	/* The frames that were decoded last: what is looked at lies close together. */
	struct kept {
		uint32_t frame;
		uint8_t *plain; /* NULL: none */
	} kept[FILES_KEPT];
	unsigned oldest;
	void *scratch; /* of whoever looks at many files one after the other: kept from one to the next, NULL to begin with */
};

/* The file's bytes from `offset` on, `size` of them or what there is: how many, or -1 when the image is damaged there. */
ssize_t files_read(struct files *files, const struct node *file, uint64_t offset, void *out, size_t size);
/* All of them; false when the file has not got so many, or is damaged. */
bool files_read_part(struct files *files, const struct node *file, uint64_t offset, void *out, uint64_t size);
void files_free(struct files *files);

#endif
