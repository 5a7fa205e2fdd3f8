#include "base/pattern.h"

#include <stddef.h>

/* The set that begins behind `[`: whether `byte` is in it, and where the set ends; NULL when it has no end. */
static const char *match_set(const char *set, char byte, bool *in)
{
	bool negated = *set == '!' || *set == '^';
	const char *at = set + negated, *first = at;
	bool found = false;
	for (; *at && (*at != ']' || at == first); at++) {
		if (*at == '\\' && at[1])
			at++;
		char low = *at, high = *at;
		if (at[1] == '-' && at[2] && at[2] != ']') {
			at += 2;
			high = *at;
		}
		found |= (unsigned char)low <= (unsigned char)byte && (unsigned char)byte <= (unsigned char)high;
	}
	*in = found != negated;
	return *at ? at + 1 : NULL;
}

/* Match one byte of `path` against what `pattern` begins with, `*` excepted: the rest of the pattern, or NULL. */
static const char *match_one(const char *pattern, char byte)
{
	bool in;
	if (*pattern == '?')
		return byte != '/' ? pattern + 1 : NULL;
	if (*pattern == '[') {
		const char *rest = match_set(pattern + 1, byte, &in);
		if (rest)
			return in && byte != '/' ? rest : NULL;
	}
	if (*pattern == '\\' && pattern[1])
		pattern++;
	return *pattern == byte ? pattern + 1 : NULL;
}

bool pattern_matches(const char *pattern, const char *path)
{
	const char *star = NULL, *star_path = NULL;
	for (;;) {
		if (*pattern == '*') {
			star = ++pattern;
			star_path = path;
			continue;
		}
		if (!*pattern && (!*path || *path == '/'))
			return true;
		const char *rest = *path && *pattern ? match_one(pattern, *path) : NULL;
		if (rest) {
			pattern = rest;
			path++;
			continue;
		}
		/* The last star takes one byte more. A star of an earlier component needs no second chance: no star crosses a slash. */
		if (!star || !*star_path || *star_path == '/')
			return false;
		pattern = star;
		path = ++star_path;
	}
}
