/* Which nodes of an image an extraction takes: what matches a pattern, and what that needs. */
#ifndef TMPRUN_START_SELECT_H
#define TMPRUN_START_SELECT_H

#include "base/fault.h"
#include "image/index.h"

/* A flag for each node: one that matches a pattern, or lies below one that does; what such a link leads to, symlinks on the way
 * among it; and the directories above all of these. Slashes around a pattern, and a "./" before it, do not count (they are taken
 * off). `missed` becomes the first pattern that nothing matches, or NULL. The caller frees what is returned; NULL when there is
 * no memory. */
uint8_t *select_nodes(const struct index *index, char **patterns, int count, const char **missed);

#endif
