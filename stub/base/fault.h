/* What went wrong, as one line for a person; and the debug log. */
#ifndef TMPRUN_BASE_FAULT_H
#define TMPRUN_BASE_FAULT_H

#include <stddef.h>

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

/* Print "tmprun: TEXT" on stderr, what is not printable escaped, in one write; returns the fault's status. */
int fault_report(const struct fault *fault);

/* Turn the debug log on when `level`, which may be NULL, is "debug". It is off to begin with. */
void debug_choose(const char *level);
/* Join the strings up to a NULL and print them on stderr as one line, when it is on. */
void debug_log(const char *first, ...) __attribute__((sentinel));

/* What an errno means, in a few words. (The C library's table has 2 KB more than we need.) */
const char *reason_text(int reason);

#endif
