/* The programs of an image that ask for glibc's loader, and for which version of the C library. */
#ifndef TMPRUN_SLICES_PROGRAMS_H
#define TMPRUN_SLICES_PROGRAMS_H

#include <stdbool.h>

#include "foreign/files.h"

enum { ASKED_MAX = 3 /* names that programs have for one loader: /lib64/..., /lib/... */ };

struct programs {
	/* As in an index, by their nodes, but `interpreter` counts in `asked`. */
	struct fixup *fixups;
	uint32_t count;
	struct asked {
		char path[MAX_INTERPRETER + 1];
		uint32_t length, need; /* the highest version, major << 16 | minor */
	} asked[ASKED_MAX];
	uint32_t asked_count;
	uint32_t wanted; /* the highest that a program or a library requires: an image may bring libraries that are not loaded everywhere */
};

/* The loader of this machine's glibc, as most programs name it. */
#ifdef __aarch64__
#define GLIBC_LOADER "/lib/ld-linux-aarch64.so.1"
#else
#define GLIBC_LOADER "/lib64/ld-linux-x86-64.so.2"
#endif

/* Whether the path's last part is the loader's. */
bool programs_loader(const char *path, size_t length);

/* Look at all of them; none are found when the image brings a C library together with its loader. 0, or -1 when there is no memory.
 * Free them with programs_free. */
int programs_find(struct files *files, struct programs *programs, struct fault *fault);
/* The highest version that a program requires; and let none require less than that. */
uint32_t programs_need(const struct programs *programs);
void programs_raise(struct programs *programs, uint32_t need);
void programs_free(struct programs *programs);

#endif
