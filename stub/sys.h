/* Small things that the C library has not, or has too large: faults, whole reads and writes, numbers as text. */
#ifndef TMPRUN_SYS_H
#define TMPRUN_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#define CLEANUP(function) __attribute__((cleanup(function)))
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { EXIT_CANNOT_EXECUTE = 126, EXIT_FAILED = 127 };

/* Who is at fault decides what happens next: a bad image ends the start, a store that fails is followed by the next. */
enum fault_kind { FAULT_NONE, FAULT_IMAGE, FAULT_STORE, FAULT_OTHER };

/* What went wrong, as one line for a person without the leading "tmprun: ". `status` is our exit status. */
struct fault {
	enum fault_kind kind;
	int status;
	char text[1024];
};

/* Join the strings up to a NULL into `fault`, cut where it is full; always returns -1. A first fault is kept. */
int fault_set(struct fault *fault, enum fault_kind kind, int status, ...) __attribute__((sentinel));

#define BAD_IMAGE(fault, ...) fault_set(fault, FAULT_IMAGE, EXIT_CANNOT_EXECUTE, __VA_ARGS__, (char *)NULL)
#define BAD_STORE(fault, ...) fault_set(fault, FAULT_STORE, EXIT_FAILED, __VA_ARGS__, (char *)NULL)
#define FAILED(fault, ...) fault_set(fault, FAULT_OTHER, EXIT_FAILED, __VA_ARGS__, (char *)NULL)

/* Print "tmprun: TEXT" on stderr, unprintable bytes as '?', in one write; returns the fault's status. */
int fault_report(const struct fault *fault);

/* Join the strings up to a NULL into `out`; false when they did not fit (out is then cut, and still a string). */
bool join(char *out, size_t size, ...) __attribute__((sentinel));

/* TMPRUN_LOG=debug: join the strings up to a NULL and print them on stderr as one line. */
void debug_log(const char *first, ...) __attribute__((sentinel));
bool debug_wanted(void);

/* Decimal and lower-case hex text of `value`; returns `out`. */
char *decimal(char out[24], uint64_t value);
char *hexadecimal(char out[24], uint64_t value);
void hex_bytes(char *out, const uint8_t *bytes, size_t count);

/* The decimal number at the start of `text`, UINT64_MAX when there is none or it is too large. */
uint64_t parse_decimal(const char *text);

/* Whether `text` stands somewhere in the `size` bytes. */
bool contains(const char *bytes, size_t size, const char *text);

/* What an errno means, in a few words. (The C library's table has 2 KB more than we need.) */
const char *reason_text(int reason);

/* Read exactly `size` bytes at `offset`: 0; -1 with errno, or errno 0 when the file ends before. */
int read_at(int fd, void *out, size_t size, uint64_t offset);
int write_at(int fd, const void *bytes, size_t size, uint64_t offset);

/* The file `name` in `dir` as a string of at most size - 1 bytes: its length, or -1 with errno. */
ssize_t read_text(int dir, const char *name, char *out, size_t size);
/* Make `name` in `dir` with that content and mode; fails when it exists. 0, or -1 with errno. */
int write_file(int dir, const char *name, const void *bytes, size_t size, mode_t mode);

/* Write `text` to stdout: 0, or -1 with a fault. */
int print(const char *text, struct fault *fault);

void close_fd(int *fd);
void free_pointer(void *pointer_to_pointer);

/* Zeroed room for `count` things, also for none; NULL when there is no memory. */
void *table(size_t count, size_t size);

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

/* CLOCK_MONOTONIC in microseconds. */
uint64_t now_us(void);

/* How many processors this process may use, 1 at least. */
unsigned processors(void);

#endif
