/* Whatever file it is given, image_load_bundle says no bundle, damaged, or loads an index whose SHA-256 the footer names; and
 * every frame that is then read decodes to its size or is refused. */
#define _GNU_SOURCE
#include "base/fault.h"
#include "image/codec.h"
#include "image/image.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void read_frames(const struct image *image)
{
	struct codec_state codec = {0};
	for (uint32_t f = 0; f < image->index.head->frames; f++) {
		struct fault fault = {0};
		void *plain = malloc(image->index.frames[f].plain);
		if (plain)
			codec_read(&codec, image->fd, image->base, &image->index.frames[f], plain, &fault);
		free(plain);
	}
	codec_free(&codec);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct fault fault = {0};
	struct image image = {.fd = memfd_create("bundle", MFD_CLOEXEC), .size = size};
	if (image.fd < 0 || write(image.fd, bytes, size) != (ssize_t)size)
		abort();
	if (image_load_bundle(&image, &fault) == 1)
		read_frames(&image);
	image_close(&image);
	return 0;
}
