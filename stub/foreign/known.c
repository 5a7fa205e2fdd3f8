#define _GNU_SOURCE
#include "foreign/known.h"

#include "base/fault.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/system.h"
#include "image/index.h"
#include "store/layout.h"
#include "store/roots.h"

#include <fcntl.h>
#include <string.h>

/* The disk cache's record of the image: 1 with its path in `out`, else 0. */
static int known_as(const struct image *image, const struct environment *environment, char out[PATH_MAX])
{
	struct root cache;
	struct fault reason = {0};
	char identity[IDENTITY_SIZE], text[128];
	if (!roots_cache(&cache, environment))
		return 0;
	CLEANUP(close_fd) int fd = root_open(&cache, false, &reason);
	if (fd < 0)
		return 0;
	image_identity(&image->known_as, identity);
	ssize_t length = layout_read_known(fd, identity, text, sizeof text - 1);
	size_t digest = 2 * SHA256_SIZE;
	if (length <= (ssize_t)digest || strspn(text, "0123456789abcdef") != digest)
		return 0;
	text[length] = '\0';
	if (strcmp(text + digest, ".index") != 0 && strcmp(text + digest, ".bundle") != 0)
		return 0;
	return layout_image(cache.path, text, out);
}

/* What the cache has may be stale, damaged or of another version: then it is made anew. */
static bool load_known(struct image *image, const char *path)
{
	struct fault reason = {0};
	size_t length = strlen(path);
	if (strcmp(path + length - 6, ".index") == 0) {
		CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		if (fd >= 0 && image_load_index(image, fd, &reason) == 0)
			return true;
		index_free(&image->index);
		return false;
	}
	struct image bundle;
	if (image_open(&bundle, path, &reason) < 0)
		return false;
	if (image_load_bundle(&bundle, &reason) != 1) {
		image_close(&bundle);
		return false;
	}
	bundle.known_as = image->known_as;
	image_close(image);
	*image = bundle;
	return true;
}

bool known_load(struct image *image, const struct environment *environment)
{
	char path[PATH_MAX];
	return known_as(image, environment, path) && load_known(image, path);
}
