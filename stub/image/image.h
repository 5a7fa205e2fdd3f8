/* An image file: opened, identified, and its index found (in its own footer, or handed to us). */
#ifndef TMPRUN_IMAGE_IMAGE_H
#define TMPRUN_IMAGE_IMAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fault.h"
#include "image/index.h"

struct codec_state;
struct sliced;

struct image {
	int fd;
	uint64_t size;
	uint64_t base; /* where frame offsets count from */
	struct stat stat;     /* what the file was at the first look */
	bool unsettled;       /* it may change, or has, without that showing it: nothing is to be remembered of it */
	struct index index;
	/* Where digests are made behind the app: called by whoever has filled the tree, with the entry's directory and the file of the
	 * start's trace. */
	void (*behind)(const struct image *image, int entry_fd, const char *trace);
#ifndef TMPRUN_SMALL
	struct sliced *sliced; /* what a libc slice changes about its tree (tree/retarget.h), or NULL */
#endif
};

#define IMAGE_CLOSED ((struct image){.fd = -1})

/* Room for DEV-INO-SIZE-MTIME-CTIME: five hex numbers of at most 16 digits. */
enum { IDENTITY_SIZE = 5 * 17 };

/* Open the image at `path`; or take the open file `fd`, which is closed with the image, or at once when it is none. From here on
 * the file is this descriptor, and its name is not resolved again. */
int image_open(struct image *image, const char *path, struct fault *fault);
int image_take(struct image *image, int fd, struct fault *fault);
void image_close(struct image *image);

/* The file's identity as docs/store.md has it. */
void image_identity(const struct stat *stat, char out[IDENTITY_SIZE]);
/* Whether the file could still change without its times showing it (docs/store.md, "Layout"). */
bool image_too_fresh(const struct stat *stat, struct timespec now);
/* Whether its frames have digests (docs/format.md); and tell who decodes them, and what must do if not. */
bool image_is_hashed(const struct image *image);
void image_prepare(const struct image *image, struct codec_state *codec);
/* Whether the open file is still what it was at the first look. */
bool image_unchanged(const struct image *image);
/* Whether something may be remembered of the file, which `path` led to: it is still what it was at the first look, and so is what
 * `path` leads to. */
bool image_is_settled(const struct image *image, const char *path);

/* Look for a bundle's footer: 1 and the index loaded, 0 when there is none, -1 when it is damaged. */
int image_load_bundle(struct image *image, struct fault *fault);
/* Take the foreign index in `fd`. */
int image_load_index(struct image *image, int fd, struct fault *fault);

#endif
