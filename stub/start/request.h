/* What is asked for, from whoever was started to whoever does it: one image, how to treat it, and what this program can do. */
#ifndef TMPRUN_START_REQUEST_H
#define TMPRUN_START_REQUEST_H

#include <limits.h>
#include <stdbool.h>

#include "base/environment.h"
#include "base/fault.h"
#include "image/image.h"
#include "tree/interpreters.h"

struct request {
	struct environment environment;
	const char *typed;     /* the image as the user named it, for messages and ARGV0 */
	const char *executed;  /* --typed: what somebody typed to have binfmt_misc start us, or NULL */
	const char *path;      /* what to open */
	char shown[PATH_MAX];  /* its absolute path: APPIMAGE */
	char **arguments;      /* the app's, behind argv[0] */
	int count;
	int image_fd;          /* the image, when whoever started us has it open; or -1 */
	int index_fd;          /* a foreign image's index, or -1 */
	const char *read_as;   /* the identity that the image had when it was read, if that may be remembered; or NULL */
	const char *store;     /* --store, or NULL */
	const char *fill;      /* --fill, or NULL */
	const char *directory; /* where an extraction goes, or NULL */
	const char *program;   /* --entry: what to start of an archive, or NULL */
	const char *verb;      /* what the front door is doing */
	bool extract_and_run;
	bool flag_taken;       /* --appimage-extract-and-run was taken out of the arguments */
	bool self;             /* the image is the running program */
	bool force;            /* unpack it whatever it claims to hold */
	bool nul;              /* printed paths end with a NUL, not a newline */
	bool verify;           /* compare a tree that is there with the image before it is used */

#ifndef TMPRUN_SMALL
	/* For an image whose index is loaded: finds a libc slice if its programs need one here, and keeps it; 0, or -1. And for a tree
	 * that is there: whether what it needs of a slice is there, too, and kept from now on. */
	int (*slice)(const struct request *request, struct image *image, struct fault *fault);
	/* When it was decided which tree an image has, this is what else must be as it was: lines of stamps. */
	void (*mark)(const struct request *request, char stamps[STAMPS_SIZE]);
	bool (*hold)(const struct request *request, const struct image *image, const char *tree);
	/* The image, which was started before it was hashed, has its digests now. */
	void (*hashed)(const struct request *request, const struct image *image);
	/* Says on a terminal what is being done, if it lasts; NULL at its end. No process is forked meanwhile. */
	void (*lasts)(const struct request *request, const char *what);
#endif

	/* What this program knows about images that are no bundles: loads the image's index and returns 0, or -1. */
	int (*foreign)(const struct request *request, struct image *image, struct fault *fault);
	/* Whether the tree in that directory is what the image says; only with `verify`. */
	bool (*same)(const struct request *request, const struct image *image, const char *tree);
	/* Whether the kernel can start AppRun in that directory: 0, or -1 and why not. */
	int (*judge)(const struct environment *environment, const char *tree, struct fault *fault);
	/* Prints what a --appimage-* flag asks that stands in no index: "updateinformation", "signature", or the "offset" of a payload
	 * that is no bundle's; of the open file `fd`, or with -1 of what the path leads to. 0, or -1. */
	int (*tell)(const struct request *request, int fd, const char *what, struct fault *fault);
};

/* The parts of a request for nothing: no file is open yet. */
#define REQUEST_OPENS .image_fd = -1, .index_fd = -1

/* Open the image: the descriptor that we were given, or what the path leads to. */
int request_open(const struct request *request, struct image *image, struct fault *fault);
/* Open it and load its index, wherever that comes from. */
int request_load(const struct request *request, struct image *image, struct fault *fault);
/* The same for an image that is open. */
int request_load_opened(const struct request *request, struct image *image, struct fault *fault);

/* Say on stderr what went wrong with the request's image; returns the exit status. */
int request_report(const struct request *request, const struct fault *fault);

#endif
