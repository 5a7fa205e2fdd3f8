/* The caller's limit for the size of a file (RLIMIT_FSIZE, `ulimit -f`): it is the app's, and not meant for what we unpack. */
#ifndef TMPRUN_START_FILE_LIMIT_H
#define TMPRUN_START_FILE_LIMIT_H

#include <signal.h>
#include <sys/resource.h>

#include "base/fault.h"
#include "image/index.h"

struct file_limit {
	struct rlimit limit;
	struct sigaction action;
};

/* Lift the limit as far as we may, and have a write beyond it fail (EFBIG) and not kill us (SIGXFSZ), until `callers` is put
 * back; a filler that is forked meanwhile stays free of it. Nothing is lifted, and -1 returned, when even so the largest file
 * of the index cannot be written. */
int file_limit_lift(struct file_limit *callers, const struct index *index, struct fault *fault);
void file_limit_put_back(const struct file_limit *callers);

#endif
