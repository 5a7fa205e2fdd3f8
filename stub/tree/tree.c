#define _GNU_SOURCE
#include "tree/tree.h"

#include "base/file.h"
#include "base/system.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_openat2
#define SYS_openat2 437
#endif

/* linux/openat2.h, which musl does not bring. */
struct open_how {
	uint64_t flags, mode, resolve;
};
enum { RESOLVE_NO_SYMLINKS = 0x04, RESOLVE_BENEATH = 0x08 };

enum { DIRECTORY_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

static int store_fault(const struct tree *tree, uint32_t number, struct fault *fault)
{
	int reason = errno;
	char path[MAX_PATH + 1];
	index_path(tree->index, number, path);
	return BAD_STORE(fault, "cannot write ", path, ": ", reason_text(reason));
}

/* Component by component: for kernels before 5.6 and sandboxes that know no openat2. */
static int walk(int root, char *path)
{
	int fd = openat(root, ".", DIRECTORY_FLAGS);
	char *rest = path;
	for (char *name; fd >= 0 && (name = strsep(&rest, "/"));) {
		int next = openat(fd, name, DIRECTORY_FLAGS);
		close_keeping_errno(fd);
		fd = next;
	}
	return fd;
}

static int open_beneath(int root, char *path)
{
	struct open_how how = {.flags = DIRECTORY_FLAGS, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
	int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
	if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
		return fd;
	return walk(root, path);
}

int tree_go(const struct tree *tree, struct place *place, uint32_t number, struct fault *fault)
{
	if (place->fd >= 0 && place->directory == number)
		return place->fd;
	place_leave(place);
	char path[MAX_PATH + 1];
	index_path(tree->index, number, path);
	place->fd = open_beneath(tree->root, path);
	if (place->fd < 0)
		return store_fault(tree, number, fault);
	place->directory = number;
	return place->fd;
}

void place_leave(struct place *place)
{
	close_fd(&place->fd);
}

/* Go to the node's directory and have its name; -1 on failure. */
static int go_above(const struct tree *tree, struct place *place, uint32_t number, char name[MAX_NAME + 1], struct fault *fault)
{
	const struct node *node = &tree->index->nodes[number];
	index_name(tree->index, node, name);
	return tree_go(tree, place, node->parent, fault);
}

/* When merging: one that an older extraction left without a write bit gets it back until the end. */
static int reuse_directory(const struct tree *tree, int above, const char *name)
{
	if (!tree->merge || errno != EEXIST)
		return -1;
	CLEANUP(close_fd) int fd = openat(above, name, DIRECTORY_FLAGS);
	return fd < 0 ? -1 : fchmod(fd, 0700);
}

int tree_make_directory(const struct tree *tree, struct place *place, uint32_t number, struct fault *fault)
{
	char name[MAX_NAME + 1];
	int above = go_above(tree, place, number, name, fault);
	if (above < 0)
		return -1;
	if (mkdirat(above, name, 0700) < 0 && reuse_directory(tree, above, name) < 0)
		return store_fault(tree, number, fault);
	return 0;
}

int tree_make_directories(const struct tree *tree, struct fault *fault)
{
	CLEANUP(place_leave) struct place place = NOWHERE;
	for (uint32_t i = 1; i < tree->index->head->nodes; i++)
		if (tree->index->nodes[i].type == NODE_DIRECTORY && tree_wants(tree, i) && tree_make_directory(tree, &place, i, fault) < 0)
			return -1;
	return 0;
}

/* When merging, whatever is in the way goes first; the object itself, never what a symlink there points to. */
static bool clear_way(const struct tree *tree, int above, const char *name)
{
	return tree->merge && errno == EEXIST && unlinkat(above, name, 0) == 0;
}

int tree_make_symlink(const struct tree *tree, struct place *place, uint32_t number, struct fault *fault)
{
	const struct node *node = &tree->index->nodes[number];
	char name[MAX_NAME + 1], target[MAX_TARGET + 1];
	int above = go_above(tree, place, number, name, fault);
	if (above < 0)
		return -1;
	uint32_t length = node->b;
	const char *other = tree->retarget ? retarget_link(tree->retarget, number, &length) : NULL;
	memcpy(target, other ? other : tree->index->strings + node->a, length);
	target[length] = '\0';
	while (symlinkat(target, above, name) < 0)
		if (!clear_way(tree, above, name))
			return store_fault(tree, number, fault);
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = node->mtime}};
	return utimensat(above, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? store_fault(tree, number, fault) : 0;
}

static int make_hard_link(const struct tree *tree, struct place *place, uint32_t number, struct fault *fault)
{
	uint32_t target = tree->index->nodes[number].a;
	CLEANUP(place_leave) struct place other = NOWHERE;
	char name[MAX_NAME + 1], target_name[MAX_NAME + 1];
	int from = go_above(tree, &other, target, target_name, fault);
	int to = from < 0 ? -1 : go_above(tree, place, number, name, fault);
	if (to < 0)
		return -1;
	while (linkat(from, target_name, to, name, 0) < 0)
		if (!clear_way(tree, to, name))
			return store_fault(tree, number, fault);
	return 0;
}

int tree_make_hard_links(const struct tree *tree, struct fault *fault)
{
	CLEANUP(place_leave) struct place place = NOWHERE;
	for (uint32_t i = 1; i < tree->index->head->nodes; i++)
		if (tree->index->nodes[i].type == NODE_HARD_LINK && tree_wants(tree, i) && make_hard_link(tree, &place, i, fault) < 0)
			return -1;
	return 0;
}

mode_t tree_mode(const struct tree *tree, const struct node *node)
{
	mode_t mode = node->mode & 0777;
	if (!tree->sealed)
		return mode;
	if (node->type == NODE_DIRECTORY)
		return mode | 0500;
	char name[MAX_NAME + 1];
	index_name(tree->index, node, name);
	return (is_library_name(name) ? mode & NO_WRITE : mode) | 0400;
}

/* A program that only its content tells: it was made writable, and nobody has seen it yet. */
static bool is_sealed_program(const struct tree *tree, const struct node *node, int fd)
{
	char magic[4];
	return tree->sealed && node->flags & NODE_FIRST && node->mode & ~NO_WRITE & 0777 && read_at(fd, magic, sizeof magic, 0) == 0 &&
	       memcmp(magic, "\177ELF", sizeof magic) == 0;
}

/* To read as well: some files are looked at when they are complete. */
enum { OPEN_FILE = O_RDWR | O_NOFOLLOW | O_CLOEXEC };

int tree_make_file(const struct tree *tree, struct place *place, uint32_t number, bool finished, struct fault *fault)
{
	char name[MAX_NAME + 1];
	int above = go_above(tree, place, number, name, fault);
	if (above < 0)
		return -1;
	mode_t mode = finished ? tree_mode(tree, &tree->index->nodes[number]) : 0600;
	for (;;) {
		int fd = openat(above, name, OPEN_FILE | O_CREAT | O_EXCL, mode);
		if (fd >= 0)
			return fd;
		if (!clear_way(tree, above, name))
			return store_fault(tree, number, fault);
	}
}

int tree_open_file(const struct tree *tree, struct place *place, uint32_t number, struct fault *fault)
{
	char name[MAX_NAME + 1];
	int above = go_above(tree, place, number, name, fault);
	if (above < 0)
		return -1;
	int fd = openat(above, name, OPEN_FILE);
	return fd < 0 ? store_fault(tree, number, fault) : fd;
}

int tree_finish_file(const struct tree *tree, uint32_t number, int fd, bool finished, struct fault *fault)
{
	const struct node *node = &tree->index->nodes[number];
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = node->mtime}};
	bool program = is_sealed_program(tree, node, fd);
	mode_t mode = program ? tree_mode(tree, node) & NO_WRITE : tree_mode(tree, node);
	if ((tree->retarget && retarget_file(tree->retarget, number, fd) < 0) || ((program || !finished) && fchmod(fd, mode) < 0) ||
	    futimens(fd, times) < 0)
		return store_fault(tree, number, fault);
	return 0;
}

int tree_finish_directory(const struct tree *tree, struct place *place, uint32_t number, struct fault *fault)
{
	const struct node *node = &tree->index->nodes[number];
	int fd = tree_go(tree, place, number, fault);
	if (fd < 0)
		return -1;
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = node->mtime}};
	return fchmod(fd, tree_mode(tree, node)) < 0 || futimens(fd, times) < 0 ? store_fault(tree, number, fault) : 0;
}

int tree_finish_directories(const struct tree *tree, struct fault *fault)
{
	CLEANUP(place_leave) struct place place = NOWHERE;
	for (uint32_t i = tree->index->head->nodes; i-- > (tree->root_stays ? 1 : 0);)
		if (tree->index->nodes[i].type == NODE_DIRECTORY && tree_wants(tree, i) &&
		    tree_finish_directory(tree, &place, i, fault) < 0)
			return -1;
	return 0;
}
