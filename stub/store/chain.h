/* A directory that nobody else can put another one in the place of: every step of its path is checked, from / on (docs/store.md,
 * "Whom a path belongs to"). */
#ifndef TMPRUN_STORE_CHAIN_H
#define TMPRUN_STORE_CHAIN_H

#include "base/fault.h"

/* Open the directory at the absolute `path` (O_PATH); -1 with the reason in `fault`, and errno ENOENT when it is missing. While
 * this descriptor lives and later, the path leads to it for as long as we and root leave it so: each directory on the way, this
 * one included, belongs to us or to root, others may rename nothing in it, and no symlink on the way is another's. */
int chain_open(const char *path, struct fault *fault);

#endif
