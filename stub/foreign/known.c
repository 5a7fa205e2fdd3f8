#define _GNU_SOURCE
#include "foreign/known.h"

#include "base/fault.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/system.h"
#include "image/index.h"
#include "store/layout.h"
#include "store/roots.h"

#include <string.h>

/* Open what the disk cache has about the image: its descriptor, and whether that is an index or a bundle; or -1. */
static int open_known(const struct image *image, const struct environment *environment, bool *is_index)
{
	struct root cache;
	struct fault reason = {0};
	char identity[IDENTITY_SIZE], text[128];
	if (!roots_cache(&cache, environment))
		return -1;
	CLEANUP(close_fd) int fd = root_open(&cache, false, &reason);
	if (fd < 0)
		return -1;
	image_identity(&image->known_as, identity);
	ssize_t length = layout_read_known(fd, identity, text, sizeof text - 1);
	size_t digest = 2 * SHA256_SIZE;
	if (length <= (ssize_t)digest || strspn(text, "0123456789abcdef") != digest)
		return -1;
	text[length] = '\0';
	*is_index = strcmp(text + digest, ".index") == 0;
	return *is_index || strcmp(text + digest, ".bundle") == 0 ? layout_open_image(fd, text) : -1;
}

/* What the cache has may be stale, damaged or of another version: then it is made anew. */
static bool load_index(struct image *image, int known)
{
	struct fault reason = {0};
	CLEANUP(close_fd) int fd = known;
	if (image_load_index(image, fd, &reason) == 0)
		return true;
	index_free(&image->index);
	return false;
}

static bool load_bundle(struct image *image, int known)
{
	struct fault reason = {0};
	CLEANUP(image_close) struct image bundle = IMAGE_CLOSED;
	if (image_take(&bundle, known, &reason) < 0 || image_load_bundle(&bundle, &reason) != 1)
		return false;
	image_transcoded(image, &bundle);
	return true;
}

bool known_load(struct image *image, const struct environment *environment)
{
	bool is_index = false;
	int known = open_known(image, environment, &is_index);
	return known >= 0 && (is_index ? load_index(image, known) : load_bundle(image, known));
}
