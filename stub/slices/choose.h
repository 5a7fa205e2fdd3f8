/* The slices that this machine has: files in two directories (docs/libc.md). */
#ifndef TMPRUN_SLICES_CHOOSE_H
#define TMPRUN_SLICES_CHOOSE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/environment.h"
#include "slices/ready.h"

enum { PLACES_MAX = 2, WHY_ROOM = 512, TRIED_MAX = 8 };

struct places {
	char list[PLACES_MAX][PATH_MAX];
	unsigned count;
};

void places_list(struct places *places, const struct environment *environment);
/* Whether there is a file in any of them. */
bool places_have_any(const struct places *places);

/* When anything was last changed about these directories and the slices in them, in nanoseconds; 0 when there are none. */
uint64_t places_changed(const struct places *places);
uint64_t nanoseconds(const struct timespec *time);

/* "glibc 2.36" of major << 16 | minor; returns `out`. */
enum { GLIBC_TEXT = 64 };
const char *glibc_text(uint32_t version, char out[GLIBC_TEXT]);

/* What is looked for, and where. */
struct wish {
	const struct places *places;
	const struct roots *roots; /* where its tree may be; NULL: nobody cares */
	uint32_t need;             /* the least version of glibc */
};

/* The one to try: of this machine, the newest that is not among those `tried`, paths up to a NULL; if there is a tree of it, that is
 * `ready`. False when there is none; then `why` says what is there instead, or is "". */
bool choose_slice(const struct wish *wish, char *const *tried, char path[PATH_MAX], struct ready *ready, char why[WHY_ROOM]);

#endif
