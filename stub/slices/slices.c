#define _GNU_SOURCE
#include "slices/slices.h"

#include "base/file.h"
#include "base/system.h"
#include "base/text.h"
#include "image/walk.h"
#include "slices/choose.h"
#include "slices/derive.h"
#include "slices/own.h"
#include "slices/programs.h"
#include "slices/ready.h"
#include "slices/recall.h"
#include "start/launch.h"
#include "start/provide.h"
#include "store/entry.h"
#include "store/layout.h"
#include "store/roots.h"
#include "tree/interpreters.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Behind the numbers of the app's own lease and tie (start/launch.h). */
enum { LEASE_OF_SLICE_FD = 62 };

/* The app inherits a slice's lease as it does its own: as long as it lives, nobody takes the slice's tree. */
static bool pass_on_lease(struct entry *entry)
{
	int passed = fcntl(entry->lease, F_DUPFD, LEASE_OF_SLICE_FD);
	if (passed < 0)
		passed = fcntl(entry->lease, F_DUPFD, STDERR_FILENO + 1);
	entry_release(entry);
	return passed >= 0;
}

/* What glibc looks for at paths of its own is told it where no other program understands these variables. */
static void use_data(const char *tree)
{
	static const char *const places[][2] = {{"GCONV_PATH", "/gconv"}, {"LOCPATH", "/locale"}};
	if (access(GLIBC_LOADER, F_OK) == 0)
		return;
	for (size_t i = 0; i < COUNT(places); i++) {
		char path[PATH_MAX + 16];
		join(path, sizeof path, tree, places[i][1], (char *)NULL);
		if (access(path, X_OK) == 0)
			launch_tell(places[i][0], path);
	}
}

/* A slice that was started as if it were an app, by the program at its head, has a tree without a cache. */
static bool is_finished(const char *tree)
{
	static const char magic[] = "glibc-ld.so.cache";
	char path[PATH_MAX + 16], there[sizeof magic - 1];
	join(path, sizeof path, tree, "/" OWN_CACHE, (char *)NULL);
	CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return fd >= 0 && read_at(fd, there, sizeof there, 0) == 0 && memcmp(there, magic, sizeof there) == 0;
}

/* The slice's tree, leased: built unless it is there. */
static int provide_slice(const struct request *app, const char *file, struct image *image, struct entry *entry, struct fault *fault)
{
	struct request request = {REQUEST_OPENS,          .environment = app->environment,
				  .typed = file,          .path = file,
				  .store = app->store,    .fill = "eager",
				  .verb = "run",          .force = true,
				  .verify = app->verify,  .foreign = app->foreign,
				  .same = app->same,      .slice = slices_use,
				  .mark = slices_mark,    .hold = slices_hold,
				  .hashed = slices_hashed};
	join(request.shown, sizeof request.shown, file, (char *)NULL);
	if (provide(&request, image, entry, fault) < 0)
		return -1;
	if (is_finished(entry->tree))
		return 0;
	char identity[IDENTITY_SIZE];
	image_identity(&image->stat, identity);
	image_close(image);
	entry_discard(entry, identity);
	return provide(&request, image, entry, fault);
}

/* Where the loader of the slice with that index is in its tree. */
static bool loader_in(const struct index *slice, const char *tree, char out[PATH_MAX])
{
	char inside[MAX_PATH + 1];
	index_path(slice, interpreter_at(slice, 0)->node, inside);
	return join(out, PATH_MAX, tree, "/", inside, (char *)NULL);
}

/* The plan for programs that get the loader at `loader` of the slice `file`, unpacked at `tree`. */
static struct sliced *plan(const struct image *image, const struct programs *programs, const char *tree, const char *file,
			   const char *loader, struct fault *fault)
{
	const char *const watched[] = {tree, file};
	struct sliced *sliced = zeroed(1, sizeof *sliced);
	if (!sliced) {
		FAILED(fault, "no memory for the slice");
		return NULL;
	}
	if (join(sliced->loader, sizeof sliced->loader, loader, (char *)NULL) &&
	    join(sliced->notes, sizeof sliced->notes, tree, "\n", file, "\n", loader + strlen(tree), "\n", (char *)NULL) &&
	    derive_index(&image->index, programs, watched, &sliced->index, &sliced->first, fault) == 0)
		return sliced;
	own_free(sliced);
	return NULL;
}

