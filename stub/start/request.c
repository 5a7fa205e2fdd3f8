#define _GNU_SOURCE
#include "start/request.h"

#include "base/text.h"
#include "start/limits.h"

#include <string.h>

int request_report(const struct request *request, const struct fault *fault)
{
	struct fault named = {.status = fault->status};
	size_t length = strlen(request->typed);
	bool cut = length > sizeof named.text / 2; /* what is wrong must not be lost behind a long path */
	join(named.text, sizeof named.text, cut ? "..." : "", request->typed + (cut ? length - sizeof named.text / 2 : 0), ": ",
	     fault->text, (char *)NULL);
	return fault_report(&named);
}

static int load_index(const struct request *request, struct image *image, struct fault *fault)
{
	if (request->index_fd >= 0)
		return image_load_index(image, request->index_fd, fault);
	int bundle = image_load_bundle(image, fault);
	return bundle == 0 ? request->foreign(request, image, fault) : bundle < 0 ? -1 : 0;
}

int request_load_opened(const struct request *request, struct image *image, struct fault *fault)
{
	const char *limits = environment_text(&request->environment, TMPRUN_LIMITS);
	if (load_index(request, image, fault) < 0)
		return -1;
	return request->force || (limits && strcmp(limits, "none") == 0) ? 0 : limits_check(image, fault);
}

int request_open(const struct request *request, struct image *image, struct fault *fault)
{
	char identity[IDENTITY_SIZE];
	if (request->image_fd < 0)
		return image_open(image, request->path, fault);
	if (image_take(image, request->image_fd, fault) < 0)
		return -1;
	image_identity(&image->stat, identity);
	if (!request->read_as || strcmp(request->read_as, identity) != 0)
		image->unsettled = true; /* what we were told of it may be of an earlier state */
	return 0;
}

int request_load(const struct request *request, struct image *image, struct fault *fault)
{
	return request_open(request, image, fault) < 0 ? -1 : request_load_opened(request, image, fault);
}
