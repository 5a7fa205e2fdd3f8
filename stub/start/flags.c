#define _GNU_SOURCE
#include "start/flags.h"

#include "base/environment.h"
#include "base/file.h"
#include "base/system.h"
#include "base/text.h"
#include "image/image.h"
#include "start/extract.h"
#include "start/provide.h"
#include "start/version.h"
#include "store/entry.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char help[] = "This file is an app for Linux. It understands these as its first argument:\n"
			   "  --appimage-extract [PATTERN]  unpack into ./squashfs-root (only what matches, as 'usr/share/*')\n"
			   "  --appimage-extract-and-run    run it (what it does anyway)\n"
			   "  --appimage-list               list what is in it\n"
			   "  --appimage-mount              unpack it, print where, and keep it until interrupted\n"
			   "  --appimage-offset             print where the payload begins\n"
			   "  --appimage-portable-home      make a directory beside it to be its HOME; likewise\n"
			   "  --appimage-portable-config, -share and -cache\n"
			   "  --appimage-updateinformation  print the update information\n"
			   "  --appimage-signature          print the signature\n"
			   "  --appimage-version            print the version of what starts it\n"
			   "Environment: TMPRUN_STORE (where to unpack), TMPRUN_LOG=debug, TARGET_APPIMAGE, TMPDIR.\n";

static int make_portable(const struct request *request, const char *what, struct fault *fault)
{
	char path[PATH_MAX];
	if (!join(path, sizeof path, request->shown, ".", what, (char *)NULL))
		return FAILED(fault, "its path is too long");
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return FAILED(fault, "cannot make ", path, ": ", reason_text(errno));
	return print("Portable directory: ", fault) < 0 || print(path, fault) < 0 ? -1 : print("\n", fault);
}

static int print_offset(const struct request *request, struct fault *fault)
{
	CLEANUP(image_close) struct image image = IMAGE_CLOSED;
	char number[24];
	if (request_open(request, &image, fault) < 0)
		return -1;
	int bundle = image_load_bundle(&image, fault);
	if (bundle <= 0)
		return bundle < 0 ? -1 : request->tell(request, image.fd, "offset", fault);
	return print(decimal(number, image.base), fault) < 0 ? -1 : print("\n", fault);
}

/* The tree stays leased, and so in the store, as long as we live. */
static int mount(const struct request *request, struct fault *fault)
{
	CLEANUP(image_close) struct image image = IMAGE_CLOSED;
	CLEANUP(entry_release) struct entry entry = {.lease = -1, .tie = -1};
	if (provide(request, &image, &entry, fault) < 0)
		return -1;
	image_close(&image);
	if (print(entry.tree, fault) < 0 || print("\n", fault) < 0)
		return -1;
	for (;;)
		pause();
}

static int act(struct request *request, const char *flag, struct fault *fault)
{
	static const char portable[] = "portable-";
	if (strcmp(flag, "help") == 0)
		return print(help, fault);
	if (strcmp(flag, "version") == 0)
		return print("tmprun " TMPRUN_VERSION "\n", fault);
	if (strcmp(flag, "offset") == 0)
		return print_offset(request, fault);
	if (strcmp(flag, "mount") == 0)
		return mount(request, fault);
	if (strcmp(flag, "list") == 0)
		return extract_list(request, fault);
	if (strcmp(flag, "extract") == 0)
		return extract(request, "squashfs-root", request->count > 1 ? request->arguments + 1 : NULL, request->count - 1, fault);
	if (strcmp(flag, "updateinformation") == 0 || strcmp(flag, "updateinfo") == 0)
		return request->tell(request, -1, "updateinformation", fault);
	if (strcmp(flag, "signature") == 0)
		return request->tell(request, -1, "signature", fault);
	if (strncmp(flag, portable, sizeof portable - 1) == 0) {
		static const char *const kinds[] = {"home", "config", "share", "cache"};
		for (size_t i = 0; i < COUNT(kinds); i++)
			if (strcmp(flag + sizeof portable - 1, kinds[i]) == 0)
				return make_portable(request, kinds[i], fault);
	}
	return FAILED(fault, "unknown option --appimage-", flag, "; --appimage-help lists them");
}

bool flags_answer(struct request *request, int *status, struct fault *fault)
{
	static const char prefix[] = "--appimage-";
	request->extract_and_run = environment_text(&request->environment, APPIMAGE_EXTRACT_AND_RUN);
	if (request->count == 0 || strncmp(request->arguments[0], prefix, sizeof prefix - 1) != 0)
		return false;
	const char *flag = request->arguments[0] + sizeof prefix - 1;
	if (strcmp(flag, "extract-and-run") == 0) {
		request->extract_and_run = request->flag_taken = true;
		request->arguments++;
		request->count--;
		return false;
	}
	*status = 0;
	if (act(request, flag, fault) < 0 && strcmp(flag, "extract") == 0)
		fault->status = 1; /* what the type 2 runtime returns */
	return true;
}