/* Unpack the slice `file`. */
static int make_ready(const struct request *request, const char *file, struct ready *ready, struct fault *fault)
{
	CLEANUP(image_close) struct image slice = IMAGE_CLOSED;
	if (provide_slice(request, file, &slice, &ready->entry, fault) < 0)
		return -1;
	/* A start that has found the tree there has not read the index. */
	if (!slice.index.head && image_load_bundle(&slice, fault) <= 0)
		return BAD_IMAGE(fault, "is no slice any more");
	return loader_in(&slice.index, ready->entry.tree, ready->loader)
		       ? 0
		       : BAD_STORE(fault, "the path of the store is too long for a slice");
}

/* Have the slice `file` for the image. */
static int use(const struct request *request, struct image *image, const struct programs *programs, const char *file, struct ready *ready,
	       struct fault *fault)
{
	if (ready->entry.lease < 0 && make_ready(request, file, ready, fault) < 0)
		return -1;
	image->sliced = plan(image, programs, ready->entry.tree, file, ready->loader, fault);
	if (!image->sliced)
		return -1;
	debug_log("its programs get the C library of ", file, (char *)NULL);
	use_data(ready->entry.tree);
	return pass_on_lease(&ready->entry) ? 0 : FAILED(fault, "no descriptor left for what the app inherits");
}

/* Whether this machine itself has what programs ask for. */
static bool is_here(const struct programs *programs)
{
	for (uint32_t i = 0; i < programs->asked_count; i++) {
		const struct asked *asked = &programs->asked[i];
		const struct index names = {.strings = asked->path};
		const struct interpreter interpreter = {.path_length = asked->length, .need = asked->need};
		if (!interpreter_is_here(&names, &interpreter))
			return false;
	}
	return true;
}

/* Whether the kernel could not start the image itself here: its AppRun is one of the programs, and there is no loader at all. */
static bool is_hopeless(const struct request *request, const struct index *index, const struct programs *programs)
{
	uint32_t apprun = walk_to(index, 0, "AppRun", strlen("AppRun"));
	if (strcmp(request->verb, "run") != 0 || access(GLIBC_LOADER, F_OK) == 0)
		return false;
	for (uint32_t i = 0; i < programs->count; i++)
		if (programs->fixups[i].node == apprun)
			return true;
	return false;
}

/* No slice will do. When it is not AppRun that lacks a C library, the image starts all the same, since it may not need that program;
 * but it is said what will fail, and why: of a program without its loader a shell says that it is not there. */
static int do_without(const struct request *request, const struct image *image, const struct programs *programs, const char *why,
		      struct fault *fault)
{
	char program[MAX_PATH + 1], version[GLIBC_TEXT];
	struct fault said = {0};
	bool hopeless = is_hopeless(request, &image->index, programs);
	index_path(&image->index, programs->fixups[0].node, program);
	fault_set(&said, FAULT_IMAGE, EXIT_FAILED, hopeless ? "AppRun" : program, " needs ", glibc_text(programs_need(programs), version),
		  access(GLIBC_LOADER, F_OK) < 0 ? ", which this machine lacks" : ", and this machine has an older one",
		  *why ? "; no slice will do (" : "", why, *why ? ")" : "", "; " SLICES_REMEDY, (char *)NULL);
	if (hopeless)
		*fault = said;
	else
		request_report(request, &said);
	return hopeless ? -1 : 0;
}

/* The newest slice with at least that version; when it turns out to be damaged, the next one: 1, or 0 when none will do, and why. */
static int find(const struct request *request, struct image *image, const struct programs *programs, const struct wish *wish,
		char why[WHY_ROOM])
{
	char *tried[TRIED_MAX + 1] = {NULL};
	/* They are large, and the caller may have a small stack. */
	CLEANUP(free_pointer) char (*paths)[PATH_MAX] = zeroed(TRIED_MAX, PATH_MAX);
	for (unsigned i = 0; paths && i < TRIED_MAX; i++) {
		struct fault reason = {0};
		CLEANUP(ready_release) struct ready ready = READY_NONE;
		if (!choose_slice(wish, tried, paths[i], &ready, why))
			return 0;
		if (use(request, image, programs, paths[i], &ready, &reason) == 0)
			return 1;
		join(why, WHY_ROOM, paths[i], ": ", reason.text, (char *)NULL);
		debug_log(why, (char *)NULL);
		tried[i] = paths[i];
	}
	return 0;
}

