#define _GNU_SOURCE
#include "door/verbs.h"

#include "base/fault.h"
#include "base/file.h"
#include "base/system.h"
#include "base/text.h"
#include "door/judge.h"
#include "door/serve.h"
#include "door/verify.h"
#include "foreign/read.h"
#include "start/extract.h"
#include "start/provide.h"
#include "start/start.h"
#include "store/entry.h"
#include "store/roots.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool same_tree(const struct request *request, const struct image *image, const char *tree)
{
	struct fault ignored = {0};
	return verify_tree(request, image, tree, true, &ignored) == 0;
}

static int verb_build(struct request *request)
{
	struct fault fault = {0};
	CLEANUP(image_close) struct image image = IMAGE_CLOSED;
	CLEANUP(entry_release) struct entry entry = {.lease = -1, .tie = -1};
	request->fill = "eager"; /* nobody runs in it yet: of a tree that is filled on demand nothing would stay */
	if (provide(request, &image, &entry, &fault) < 0)
		return request_report(request, &fault);
	size_t length = strlen(entry.tree);
	entry.tree[length] = '\n';
	return write(STDOUT_FILENO, entry.tree, length + 1) < 0 ? EXIT_FAILED : 0;
}

static int verb_extract(struct request *request)
{
	struct fault fault = {0};
	const char *directory = request->directory ? request->directory : "squashfs-root";
	return extract(request, directory, request->arguments, request->count, &fault) < 0 ? request_report(request, &fault) : 0;
}

static int verb_verify(struct request *request)
{
	struct fault fault = {0};
	CLEANUP(image_close) struct image image = IMAGE_CLOSED;
	int differences = request_load(request, &image, &fault);
	if (differences == 0)
		differences = verify_tree(request, &image, request->directory ? request->directory : ".", false, &fault);
	return differences < 0 ? request_report(request, &fault) : differences > 0;
}

/* Of a directory that holds AppRun and what leads to it. */
static int verb_judge(struct request *request)
{
	struct fault fault = {0}, ignored = {0};
	if (judge_apprun(&request->environment, request->directory ? request->directory : ".", &fault) == 0)
		return 0;
	return print(fault.text, &ignored) < 0 ? EXIT_FAILED : 1;
}

/* Of an image that is no bundle always as it is, never as it is remembered. */
static int verb_index(struct request *request)
{
	struct fault fault = {0};
	CLEANUP(image_close) struct image image = IMAGE_CLOSED;
	if (request_open(request, &image, &fault) < 0)
		return request_report(request, &fault);
	int bundle = image_load_bundle(&image, &fault);
	if (bundle < 0 || (bundle == 0 && read_foreign(&image, &fault) < 0) || print_bytes(image.index.bytes, image.index.size, &fault) < 0)
		return request_report(request, &fault);
	return 0;
}

static int verb_roots(struct request *request)
{
	struct roots roots;
	roots_list(&roots, &request->environment, request->store, request->extract_and_run);
	for (unsigned i = 0; i < roots.count; i++) {
		const struct root *root = &roots.list[i];
		struct fault reason = {0};
		struct stat before;
		bool made = lstat(root->path, &before) < 0;
		CLEANUP(close_fd) int fd = root_open(root, true, &reason);
		bool fine = fd >= 0 && root_has_room(root, fd, 0, 0, &reason) == 0;
		const char *kind = fd < 0 ? "" : root_is_tmpfs(fd) ? "tmpfs" : "disk";
		char line[PATH_MAX + sizeof reason.text + 32];
		join(line, sizeof line, root->path, "\t", kind, "\t", fine ? "ok" : "refused", "\t", reason.text, "\n", (char *)NULL);
		if (made && !fine)
			rmdir(root->path); /* of no use to anybody */
		if (write(STDOUT_FILENO, line, strlen(line)) < 0)
			return EXIT_FAILED;
	}
	return 0;
}

/* clang-format off */
static const struct verb verbs[] = {
	{"run", start, false},
	{"index", verb_index, false},
	{"read", serve, false},
	{"build", verb_build, false},
	{"extract", verb_extract, false},
	{"verify", verb_verify, false},
	{"roots", verb_roots, true},
	{"judge", verb_judge, true},
};
/* clang-format on */

const struct verb *verb_find(const char *name)
{
	for (size_t i = 0; i < COUNT(verbs); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}
