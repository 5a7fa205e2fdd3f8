#define _GNU_SOURCE
#include "base/file.h"

#include "base/system.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int read_at(int fd, void *out, size_t size, uint64_t offset)
{
	for (char *at = out; size;) {
		ssize_t got = pread(fd, at, size, (off_t)offset);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			if (got == 0)
				errno = 0;
			return -1;
		}
		at += got;
		offset += (uint64_t)got;
		size -= (size_t)got;
	}
	return 0;
}

int write_at(int fd, const void *bytes, size_t size, uint64_t offset)
{
	for (const char *at = bytes; size;) {
		ssize_t put = pwrite(fd, at, size, (off_t)offset);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0) {
			if (put == 0)
				errno = ENOSPC;
			return -1;
		}
		at += put;
		offset += (uint64_t)put;
		size -= (size_t)put;
	}
	return 0;
}

ssize_t read_text(int dir, const char *name, char *out, size_t size)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
	if (fd < 0)
		return -1;
	size_t used = 0;
	ssize_t got = 0;
	while (used < size - 1) {
		got = read(fd, out + used, size - 1 - used);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		used += (size_t)got;
	}
	close_keeping_errno(fd);
	out[used] = '\0';
	return got < 0 ? -1 : (ssize_t)used;
}

int write_file(int dir, const char *name, const void *bytes, size_t size, mode_t mode)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return -1;
	int result = write_at(fd, bytes, size, 0);
	close_keeping_errno(fd);
	return result;
}

int replace_file(int dir, const char *name, const char *draft, const void *bytes, size_t size, const struct timespec times[2])
{
	if (write_file(dir, draft, bytes, size, 0400) == 0 && (!times || utimensat(dir, draft, times, AT_SYMLINK_NOFOLLOW) == 0) &&
	    renameat(dir, draft, dir, name) == 0)
		return 0;
	unlinkat(dir, draft, 0);
	return -1;
}

void close_fd(int *fd)
{
	if (*fd >= 0)
		close_keeping_errno(*fd);
	*fd = -1;
}

void close_keeping_errno(int fd)
{
	int saved = errno;
	close(fd);
	errno = saved;
}

/* linux/dirent.h's struct linux_dirent64, which has no header of its own for programs. */
struct listed {
	uint64_t inode, offset;
	uint16_t length;
	uint8_t type;
	char name[];
};

const char *listing_next(struct listing *listing)
{
	for (;;) {
		if (listing->at == listing->end) {
			long got = syscall(SYS_getdents64, listing->fd, listing->bytes, sizeof listing->bytes);
			if (got <= 0)
				return NULL;
			listing->at = 0;
			listing->end = (int)got;
		}
		const struct listed *found = (const void *)(listing->bytes + listing->at);
		listing->at += found->length;
		if (strcmp(found->name, ".") != 0 && strcmp(found->name, "..") != 0)
			return found->name;
	}
}

void absolute_path(const char *path, char *out, size_t size)
{
	char link[40], number[24], here[PATH_MAX];
	CLEANUP(close_fd) int fd = open(path, O_PATH | O_CLOEXEC);
	join(link, sizeof link, "/proc/self/fd/", decimal(number, (uint64_t)fd), (char *)NULL);
	ssize_t length = fd < 0 ? -1 : readlink(link, out, size - 1);
	if (length > 0) {
		out[length] = '\0';
		return;
	}
	if (path[0] != '/' && getcwd(here, sizeof here))
		join(out, size, here, "/", path, (char *)NULL);
	else
		join(out, size, path, (char *)NULL);
}

bool is_named(int dir, const char *name, int fd)
{
	struct stat opened, named;
	return fstat(fd, &opened) == 0 && fstatat(dir, name, &named, AT_SYMLINK_NOFOLLOW) == 0 && opened.st_ino == named.st_ino &&
	       opened.st_dev == named.st_dev;
}

int open_or_make(int dir, const char *name)
{
	if (mkdirat(dir, name, 0700) < 0 && errno != EEXIST)
		return -1;
	return openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int exchange(int dir, const char *name, int other_dir, const char *other)
{
	/* RENAME_EXCHANGE of linux/fs.h, which is no header for programs that include stdio.h, too. */
	return (int)syscall(SYS_renameat2, dir, name, other_dir, other, 1 << 1);
}

int print_bytes(const void *bytes, size_t size, struct fault *fault)
{
	for (const char *text = bytes; size;) {
		ssize_t put = write(STDOUT_FILENO, text, size);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return FAILED(fault, "cannot print: ", reason_text(errno));
		text += put;
		size -= (size_t)put;
	}
	return 0;
}

int print(const char *text, struct fault *fault)
{
	return print_bytes(text, strlen(text), fault);
}