/* Of what the libraries require no more is made than of a wish: an image may bring such as are loaded on newer machines only. */
static int find_best(const struct request *request, struct image *image, struct programs *programs, const struct places *places,
		     struct fault *fault)
{
	char why[WHY_ROOM] = "";
	bool here = is_here(programs);
	CLEANUP(free_pointer) struct roots *roots = zeroed(1, sizeof *roots);
	if (!roots)
		return FAILED(fault, "no memory");
	roots_list(roots, &request->environment, request->store, false);
	struct wish wish = {places, request->verify ? NULL : roots, programs->wanted};
	const struct programs asked = *programs;
	programs_raise(programs, programs->wanted);
	if ((here && is_here(programs)) || find(request, image, programs, &wish, why))
		return 0;
	*programs = asked;
	wish.need = programs_need(programs);
	if (here)
		debug_log("libraries of it may need a newer C library than this machine's", (char *)NULL);
	else if (wish.need == programs->wanted || !find(request, image, programs, &wish, why))
		return do_without(request, image, programs, why, fault);
	return 0;
}

static int read_programs(const struct image *image, struct programs *programs, struct fault *fault)
{
	CLEANUP(files_free) struct files files = {.fd = image->fd, .base = image->base, .index = &image->index};
	image_prepare(image, &files.codec);
	return programs_find(&files, programs, fault);
}

/* What they ask for: from the disk cache, or else read, and kept there. */
static int look_at_programs(const struct request *request, const struct image *image, struct programs *programs, struct fault *fault)
{
	if (recall_programs(image, &request->environment, programs))
		return 0;
	if (read_programs(image, programs, fault) < 0)
		return -1;
	recall_keep(image, &request->environment, programs);
	return 0;
}

void slices_hashed(const struct request *request, const struct image *image)
{
	recall_keep_now(image, &request->environment);
}

static int look_for(const struct request *request, struct image *image, const struct places *places, struct fault *fault)
{
	CLEANUP(programs_free) struct programs programs = {0};
	if (look_at_programs(request, image, &programs, fault) < 0)
		return -1;
	return programs.count ? find_best(request, image, &programs, places, fault) : 0;
}

int slices_use(const struct request *request, struct image *image, struct fault *fault)
{
	if (own_is_slice(&image->index)) {
		image->sliced = own_make(image, fault);
		return image->sliced ? 0 : -1;
	}
	CLEANUP(free_pointer) struct places *places = zeroed(1, sizeof *places);
	if (!places)
		return FAILED(fault, "no memory");
	places_list(places, &request->environment);
	/* With a loader and no slice there is nothing to choose, and nobody's programs need to be looked at. */
	if (access(GLIBC_LOADER, X_OK) == 0 && !places_have_any(places))
		return 0;
	return look_for(request, image, places, fault);
}

/* The lines that an entry keeps of its slice: its tree, its file, and where the loader is in the tree. */
struct notes {
	char text[2 * PATH_MAX];
	const char *tree, *file, *loader;
};

/* 1, or 0 when the tree has no such file, or one that says nothing. */
static int read_notes(const char *tree, struct notes *notes)
{
	char path[PATH_MAX + 16];
	join(path, sizeof path, tree, "/../" ENTRY_SLICE, (char *)NULL);
	if (read_text(AT_FDCWD, path, notes->text, sizeof notes->text) < 0)
		return 0;
	char *rest = notes->text;
	notes->tree = strsep(&rest, "\n");
	notes->file = strsep(&rest, "\n");
	notes->loader = strsep(&rest, "\n");
	return notes->loader && rest;
}

static bool has_slice(const char *tree)
{
	char path[PATH_MAX + 16];
	return join(path, sizeof path, tree, "/../" ENTRY_SLICE, (char *)NULL) && access(path, F_OK) == 0;
}

