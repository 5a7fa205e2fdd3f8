#define _GNU_SOURCE
#include "tree/remove.h"

#include "base/file.h"
#include "base/system.h"
#include "image/index.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Our trees are at most MAX_DEPTH deep, below an entry's own directory. */
enum { REMOVE_DEPTH = MAX_DEPTH + 8 };

static int remove_below(int dir, const char *name, int depth);

static int empty_directory(int fd, int depth)
{
	CLEANUP(close_fd) int open = fd;
	struct listing listing = {.fd = open};
	int result = 0;
	for (const char *name; result == 0 && (name = listing_next(&listing));)
		if (unlinkat(open, name, 0) < 0 && errno != ENOENT)
			result = errno == EISDIR || errno == EPERM ? remove_below(open, name, depth + 1) : -1;
	return result;
}

/* The app may have made directories that even it cannot read. */
static int open_to_empty(int dir, const char *name)
{
	static const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(dir, name, flags);
	if (fd < 0 && errno == EACCES && syscall(SYS_fchmodat, dir, name, 0700) == 0)
		fd = openat(dir, name, flags);
	return fd;
}

static int remove_below(int dir, const char *name, int depth)
{
	if (depth > REMOVE_DEPTH) {
		errno = ELOOP;
		return -1;
	}
	int fd = open_to_empty(dir, name);
	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	fchmod(fd, 0700); /* the image's directories may have no write bit */
	if (empty_directory(fd, depth) < 0)
		return -1;
	return unlinkat(dir, name, AT_REMOVEDIR);
}

int tree_remove(int dir, const char *name)
{
	/* Also what is no directory: something planted, or an identity whose writer was killed before it had its name. */
	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	return errno == EISDIR || errno == EPERM ? remove_below(dir, name, 0) : -1;
}
