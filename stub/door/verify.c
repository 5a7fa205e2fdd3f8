#define _GNU_SOURCE
#include "door/verify.h"

#include "base/file.h"
#include "base/printable.h"
#include "base/system.h"
#include "base/text.h"
#include "door/verify_retarget.h"
#include "image/index.h"
#include "slices/own.h"
#include "slices/slices.h"
#include "tree/fill.h"
#include "tree/retarget.h"
#include "tree/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct verify {
	struct tree tree;
	struct retarget retarget; /* what the tree may be like where this machine lacks an interpreter */
	bool silent;
	atomic_int differences;
};

/* Of what is in `directory`, a path from the tree's root with a slash at its end: one line, whatever the name. */
static void tell(const char *directory, const char *name, const char *how)
{
	char path[MAX_PATH + MAX_NAME + 2], line[4 * sizeof path + 64];
	join(path, sizeof path, directory, name, (char *)NULL);
	printable(line, 4 * sizeof path, path);
	join(line + strlen(line), 64, ": ", how, "\n", (char *)NULL);
	if (write(STDOUT_FILENO, line, strlen(line)) < 0)
		return; /* the count still says it */
}

static void differs(struct verify *verify, uint32_t number, const char *how)
{
	char path[MAX_PATH + 1];
	atomic_fetch_add(&verify->differences, 1);
	if (verify->silent)
		return;
	index_path(verify->tree.index, number, path);
	tell("", path, how);
}

/* What the app, or somebody else, has put there. That harms nothing that the image brought. */
static void tell_added(const struct verify *verify, uint32_t directory, int fd)
{
	char path[MAX_PATH + 2] = "";
	const struct index *index = verify->tree.index;
	CLEANUP(close_fd) int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct listing listing = {.fd = again};
	if (directory) {
		index_path(index, directory, path);
		join(path + strlen(path), 2, "/", (char *)NULL);
	}
	for (const char *name; again >= 0 && (name = listing_next(&listing));)
		if (!index_child(index, directory, name, strlen(name)))
			tell(path, name, "added");
}

static void check_directory(struct verify *verify, struct place *place, uint32_t number)
{
	struct fault ignored = {0};
	struct stat stat;
	const struct node *node = &verify->tree.index->nodes[number];
	int fd = tree_go(&verify->tree, place, number, &ignored);
	if (fd < 0 || fstat(fd, &stat) < 0)
		differs(verify, number, "missing");
	else if ((stat.st_mode & 07777) != tree_mode(&verify->tree, node))
		differs(verify, number, "other mode");
	if (fd >= 0 && !verify->silent)
		tell_added(verify, number, fd);
}

static const char *compare_symlink(const struct verify *verify, uint32_t number, int above, const char *name)
{
	char target[MAX_TARGET + 2];
	const struct node *node = &verify->tree.index->nodes[number];
	ssize_t length = readlinkat(above, name, target, sizeof target);
	if (length == (ssize_t)node->b && memcmp(target, verify->tree.index->strings + node->a, node->b) == 0)
		return NULL;
	uint32_t other_length = 0;
	const char *other = retarget_link(&verify->retarget, number, &other_length);
	return other && length == (ssize_t)other_length && memcmp(target, other, other_length) == 0 ? NULL : "other symlink";
}

static const char *compare_file(const struct verify *verify, const struct node *node, const struct stat *stat)
{
	uint32_t number = (uint32_t)(node - verify->tree.index->nodes);
	if (!S_ISREG(stat->st_mode))
		return "no file any more";
	if ((uint64_t)stat->st_size != node->size && (uint64_t)stat->st_size != retargeted_size(&verify->retarget, number))
		return "other size";
	mode_t mode = tree_mode(&verify->tree, node);
	if ((stat->st_mode & 07777) != mode && !(node->flags & NODE_FIRST && (stat->st_mode & 07777) == (mode & NO_WRITE)))
		return "other mode";
	return stat->st_mtim.tv_sec == node->mtime ? NULL : "other time";
}

