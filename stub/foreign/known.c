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

/* Open the index that the disk cache has of the image; or -1. */
static int open_known(const struct image *image, const struct environment *environment)
{
	struct root cache;
	struct fault reason = {0};
	char identity[IDENTITY_SIZE], text[128];
	if (!roots_cache(&cache, environment))
		return -1;
	CLEANUP(close_fd) int fd = root_open(&cache, false, &reason);
	if (fd < 0)
		return -1;
	image_identity(&image->stat, identity);
	ssize_t length = layout_read_known(fd, identity, text, sizeof text - 1);
	size_t digest = 2 * SHA256_SIZE;
	if (length <= (ssize_t)digest || strspn(text, "0123456789abcdef") != digest)
		return -1;
	text[length] = '\0';
	return strcmp(text + digest, ".index") == 0 ? layout_open_image(fd, text) : -1;
}

bool known_load(struct image *image, const struct environment *environment)
{
	struct fault reason = {0};
	CLEANUP(close_fd) int known = open_known(image, environment);
	if (known >= 0 && image_load_index(image, known, &reason) == 0)
		return true;
	index_free(&image->index); /* what the cache has may be stale, damaged or of another version: then it is made anew */
	return false;
}
