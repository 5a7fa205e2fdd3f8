#define _GNU_SOURCE
#include "base/fault.h"

#include "base/printable.h"
#include "base/system.h"
#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

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
	join(line, sizeof line, "tmprun: ", (char *)NULL);
	size_t length = strlen(line);
	printable(line + length, sizeof line - 1 - length, text);
	length = strlen(line);
	line[length++] = '\n';
	if (write(STDERR_FILENO, line, length) < 0)
		return; /* nowhere left to say it */
}

int fault_report(const struct fault *fault)
{
	print_line(fault->text);
	return fault->status;
}

static bool debug_is_on;

void debug_choose(const char *level)
{
	debug_is_on = level && strcmp(level, "debug") == 0;
}

void debug_log(const char *first, ...)
{
	if (!debug_is_on)
		return;
	char text[1000];
	va_list rest;
	va_start(rest, first);
	join_list(text, sizeof text, first, rest);
	va_end(rest);
	print_line(text);
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