static void check_node(struct verify *verify, struct place *place, uint32_t number)
{
	struct fault ignored = {0};
	struct stat stat;
	char name[MAX_NAME + 1];
	const struct index *index = verify->tree.index;
	const struct node *node = &index->nodes[number];
	int above = tree_go(&verify->tree, place, node->parent, &ignored);
	index_name(index, node, name);
	const char *how = "missing";
	if (above >= 0 && fstatat(above, name, &stat, AT_SYMLINK_NOFOLLOW) == 0) {
		if (node->type == NODE_SYMLINK)
			how = compare_symlink(verify, number, above, name);
		else
			how = compare_file(verify, node->type == NODE_HARD_LINK ? &index->nodes[node->a] : node, &stat);
	}
	if (how)
		differs(verify, number, how);
}

static int compare_piece(void *context, struct place *place, uint32_t number, uint64_t at, const uint8_t *bytes, uint32_t length,
			 struct fault *fault)
{
	struct verify *verify = context;
	struct fault ignored = {0};
	char name[MAX_NAME + 1];
	const struct node *node = &verify->tree.index->nodes[number];
	CLEANUP(free_pointer) uint8_t *there = malloc(length);
	if (!there)
		return FAILED(fault, "no memory");
	int above = tree_go(&verify->tree, place, node->parent, &ignored);
	index_name(verify->tree.index, node, name);
	const int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC;
	CLEANUP(close_fd) int fd = above < 0 ? -1 : openat(above, name, flags | O_NONBLOCK);
	if (fd < 0 && above >= 0 && errno == EWOULDBLOCK)
		fd = openat(above, name, flags); /* a file that is still to be filled, and is now */
	bool same = fd >= 0 && read_at(fd, there, length, at) == 0 && memcmp(there, bytes, length) == 0;
	if (!same && (fd < 0 || !retargeted_from(&verify->retarget, number, fd, at, bytes, length)))
		differs(verify, number, "other content");
	return 0;
}

/* No frame has them: holes must read as zeros. */
static int compare_holes(struct verify *verify, struct place *place, uint32_t number, struct fault *fault)
{
	static const uint8_t zeros[1 << 16];
	const struct index *index = verify->tree.index;
	const struct node *node = &index->nodes[number];
	uint64_t at = 0;
	for (uint32_t s = node->a; s < node->a + node->b; at += index->segments[s++].length) {
		uint32_t length = index->segments[s].frame == HOLE ? index->segments[s].length : 0;
		for (uint32_t done = 0, piece; done < length; done += piece) {
			piece = length - done < sizeof zeros ? length - done : sizeof zeros;
			if (compare_piece(verify, place, number, at + done, zeros, piece, fault) < 0)
				return -1;
		}
	}
	return 0;
}

static void forget_slice(struct sliced **sliced)
{
	if (*sliced)
		own_free(*sliced);
}

int verify_tree(const struct request *request, const struct image *image, const char *path, bool silent, struct fault *fault)
{
	CLEANUP(place_leave) struct place place = NOWHERE;
	CLEANUP(close_fd) int root = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (root < 0)
		return FAILED(fault, path, ": ", reason_text(errno));
	struct verify verify = {.tree = {.index = &image->index, .root = root, .sealed = true}, .silent = silent};
	CLEANUP(forget_slice) struct sliced *recalled = image->sliced ? NULL : slices_recall(request, image, path, fault);
	if (fault->kind != FAULT_NONE)
		return -1;
	const struct sliced *sliced = image->sliced ? image->sliced : recalled;
	verify.retarget = (struct retarget){
		.index = sliced && sliced->index.bytes ? &sliced->index : &image->index, .lacking = UINT32_MAX, .sliced = sliced};
	absolute_path(path, verify.retarget.tree, sizeof verify.retarget.tree);
	for (uint32_t n = 0; n < image->index.head->nodes; n++) {
		if (image->index.nodes[n].type == NODE_DIRECTORY)
			check_directory(&verify, &place, n);
		else
			check_node(&verify, &place, n);
		if (image->index.nodes[n].type == NODE_FILE && compare_holes(&verify, &place, n, fault) < 0)
			return -1;
	}
	if (fill_each_piece(image, &verify.tree, processors(), compare_piece, &verify, fault) < 0)
		return -1;
	return verify.differences;
}
