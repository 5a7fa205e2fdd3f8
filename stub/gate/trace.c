#define _GNU_SOURCE
#include "gate/trace.h"

#include "base/fault.h"
#include "base/file.h"
#include "base/system.h"
#include "base/text.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TURNED_AWAY = UINT32_MAX };

/* Add to `list` what is a file and not yet in it. */
static uint32_t add(const struct index *index, uint8_t *seen, uint32_t *list, uint32_t count, const uint32_t *more, uint32_t more_count)
{
	for (uint32_t i = 0; i < more_count; i++) {
		uint32_t n = more[i];
		if (n >= index->head->nodes || index->nodes[n].type != NODE_FILE || seen[n])
			continue;
		seen[n] = 1;
		list[count++] = n;
	}
	return count;
}

static int open_ours(const char *path, struct stat *stat)
{
	int fd = *path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;
	if (fd >= 0 && (fstat(fd, stat) < 0 || stat->st_uid != geteuid()))
		close_fd(&fd);
	return fd;
}

bool trace_turned_away(const char *path)
{
	struct stat stat;
	uint32_t first;
	CLEANUP(close_fd) int fd = open_ours(path, &stat);
	return fd >= 0 && read_at(fd, &first, sizeof first, 0) == 0 && first == TURNED_AWAY;
}

uint32_t trace_load(const char *path, const struct index *index, uint32_t *hot)
{
	CLEANUP(free_pointer) uint8_t *seen = calloc(index->head->nodes, 1);
	struct stat stat;
	CLEANUP(close_fd) int fd = open_ours(path, &stat);
	if (!seen)
		return 0;
	if (fd < 0 || stat.st_size > (off_t)(index->head->nodes * sizeof *hot))
		return add(index, seen, hot, 0, index->hot, index->head->hot);
	size_t size = (size_t)stat.st_size / sizeof *hot * sizeof *hot;
	CLEANUP(free_pointer) uint32_t *kept = malloc(size ? size : 1);
	if (!kept || read_at(fd, kept, size, 0) < 0)
		return 0;
	return add(index, seen, hot, 0, kept, (uint32_t)(size / sizeof *hot));
}

static bool end_path(char out[PATH_MAX], const char *path)
{
	return *path && join(out, PATH_MAX, path, ".ended", (char *)NULL);
}

void trace_keep_end(const char *path, const char *why)
{
	char ended[PATH_MAX];
	if (!end_path(ended, path))
		return;
	unlink(ended);
	write_file(AT_FDCWD, ended, why, strlen(why), 0600);
}

void trace_say_end(const char *path)
{
	char ended[PATH_MAX], why[1000];
	struct stat stat;
	CLEANUP(close_fd) int fd = end_path(ended, path) ? open_ours(ended, &stat) : -1;
	ssize_t length = fd < 0 ? -1 : read(fd, why, sizeof why - 1);
	if (length < 0)
		return;
	why[length] = '\0';
	struct fault fault = {0};
	FAILED(&fault, "the last time it was ended, since a file of it could not be unpacked: ", why);
	fault_report(&fault);
	unlink(ended);
}

void trace_save(const char *path, const struct index *index, const uint32_t *opened, uint32_t opened_count, const uint32_t *hot,
		uint32_t hot_count, bool turned_away)
{
	char fresh[PATH_MAX];
	CLEANUP(free_pointer) uint8_t *seen = calloc(index->head->nodes, 1);
	CLEANUP(free_pointer) uint32_t *list = malloc(index->head->nodes * sizeof *list);
	if (!*path || !opened_count || !seen || !list || !join(fresh, sizeof fresh, path, ".new", (char *)NULL))
		return;
	/* What was filled ahead of its time came first then, and should again. */
	uint32_t count = 0;
	if (turned_away)
		list[count++] = TURNED_AWAY; /* there is room: at least the root is no file */
	count = add(index, seen, list, count, hot, hot_count);
	count = add(index, seen, list, count, opened, opened_count);
	unlink(fresh);
	if (write_file(AT_FDCWD, fresh, list, count * sizeof *list, 0600) == 0)
		rename(fresh, path);
}
