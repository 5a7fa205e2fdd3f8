/* One start of one image, as the stub and the front door both do it: the story of docs/store.md, "A start". */
#ifndef TMPRUN_START_START_H
#define TMPRUN_START_START_H

#include <limits.h>
#include <stdbool.h>

#include "base/fault.h"
#include "image/image.h"
#include "store/entry.h"

struct request {
	const char *typed;     /* the image as the user named it, for messages and ARGV0 */
	const char *path;      /* what to open */
	char shown[PATH_MAX];  /* its absolute path: APPIMAGE */
	char **arguments;      /* the app's, behind argv[0] */
	int count;
	int index_fd;          /* a foreign image's index, or -1 */
	const char *frames;    /* the file that the frames lie in, when it is another one; or NULL */
	const char *store;     /* --store, or NULL */
	const char *fill;      /* --fill, or NULL */
	const char *directory; /* where an extraction goes, or NULL */
	const char *verb;      /* what the front door is doing, for the way through Python and back */
	bool extract_and_run;
	bool flag_taken;       /* --appimage-extract-and-run was taken out of the arguments */
	bool self;             /* the image is the running program */
	bool again;            /* Python has been asked already: what is unknown now stays so */
	bool verify;           /* compare a tree that is there with the image before it is used */

	/* What this program knows about images that are no bundles: loads the image's index and returns 0, or -1. */
	int (*foreign)(const struct request *request, struct image *image, struct fault *fault);
	/* Whether the tree in that directory is what the image says; only with `verify`. */
	bool (*same)(const struct image *image, const char *tree);
	/* Prints what `flag` asks about the image that this program cannot answer itself; returns the exit status. */
	int (*section)(const struct request *request, const char *flag, struct fault *fault);
};

/* Run the image, or do what a --appimage-* flag among its arguments asks for. Returns an exit status; it has said why. */
int start(struct request *request);

/* Unpack the image if need be: its entry, leased. Used by start and by the front door's other verbs. */
int start_provide(const struct request *request, struct image *image, struct entry *entry, struct fault *fault);
/* Open the image and load its index, wherever that comes from. */
int start_load(const struct request *request, struct image *image, struct fault *fault);
/* Say on stderr what went wrong with the request's image; returns the exit status. */
int start_report(const struct request *request, const struct fault *fault);

#endif
