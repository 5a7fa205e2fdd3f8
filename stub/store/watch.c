#define _GNU_SOURCE
#include "store/watch.h"

#include "base/file.h"
#include "base/system.h"
#include "base/text.h"
#include "image/image.h"
#include "image/index_load.h"
#include "store/layout.h"
#include "tree/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TREE ENTRY_TREE "/"
#define APP_RUN UINT64_MAX

struct record {
	uint64_t node; /* APP_RUN for AppRun, which may be a symlink and is looked at as such */
	int64_t seconds;
	uint64_t nanoseconds;
};

static int look(int entry_fd, const char *path, struct record *record)
{
	struct stat stat;
	if (fstatat(entry_fd, path, &stat, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	record->seconds = stat.st_ctim.tv_sec;
	record->nanoseconds = (uint64_t)stat.st_ctim.tv_nsec;
	return 0;
}

/* The next watched node behind `number`, which is the root to begin with: 0 when there is none. */
static uint32_t next_directory(const struct index *index, uint32_t number)
{
	while (++number < index->head->nodes)
		if (index->nodes[number].type == NODE_DIRECTORY)
			return number;
	return 0;
}

/* The list as it is now, of `size` bytes; NULL with errno. */
static char *make_list(int entry_fd, const struct index *index, size_t *size)
{
	uint64_t count = 1, names = 0;
	for (uint32_t n = 0; n == 0 || (n = next_directory(index, n - 1)); n++, count++) {
		char path[MAX_PATH + 1];
		index_path(index, n, path);
		names += sizeof TREE + strlen(path);
	}
	names += sizeof TREE + strlen("AppRun");
	*size = sizeof count + count * sizeof(struct record) + names;
	CLEANUP(free_pointer) char *list = calloc(1, *size);
	if (!list)
		return NULL;
	memcpy(list, &count, sizeof count);
	struct record *record = (void *)(list + sizeof count);
	char *name = (char *)(record + count);
	for (uint32_t n = 0; n == 0 || (n = next_directory(index, n - 1)); n++, record++) {
		char path[MAX_PATH + 1];
		index_path(index, n, path);
		join(name, MAX_PATH + sizeof TREE, TREE, path, (char *)NULL);
		record->node = n;
		if (look(entry_fd, name, record) < 0)
			return NULL;
		name += strlen(name) + 1;
	}
	join(name, sizeof TREE + strlen("AppRun"), TREE, "AppRun", (char *)NULL);
	record->node = APP_RUN;
	if (look(entry_fd, name, record) < 0 && errno != ENOENT)
		return NULL; /* an image without AppRun is a fault too, but of another kind: the start says so */
	char *made = list;
	list = NULL;
	return made;
}

/* Nobody's write leaves a time without a fraction, as ours are. What was retargeted may have another size. */
static bool node_stands(const struct tree *tree, struct place *place, uint32_t number)
{
	static const mode_t types[] = {S_IFDIR, S_IFREG, S_IFLNK, S_IFREG};
	const struct node *node = &tree->index->nodes[number];
	struct fault ignored = {0};
	struct stat stat;
	char name[MAX_NAME + 1];
	int above = tree_go(tree, place, node->parent, &ignored);
	index_name(tree->index, node, name);
	if (above < 0 || fstatat(above, name, &stat, AT_SYMLINK_NOFOLLOW) < 0 || (stat.st_mode & S_IFMT) != types[node->type])
		return false;
	if (node->type == NODE_DIRECTORY)
		return true;
	if (node->type == NODE_HARD_LINK)
		node = &tree->index->nodes[node->a];
	/* Times that not every file system can keep say nothing. */
	if ((node->mtime >= 0 && node->mtime <= INT32_MAX && stat.st_mtim.tv_sec != node->mtime) || stat.st_mtim.tv_nsec)
		return false;
	return (uint64_t)stat.st_size == node->size || node->flags & NODE_FIRST || (tree->index->head->fixups && S_ISLNK(stat.st_mode));
}

/* Whether all that the image brought is there, as far as type, size and time can tell. */
static bool stands(int entry_fd, const struct index *index)
{
	CLEANUP(close_fd) int root = openat(entry_fd, ENTRY_TREE, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	CLEANUP(place_leave) struct place place = NOWHERE;
	struct tree tree = {.index = index, .root = root};
	for (uint32_t n = 1; n < index->head->nodes; n++)
		if (root < 0 || !node_stands(&tree, &place, n))
			return false;
	return true;
}

int watch_write(int entry_fd, const struct index *index, bool in_use)
{
	size_t size;
	char draft[NAME_SIZE];
	/* In this order: what changes behind the look at the directories shows as a change the next time. */
	CLEANUP(free_pointer) char *list = make_list(entry_fd, index, &size);
	if (!list || (in_use && !stands(entry_fd, index)))
		return -1;
	/* Named only when it is whole: the name is what says that the entry is complete. */
	fresh_name(draft, ENTRY_WATCH);
	return replace_file(entry_fd, ENTRY_WATCH, draft, list, size, NULL);
}

/* A directory that was changed within the tick of the clock in which it was made, or looked at for the list, may have the time that is
 * written there all the same. That is a matter of the list's own age: an older one has seen the clock go on. */
static bool holds(int entry_fd, const char *list, size_t size, const struct timespec *written)
{
	uint64_t count;
	memcpy(&count, list, sizeof count);
	if (count > (size - sizeof count) / sizeof(struct record))
		return false;
	const struct record *records = (const void *)(list + sizeof count);
	const char *name = (const char *)(records + count), *end = list + size;
	for (uint64_t i = 0; i < count; i++) {
		struct stat now = {0};
		const char *nul = memchr(name, '\0', (size_t)(end - name));
		if (!nul || (fstatat(entry_fd, name, &now, AT_SYMLINK_NOFOLLOW) < 0 && (errno != ENOENT || records[i].node != APP_RUN)))
			return false;
		if (now.st_ctim.tv_sec != records[i].seconds || (uint64_t)now.st_ctim.tv_nsec != records[i].nanoseconds ||
		    image_too_fresh(&now, *written))
			return false;
		name = nul + 1;
	}
	return true;
}

/* A directory has changed, since the app put something into it, or somebody took something away, or it may have: the list is written anew
 * when all that the image brought stands. */
static bool renew(int entry_fd)
{
	CLEANUP(index_free) struct index index = {0};
	CLEANUP(close_fd) int fd = openat(entry_fd, ENTRY_INDEX, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct fault ignored = {0};
	return fd >= 0 && index_read(&index, fd, &ignored) == 0 && watch_write(entry_fd, &index, true) == 0;
}

bool watch_holds(int entry_fd)
{
	CLEANUP(close_fd) int fd = openat(entry_fd, ENTRY_WATCH, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat stat;
	if (fd < 0 || fstat(fd, &stat) < 0 || stat.st_size < (off_t)sizeof(uint64_t) || stat.st_size > MAX_INDEX)
		return false;
	char few[4096];
	size_t size = (size_t)stat.st_size;
	CLEANUP(free_pointer) char *many = size > sizeof few ? malloc(size) : NULL;
	char *list = many ? many : few;
	if ((size > sizeof few && !many) || read_at(fd, list, size, 0) < 0)
		return false;
	return holds(entry_fd, list, size, &stat.st_mtim) || renew(entry_fd);
}
