/* An image file: opened, identified, and its index found (in its own footer, or handed to us). */
#ifndef TMPRUN_IMAGE_IMAGE_H
#define TMPRUN_IMAGE_IMAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/fault.h"
#include "image/index.h"

struct image {
	int fd;
	uint64_t size;
	uint64_t base; /* where frame offsets count from */
	struct stat stat;
	struct stat known_as; /* the file that the user named: another one when this is its transcoded form */
	struct index index;
};

/* Room for DEV-INO-SIZE-MTIME-CTIME: five hex numbers of at most 16 digits. */
enum { IDENTITY_SIZE = 5 * 17 };

int image_open(struct image *image, const char *path, struct fault *fault);
void image_close(struct image *image);

/* The file's identity as docs/store.md has it. */
void image_identity(const struct stat *stat, char out[IDENTITY_SIZE]);
/* Whether the file could still change without its times showing it. */
bool image_too_fresh(const struct stat *stat);
/* Whether the file is still the one that was opened, unchanged. */
bool image_unchanged(const struct image *image);

/* Look for a bundle's footer: 1 and the index loaded, 0 when there is none, -1 when it is damaged. */
int image_load_bundle(struct image *image, struct fault *fault);
/* Take the foreign index in `fd`. */
int image_load_index(struct image *image, int fd, struct fault *fault);

#endif
