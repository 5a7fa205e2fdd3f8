#define _GNU_SOURCE
#include "start/start.h"

#include "base/fault.h"
#include "base/system.h"
#include "image/image.h"
#include "start/flags.h"
#include "start/launch.h"
#include "start/provide.h"
#include "store/entry.h"

static int run(const struct request *request, struct fault *fault)
{
	CLEANUP(image_close) struct image image = IMAGE_CLOSED;
	CLEANUP(entry_release) struct entry entry = {.lease = -1, .tie = -1};
	if (provide(request, &image, &entry, fault) < 0)
		return -1;
	char identity[IDENTITY_SIZE];
	image_identity(&image.stat, identity);
	image_close(&image);
	struct launch app = {.environment = &request->environment,
			     .image = request->shown,
			     .typed = request->typed,
			     .tree = entry.tree,
			     .lease = entry.lease,
			     .tie = entry.tie,
			     .bare = entry.bare,
			     .arguments = request->arguments,
			     .count = request->count,
			     .judge = request->judge};
	launch(&app, fault);
	if (fault->kind == FAULT_IMAGE)
		entry_discard(&entry, identity); /* it cannot run here: keep nothing of it */
	return -1;
}

int start(struct request *request)
{
	struct fault fault = {0};
	int status = EXIT_FAILED;
	if (flags_answer(request, &status, &fault))
		return fault.kind == FAULT_NONE ? status : request_report(request, &fault);
	run(request, &fault);
	return request_report(request, &fault);
}
