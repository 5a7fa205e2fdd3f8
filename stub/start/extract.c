#define _GNU_SOURCE
#include "start/extract.h"

#include "base/file.h"
#include "base/printable.h"
#include "base/system.h"
#include "base/text.h"
#include "image/image.h"
#include "image/index.h"
#include "start/file_limit.h"
#include "start/select.h"
#include "tree/fill.h"
#include "tree/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the paths are printed for: a terminal, which would obey what stands in a name; a program that reads lines; or one that
 * knows that a name may have a newline in it. */
enum reader { TERMINAL, READS_LINES, READS_NULS };

/* Paths for stdout, gathered so that 100,000 of them are not 100,000 writes. */
struct lines {
	enum reader reader;
	size_t used;
	char text[1 << 15];
	char shown[PRINTABLE_SIZE(MAX_PATH)];
};
_Static_assert(sizeof(((struct lines *)0)->text) > PATH_MAX + PRINTABLE_SIZE(MAX_PATH), "the longest line fits");

static int flush(struct lines *lines, struct fault *fault)
{
	size_t done = 0;
	while (done < lines->used) {
		ssize_t put = write(STDOUT_FILENO, lines->text + done, lines->used - done);
		if (put < 0 && errno != EINTR)
			return FAILED(fault, "cannot print: ", reason_text(errno));
		done += put > 0 ? (size_t)put : 0;
	}
	lines->used = 0;
	return 0;
}

static int add_line(struct lines *lines, const char *before, const char *path, struct fault *fault)
{
	if (lines->reader == TERMINAL) {
		printable(lines->shown, sizeof lines->shown, path);
		path = lines->shown;
	}
	size_t need = strlen(before) + strlen(path) + 2;
	if (need > sizeof lines->text - lines->used && flush(lines, fault) < 0)
		return -1;
	join(lines->text + lines->used, sizeof lines->text - lines->used, before, path, "\n", (char *)NULL);
	lines->used += strlen(lines->text + lines->used);
	if (lines->reader == READS_NULS)
		lines->text[lines->used - 1] = '\0';
	return 0;
}

static int print_paths(const struct request *request, const struct index *index, const uint8_t *wanted, const char *before,
		       struct fault *fault)
{
	CLEANUP(free_pointer) struct lines *lines = calloc(1, sizeof *lines);
	if (!lines)
		return FAILED(fault, "no memory");
	lines->reader = request->nul ? READS_NULS : isatty(STDOUT_FILENO) ? TERMINAL : READS_LINES;
	for (uint32_t n = 1; n < index->head->nodes; n++) {
		char path[MAX_PATH + 1];
		index_path(index, n, path);
		if ((!wanted || wanted[n]) && add_line(lines, before, path, fault) < 0)
			return -1;
	}
	return flush(lines, fault);
}

static int into(const struct image *image, const char *directory, const uint8_t *wanted, struct fault *fault)
{
	bool there = mkdir(directory, 0755) < 0;
	if (there && errno != EEXIST)
		return FAILED(fault, "cannot make ", directory, ": ", reason_text(errno));
	CLEANUP(close_fd) int root = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (root < 0)
		return FAILED(fault, "cannot unpack into ", directory, ": ",
			      errno == ELOOP || errno == ENOTDIR ? "it is a symlink or no directory" : reason_text(errno));
	struct tree tree = {.index = &image->index, .root = root, .merge = true, .root_stays = there, .wanted = wanted};
	struct file_limit limit;
	if (file_limit_lift(&limit, &image->index, fault) < 0)
		return -1;
	mode_t mask = umask(0);
	int result = fill_tree(image, &tree, processors(), fault);
	umask(mask);
	file_limit_put_back(&limit);
	return result;
}

int extract(const struct request *request, const char *directory, char **patterns, int count, struct fault *fault)
{
	CLEANUP(image_close) struct image image = IMAGE_CLOSED;
	CLEANUP(free_pointer) uint8_t *wanted = NULL;
	const char *missed = NULL;
	if (request_load(request, &image, fault) < 0)
		return -1;
	if (count > 0 && !(wanted = select_nodes(&image.index, patterns, count, &missed)))
		return FAILED(fault, "no memory");
	if (missed)
		return FAILED(fault, "nothing in it matches ", missed, "; --appimage-list shows what there is");
	if (into(&image, directory, wanted, fault) < 0)
		return -1;
	char before[PATH_MAX];
	join(before, sizeof before, directory, "/", (char *)NULL);
	return print_paths(request, &image.index, wanted, before, fault);
}

int extract_list(const struct request *request, struct fault *fault)
{
	CLEANUP(image_close) struct image image = IMAGE_CLOSED;
	return request_load(request, &image, fault) < 0 ? -1 : print_paths(request, &image.index, NULL, "", fault);
}
