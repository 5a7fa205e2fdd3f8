/* Files: whole reads and writes, lists of names, paths. */
#ifndef TMPRUN_BASE_FILE_H
#define TMPRUN_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/fault.h"

/* Read exactly `size` bytes at `offset`: 0; -1 with errno, or errno 0 when the file ends before. */
int read_at(int fd, void *out, size_t size, uint64_t offset);
int write_at(int fd, const void *bytes, size_t size, uint64_t offset);

/* The file `name` in `dir` as a string of at most size - 1 bytes: its length, or -1 with errno. */
ssize_t read_text(int dir, const char *name, char *out, size_t size);
/* Make `name` in `dir` with that content and mode; fails when it exists. 0, or -1 with errno. */
int write_file(int dir, const char *name, const void *bytes, size_t size, mode_t mode);
/* Give `name` in `dir` that content at once: it is made as `draft` (0400), has these times if there are any, and is renamed. 0, or -1. */
int replace_file(int dir, const char *name, const char *draft, const void *bytes, size_t size, const struct timespec times[2]);

/* For CLEANUP: closes what is open, keeping errno. */
void close_fd(int *fd);

/* Close `fd`, keeping errno: for error paths. */
void close_keeping_errno(int fd);

/* The names in an open directory, one by one, without "." and ".."; start with {.fd = fd}. NULL at the end. (The C library's
 * readdir allocates, and the filler must not.) */
struct listing {
	int fd;
	int at, end;
	char bytes[2048] __attribute__((aligned(8)));
};
const char *listing_next(struct listing *listing);

/* Whether `name` in `dir` is what is open as `fd`. */
bool is_named(int dir, const char *name, int fd);

/* Open directory `name` in `dir`, made with 0700 when missing. */
int open_or_make(int dir, const char *name);

/* Exchange what two names lead to, in one step: 0, or -1 with errno (EINVAL where the file system cannot). */
int exchange(int dir, const char *name, int other_dir, const char *other);

/* `path` as an absolute one without symlinks, as APPIMAGE has it; falls back to joining it to the working directory. */
void absolute_path(const char *path, char *out, size_t size);

/* Write all of it on stdout. */
int print_bytes(const void *bytes, size_t size, struct fault *fault);
int print(const char *text, struct fault *fault);

#endif
