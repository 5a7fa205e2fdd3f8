#define _GNU_SOURCE
#include "start/request.h"

#include "base/text.h"

#include <string.h>
#include <sys/stat.h>

int request_report(const struct request *request, const struct fault *fault)
{
	struct fault named = {.status = fault->status};
	size_t length = strlen(request->typed);
	bool cut = length > sizeof named.text / 2; /* what is wrong must not be lost behind a long path */
	join(named.text, sizeof named.text, cut ? "..." : "", request->typed + (cut ? length - sizeof named.text / 2 : 0), ": ",
	     fault->text, (char *)NULL);
	return fault_report(&named);
}

static int load(const struct request *request, struct image *image, struct fault *fault)
{
	if (request->index_fd >= 0)
		return image_load_index(image, request->index_fd, fault);
	int bundle = image_load_bundle(image, fault);
	return bundle == 0 ? request->foreign(request, image, fault) : bundle < 0 ? -1 : 0;
}

int request_load_opened(const struct request *request, struct image *image, struct fault *fault)
{
	if (request->frames) {
		struct stat named = image->stat;
		image_close(image);
		if (image_open(image, request->frames, fault) < 0)
			return -1;
		image->known_as = named;
	}
	return load(request, image, fault);
}

int request_load(const struct request *request, struct image *image, struct fault *fault)
{
	return image_open(image, request->path, fault) < 0 ? -1 : request_load_opened(request, image, fault);
}
