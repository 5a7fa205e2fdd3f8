#define _GNU_SOURCE
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static bool join_list(char *out, size_t size, const char *first, va_list rest)
{
	size_t used = 0;
	bool fits = true;
	for (const char *text = first; text; text = va_arg(rest, const char *)) {
		size_t length = strlen(text);
		if (length > size - 1 - used) {
			length = size - 1 - used;
			fits = false;
		}
		memcpy(out + used, text, length);
		used += length;
	}
	out[used] = '\0';
	return fits;
}

bool join(char *out, size_t size, ...)
{
	va_list rest;
	va_start(rest, size);
	const char *first = va_arg(rest, const char *);
	bool fits = join_list(out, size, first, rest);
	va_end(rest);
	return fits;
}

int fault_set(struct fault *fault, enum fault_kind kind, int status, ...)
{
	if (fault->kind != FAULT_NONE)
		return -1;
	va_list rest;
	va_start(rest, status);
	const char *first = va_arg(rest, const char *);
	join_list(fault->text, sizeof fault->text, first, rest);
	va_end(rest);
	fault->kind = kind;
	fault->status = status;
	return -1;
}

static void print_line(const char *text)
{
	char line[1100];
	join(line, sizeof line - 1, "tmprun: ", text, (char *)NULL);
	size_t length = strlen(line);
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	line[length++] = '\n';
	if (write(STDERR_FILENO, line, length) < 0)
		return; /* nowhere left to say it */
}

int fault_report(const struct fault *fault)
{
	print_line(fault->text);
	return fault->status;
}

bool debug_wanted(void)
{
	const char *level = getenv("TMPRUN_LOG");
	return level && strcmp(level, "debug") == 0;
}

void debug_log(const char *first, ...)
{
	if (!debug_wanted())
		return;
	char text[1000];
	va_list rest;
	va_start(rest, first);
	join_list(text, sizeof text, first, rest);
	va_end(rest);
	print_line(text);
}

static char *digits(char out[24], uint64_t value, unsigned base)
{
	char reversed[24];
	size_t count = 0;
	do {
		reversed[count++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	for (size_t i = 0; i < count; i++)
		out[i] = reversed[count - 1 - i];
	out[count] = '\0';
	return out;
}

char *decimal(char out[24], uint64_t value)
{
	return digits(out, value, 10);
}

char *hexadecimal(char out[24], uint64_t value)
{
	return digits(out, value, 16);
}

void hex_bytes(char *out, const uint8_t *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		out[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
		out[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
	}
	out[2 * count] = '\0';
}

uint64_t parse_decimal(const char *text)
{
	uint64_t value = 0;
	if (*text < '0' || *text > '9')
		return UINT64_MAX;
	for (; *text >= '0' && *text <= '9'; text++)
		if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
			return UINT64_MAX;
	return value;
}

bool contains(const char *bytes, size_t size, const char *text)
{
	size_t length = strlen(text);
	for (size_t at = 0; at + length <= size; at++)
		if (bytes[at] == text[0] && memcmp(bytes + at, text, length) == 0)
			return true;
	return false;
}

const char *reason_text(int reason)
{
	static const struct {
		int number;
		const char *text;
	} known[] = {
		{EPERM, "operation not permitted"},
		{ENOENT, "no such file or directory"},
		{EIO, "input/output error"},
		{E2BIG, "argument list too long"},
		{EAGAIN, "resource temporarily unavailable"},
		{ENOMEM, "out of memory"},
		{EACCES, "permission denied"},
		{EEXIST, "file exists"},
		{ENOTDIR, "not a directory"},
		{EISDIR, "is a directory"},
		{EINVAL, "invalid argument"},
		{ENFILE, "too many open files in the system"},
		{EMFILE, "too many open files"},
		{ETXTBSY, "text file busy"},
		{EFBIG, "file too large"},
		{ENOSPC, "no space left"},
		{EROFS, "read-only file system"},
		{EMLINK, "too many links"},
		{EPIPE, "broken pipe"},
		{ENAMETOOLONG, "file name too long"},
		{ENOSYS, "function not implemented"},
		{ENOTEMPTY, "directory not empty"},
		{ELOOP, "too many symbolic links"},
		{EDQUOT, "disk quota exceeded"},
	};
	static _Thread_local char other[40];
	char number[24];
	for (size_t i = 0; i < COUNT(known); i++)
		if (known[i].number == reason)
			return known[i].text;
	join(other, sizeof other, "error ", decimal(number, (uint64_t)reason), (char *)NULL);
	return other;
}

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

int print(const char *text, struct fault *fault)
{
	size_t size = strlen(text);
	while (size) {
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

void close_fd(int *fd)
{
	if (*fd >= 0)
		close_keeping_errno(*fd);
	*fd = -1;
}

void *table(size_t count, size_t size)
{
	return calloc(count ? count : 1, size);
}

void free_pointer(void *pointer_to_pointer)
{
	free(*(void **)pointer_to_pointer);
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
		const struct listed *entry = (const void *)(listing->bytes + listing->at);
		listing->at += entry->length;
		if (strcmp(entry->name, ".") != 0 && strcmp(entry->name, "..") != 0)
			return entry->name;
	}
}

uint64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

unsigned processors(void)
{
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof set, &set) < 0)
		return 1;
	int count = CPU_COUNT(&set);
	return count > 0 ? (unsigned)count : 1;
}
