/* An image's index with fixups for programs that get a slice's loader. */
#ifndef TMPRUN_SLICES_DERIVE_H
#define TMPRUN_SLICES_DERIVE_H

#include "slices/programs.h"

enum { WATCHED_MAX = 2 };

/* Make `derived` of the image's index: what programs ask for becomes an interpreter each, the first with number `*first`; behind them
 * come the paths of `watched`, up to WATCHED_MAX or a NULL, which no program asks for, so that a start notices when something is
 * another there. 0, or -1. */
int derive_index(const struct index *index, const struct programs *programs, const char *const *watched, struct index *derived,
		 uint32_t *first, struct fault *fault);

#endif
