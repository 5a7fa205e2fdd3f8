/* Shell patterns for --appimage-extract, as fnmatch(3) has them with FNM_PATHNAME and FNM_LEADING_DIR, on bytes. (The C
 * library's knows every character's class in every script, in 15 KB.) */
#ifndef TMPRUN_BASE_PATTERN_H
#define TMPRUN_BASE_PATTERN_H

#include <stdbool.h>

/* Whether `pattern` (`*`, `?`, `[a-z]`, `[!a-z]`, `\`; none matches a slash) matches `path` or a directory above it. */
bool pattern_matches(const char *pattern, const char *path);

#endif