void slices_mark(const struct request *request, char stamps[STAMPS_SIZE])
{
	CLEANUP(free_pointer) struct places *places = zeroed(1, sizeof *places);
	if (!places)
		return;
	places_list(places, &request->environment);
	for (unsigned i = 0; i < places->count; i++)
		if (access(places->list[i], F_OK) == 0)
			stamps_add(stamps, places->list[i]);
}

/* Whether it was decided without a look at the slices which tree the image has: by a bundle itself, or before there was that place. */
static bool is_unmarked(const char *text, const struct places *places)
{
	for (unsigned i = 0; i < places->count; i++)
		if (access(places->list[i], F_OK) == 0 && !find_text(text, strlen(text), places->list[i]))
			return true;
	return false;
}

/* Whether slices have come, gone or changed since then. */
static bool is_outdated(const struct image *image, const struct root *root, const struct places *places)
{
	char identity[IDENTITY_SIZE], text[KEY_LENGTH + STAMPS_SIZE] = "";
	struct stat decided;
	struct fault reason = {0};
	CLEANUP(close_fd) int fd = root_open(root, false, &reason);
	image_identity(&image->stat, identity);
	return fd < 0 || layout_stat_identity(fd, identity, &decided) < 0 ||
	       layout_read_identity(fd, identity, text, sizeof text - 1) < 0 || is_unmarked(text, places) ||
	       places_changed(places) >= nanoseconds(&decided.st_mtim);
}

/* The slice's tree is kept as the app's own is. */
static bool lease_slice(const struct notes *notes, struct root *root)
{
	CLEANUP(entry_release) struct entry entry = {.lease = -1, .tie = -1};
	struct fault reason = {0};
	char key[KEY_LENGTH + 1];
	if (!layout_split(notes->tree, root->path, key))
		return false;
	CLEANUP(close_fd) int fd = root_open(root, false, &reason);
	CLEANUP(close_fd) int trees = fd < 0 ? -1 : layout_open_trees(fd);
	if (trees < 0 || !entry_take(root, trees, key, &entry))
		return false;
	use_data(notes->tree);
	return pass_on_lease(&entry);
}

static bool is_in(const struct places *places, const char *file)
{
	for (unsigned i = 0; i < places->count; i++) {
		size_t length = strlen(places->list[i]);
		if (strncmp(file, places->list[i], length) == 0 && file[length] == '/')
			return true;
	}
	return false;
}

/* The same where there may be slices. */
static bool hold(const struct image *image, const struct places *places, const char *tree)
{
	CLEANUP(free_pointer) struct notes *notes = zeroed(1, sizeof *notes);
	CLEANUP(free_pointer) struct root *root = zeroed(1, sizeof *root);
	char key[KEY_LENGTH + 1];
	if (!notes || !root || !layout_split(tree, root->path, key) || is_outdated(image, root, places))
		return false;
	return !read_notes(tree, notes) || (is_in(places, notes->file) && lease_slice(notes, root));
}

bool slices_hold(const struct request *request, const struct image *image, const char *tree)
{
	struct places places;
	places_list(&places, &request->environment);
	/* Where there is no such directory it takes three calls, since each warm start comes here. The tree may have a slice all the same, which lies
	 * where this start does not look (XDG_DATA_HOME): whatever this one can have is decided anew. */
	return places_changed(&places) ? hold(image, &places, tree) : !has_slice(tree);
}

struct sliced *slices_recall(const struct request *request, const struct image *image, const char *tree, struct fault *fault)
{
	char loader[PATH_MAX];
	if (own_is_slice(&image->index))
		return own_make(image, fault);
	CLEANUP(free_pointer) struct notes *notes = zeroed(1, sizeof *notes);
	CLEANUP(programs_free) struct programs programs = {0};
	if (!notes || !read_notes(tree, notes))
		return NULL;
	if (look_at_programs(request, image, &programs, fault) < 0 || !programs.count ||
	    !join(loader, sizeof loader, notes->tree, notes->loader, (char *)NULL))
		return NULL;
	/* It may have been for its libraries' sake. What else they say of versions changes nothing in the tree. */
	programs_raise(&programs, programs.wanted);
	return plan(image, &programs, notes->tree, notes->file, loader, fault);
}
