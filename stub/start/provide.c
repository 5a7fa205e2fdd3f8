#define _GNU_SOURCE
#include "start/provide.h"

#include "base/environment.h"
#include "base/system.h"
#include "base/text.h"
#include "gate/mode.h"
#include "start/build.h"
#include "start/file_limit.h"
#include "store/roots.h"

#include <string.h>
#include <sys/stat.h>

/* `image` is open: a tree that this user may still read is no reason to run an image that he may not. */
static int find_warm(const struct image *image, const struct roots *roots, struct entry *entry)
{
	char identity[IDENTITY_SIZE];
	image_identity(&image->stat, identity);
	for (unsigned i = 0; i < roots->count; i++)
		if (entry_find(&roots->list[i], identity, entry))
			return 1;
	return 0;
}

/* The first root that can and does take the tree; when none does, all their reasons. */
static int build_in(const struct roots *roots, const struct request *request, const struct image *image, struct manner manner,
		    struct entry *entry, struct fault *fault)
{
	char tried[sizeof fault->text] = "";
	for (unsigned i = 0; i < roots->count; i++) {
		const struct root *root = &roots->list[i];
		struct fault reason = {0};
		if (build_provide(request, root, image, manner, entry, &reason) == 0)
			return 0;
		if (reason.kind != FAULT_STORE) {
			*fault = reason;
			return -1;
		}
		debug_log(root->path, ": ", reason.text, (char *)NULL);
		size_t used = strlen(tried);
		join(tried + used, sizeof tried - used, used ? ", " : "", root->path, ": ", reason.text, (char *)NULL);
	}
	return BAD_STORE(fault,
			 "nowhere to unpack it; set TMPRUN_STORE to a directory with room, or TMPRUN_FILL=demand to do with "
			 "what it opens; tried ",
			 tried);
}

/* Within a store's share if any root has it, else wherever there is room at all. (Not on demand unless that is asked for: an app
 * that opens more than there is room for would be ended at its work, and not refused at its start.) */
static int build_somewhere(const struct request *request, const struct roots *roots, const struct image *image, enum fill_mode mode,
			   bool anew, struct entry *entry, struct fault *fault)
{
	struct manner manner = {.mode = mode, .anew = anew};
	if (build_in(roots, request, image, manner, entry, fault) == 0)
		return 0;
	if (fault->kind != FAULT_STORE)
		return -1;
	*fault = (struct fault){0};
	manner.all = true;
	return build_in(roots, request, image, manner, entry, fault);
}

/* libc slices are the front door's. */
#ifdef TMPRUN_SMALL
#define holds_slice(request, image, entry) true
#define find_slice(request, image, fault) 0
#else
static bool holds_slice(const struct request *request, const struct image *image, const struct entry *entry)
{
	return request->hold(request, image, entry->tree);
}

static int find_slice(const struct request *request, struct image *image, struct fault *fault)
{
	return request->slice(request, image, fault);
}
#endif

int provide(const struct request *request, struct image *image, struct entry *entry, struct fault *fault)
{
	/* Also when nothing has to be filled: a mistake in a script shows at its first start, not after the next reboot. */
	int mode = gate_mode(request->fill ? request->fill : request->environment.values[TMPRUN_FILL]);
	if (mode < 0)
		return FAILED(fault, "unknown way to fill it; TMPRUN_FILL and --fill know auto, eager, background and demand");
	/* A list is large, and the caller may have a small stack. */
	CLEANUP(free_pointer) struct roots *roots = zeroed(1, sizeof *roots);
	if (!roots)
		return FAILED(fault, "no memory");
	roots_list(roots, &request->environment, request->store, request->extract_and_run);
	if (request_open(request, image, fault) < 0)
		return -1;
	if (!request->verify && find_warm(image, roots, entry)) {
		if (holds_slice(request, image, entry))
			return 0;
		entry_release(entry);
	}
	if (request_load_opened(request, image, fault) < 0 || find_slice(request, image, fault) < 0)
		return -1;
	/* What somebody has set for all apps is no word about one that opens files without waiting. */
	if (!request->fill && mode == FILL_BACKGROUND && image->index.head->flags & INDEX_AT_ONCE)
		mode = FILL_AUTO;
	struct file_limit limit;
	if (file_limit_lift(&limit, &image->index, fault) < 0)
		return -1;
	/* What we make has the modes that we say, whatever the caller's mask; the app gets the caller's back. */
	mode_t mask = umask(0);
	int result = build_somewhere(request, roots, image, (enum fill_mode)mode, false, entry, fault);
	if (result == 0 && request->verify && !request->same(request, image, entry->tree)) {
		entry_discard(entry, NULL);
		result = build_somewhere(request, roots, image, (enum fill_mode)mode, true, entry, fault);
	}
	umask(mask);
	file_limit_put_back(&limit);
	return result;
}
