#define _GNU_SOURCE
#include "foreign/foreign.h"

#include "base/system.h"
#include "foreign/converted.h"
#include "foreign/deflate.h"
#include "foreign/digests.h"
#include "foreign/first.h"
#include "foreign/head.h"
#include "foreign/known.h"
#include "foreign/lasts.h"
#include "foreign/lz4.h"
#include "foreign/lzo.h"
#include "foreign/read.h"
#include "foreign/xz.h"
#include "image/codec.h"
#include "image/index.h"

#include <limits.h>
#include <string.h>

/* A copy of an image that is known, by its content. */
static bool load_as_copy(const struct reading *reading, struct image *image, const struct environment *environment)
{
	uint8_t digest[SHA256_SIZE];
	struct fault ignored = {0};
	return known_size(image, environment) && digests_whole(&reading->source, digest, &ignored) == 0 && image_unchanged(image) &&
	       known_load_digest(image, digest, environment);
}

/* `fault` says what is wrong with it for us; that stays where there is nobody to ask. */
static int convert_and_take(const struct request *request, struct image *image, struct fault *fault)
{
	char path[PATH_MAX];
	return converted_make(request, image, path, fault) < 0 ? -1 : converted_take(request, image, path, fault);
}

/* A squashfs that nobody made as an app: what is started of it is found as in an archive. The index is loaded. */
static bool is_no_app(const struct request *request, const struct image *image)
{
	bool starts = strcmp(request->verb, "run") == 0 || strcmp(request->verb, "build") == 0;
	return starts && index_child(&image->index, 0, "AppRun", strlen("AppRun")) == 0 && is_bare_squashfs(image->fd);
}

static int convert_loaded(const struct request *request, struct image *image, struct fault *fault)
{
	index_free(&image->index);
	BAD_IMAGE(fault, "is a squashfs without AppRun");
	return convert_and_take(request, image, fault);
}

/* All of the file is read and hashed, and of a large one that lasts. */
static int finish(const struct request *request, struct reading *reading, struct image *image, struct fault *fault)
{
	start_lasts(request, "reading");
	int result = reading_finish(reading, image, fault);
	start_lasts(request, NULL);
	return result;
}

static int read_and_keep(const struct request *request, struct image *image, struct fault *fault)
{
	CLEANUP(reading_free) struct reading reading;
	if (reading_begin(&reading, image, fault) < 0)
		return reading.head.other ? convert_and_take(request, image, fault) : -1;
	if (strcmp(request->verb, "run") == 0 && head_check_machine(&reading.head, fault) < 0)
		return -1;
	if (!load_as_copy(&reading, image, &request->environment)) {
		if (reading_tables(&reading, fault) < 0)
			return -1;
		if (first_may_go(request, image, &reading.made)) {
			first_mark(image, &reading.made);
			if (reading_load(&reading, image, fault) < 0)
				return -1;
			if (is_no_app(request, image))
				return convert_loaded(request, image, fault);
			if (first_goes(request, image))
				return 0;
			if (reading_hash_loaded(image, fault) < 0)
				return -1;
		} else if (finish(request, &reading, image, fault) < 0) {
			return -1;
		}
		known_keep(image, &request->environment);
	}
	if (image_is_settled(image, request->path))
		known_remember(image, &request->environment);
	return is_no_app(request, image) ? convert_loaded(request, image, fault) : 0;
}

int foreign_load(const struct request *request, struct image *image, struct fault *fault)
{
	char path[PATH_MAX];
	if (known_load(image, &request->environment))
		return is_no_app(request, image) ? convert_loaded(request, image, fault) : 0;
	if (known_bundle(image, &request->environment, path))
		return converted_take(request, image, path, fault);
	debug_log("nothing is known about this image yet: reading it", (char *)NULL);
	return read_and_keep(request, image, fault);
}

void foreign_codecs(void)
{
	codec_add(CODEC_ZLIB, &deflate_decoder);
	codec_add(CODEC_XZ, &xz_decoder);
	codec_add(CODEC_LZ4, &lz4_decoder);
	codec_add(CODEC_LZO, &lzo_decoder);
}
