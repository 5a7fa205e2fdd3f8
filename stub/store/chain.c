#define _GNU_SOURCE
#include "store/chain.h"

#include "base/file.h"
#include "base/system.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The owner that a user namespace shows for everybody who does not exist in it, root included (user_namespaces(7)). */
enum { OVERFLOW_USER = 65534 };

/* As many as the kernel follows (path_resolution(7)); and more of a list of users than a machine has that needs none other. */
enum { LINKS_MAX = 40, LIST_MAX = 1 << 18 };

/* Where users are numbered as the machine numbers them, that number is a user like any other. */
static bool in_user_namespace(void)
{
	char map[128];
	if (read_text(AT_FDCWD, "/proc/self/uid_map", map, sizeof map) < 0)
		return false;
	static const uint64_t the_machines[] = {0, 0, UINT32_MAX};
	const char *at = map;
	for (size_t i = 0; i < COUNT(the_machines); i++, at += strspn(at, "0123456789")) {
		at += strspn(at, " ");
		if (parse_decimal(at) != the_machines[i])
			return true;
	}
	return false;
}

static bool is_trusted(uid_t user)
{
	return user == 0 || user == geteuid() || (user == OVERFLOW_USER && in_user_namespace());
}

/* The fields of one line of /etc/passwd or /etc/group; false at the end of the list. Takes the line apart where it stands. */
static bool next_line(char **list, char *fields[4])
{
	char *line = strsep(list, "\n");
	for (size_t i = 0; i < 4; i++) {
		fields[i] = line ? strsep(&line, ":") : NULL;
		if (!fields[i])
			fields[i] = (char *)"";
	}
	return *list != NULL;
}

/* Another copy of the list at `path`, to be freed; NULL when it cannot be read or is longer than we look at. */
static char *read_list(const char *path)
{
	char *list = malloc(LIST_MAX);
	ssize_t length = list ? read_text(AT_FDCWD, path, list, LIST_MAX) : -1;
	if (length >= 0 && length < LIST_MAX - 1)
		return list;
	free(list);
	return NULL;
}

/* Whether everybody in /etc/passwd with that name, or where it is NULL with that group for his own, is we or root; and somebody
 * is, unless a group is asked for. */
static bool only_trusted(const char *name, gid_t group)
{
	CLEANUP(free_pointer) char *list = read_list("/etc/passwd");
	char *at = list, *fields[4];
	bool found = !name;
	if (!list)
		return false;
	for (bool more = true; more;) {
		more = next_line(&at, fields);
		if (name ? strcmp(fields[0], name) != 0 : parse_decimal(fields[3]) != group)
			continue;
		uint64_t user = parse_decimal(fields[2]);
		if (user != geteuid() && user != 0)
			return false;
		found = true;
	}
	return found;
}

static bool members_are_trusted(char *members)
{
	for (char *name; (name = strsep(&members, ","));)
		if (*name && !only_trusted(name, 0))
			return false;
	return true;
}

/* Whether nobody else is in the group, as with the private groups of Debian's users. A group that stands in no file may have
 * anybody in it. */
static bool group_is_ours_alone(gid_t group)
{
	CLEANUP(free_pointer) char *list = read_list("/etc/group");
	char *at = list, *fields[4];
	bool found = false;
	for (bool more = list != NULL; more;) {
		more = next_line(&at, fields);
		if (parse_decimal(fields[2]) != group)
			continue;
		if (!members_are_trusted(fields[3]))
			return false;
		found = true;
	}
	return found && only_trusted(NULL, group);
}

/* Why somebody else could exchange what lies in the directory; or NULL. */
static const char *weakness(const struct stat *stat)
{
	if (!is_trusted(stat->st_uid))
		return "lies in a directory of another user";
	/* In a sticky one only the owner of a thing, or of the directory, renames and removes it. */
	if (stat->st_mode & S_ISVTX)
		return NULL;
	if (stat->st_mode & S_IWOTH || (stat->st_mode & S_IWGRP && !group_is_ours_alone(stat->st_gid)))
		return "lies in a directory that others may write to";
	return NULL;
}

/* Where we are on the way, and what is left of the path. */
struct walk {
	int at;
	unsigned links;
	char left[PATH_MAX];
};

static int from_root(struct walk *walk, struct fault *fault)
{
	close_fd(&walk->at);
	walk->at = openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC); /* one call; musl makes two of open */
	return walk->at < 0 ? BAD_STORE(fault, reason_text(errno)) : 0;
}

static int follow(struct walk *walk, int link, const char *rest, struct fault *fault)
{
	char target[PATH_MAX], left[PATH_MAX];
	ssize_t length = readlinkat(link, "", target, sizeof target - 1);
	if (length <= 0 || ++walk->links > LINKS_MAX)
		return BAD_STORE(fault, reason_text(length <= 0 ? errno : ELOOP));
	target[length] = '\0';
	if (!join(left, sizeof left, target, "/", rest, (char *)NULL))
		return BAD_STORE(fault, reason_text(ENAMETOOLONG));
	memcpy(walk->left, left, sizeof left);
	return left[0] == '/' ? from_root(walk, fault) : 0;
}

/* One step, to `name`, which stands at the front of what is left; behind it comes `rest`. */
static int step(struct walk *walk, const char *name, const char *rest, struct fault *fault)
{
	struct stat stat;
	CLEANUP(close_fd) int next = openat(walk->at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (next < 0 || fstat(next, &stat) < 0)
		return BAD_STORE(fault, reason_text(errno));
	if (S_ISLNK(stat.st_mode))
		return is_trusted(stat.st_uid) ? follow(walk, next, rest, fault)
					       : BAD_STORE(fault, "lies behind a symlink of another user (", name, ")");
	const char *why = S_ISDIR(stat.st_mode) ? weakness(&stat) : "lies in something that is no directory";
	if (why) {
		errno = EPERM;
		return BAD_STORE(fault, why, " (", name, ")");
	}
	close_fd(&walk->at);
	walk->at = next;
	next = -1;
	memmove(walk->left, rest, strlen(rest) + 1);
	return 0;
}

int chain_open(const char *path, struct fault *fault)
{
	struct walk walk = {.at = -1};
	struct stat top;
	if (!join(walk.left, sizeof walk.left, path, (char *)NULL))
		return BAD_STORE(fault, reason_text(ENAMETOOLONG));
	if (from_root(&walk, fault) < 0)
		return -1;
	const char *why = fstat(walk.at, &top) < 0 ? reason_text(errno) : weakness(&top);
	int result = why ? BAD_STORE(fault, why, " (/)") : 0;
	while (result == 0) {
		char *name = walk.left + strspn(walk.left, "/"), *end = name + strcspn(name, "/");
		if (name == end)
			return walk.at;
		const char *rest = *end ? end + 1 : end;
		*end = '\0';
		result = step(&walk, name, rest, fault);
	}
	close_fd(&walk.at);
	return -1;
}
