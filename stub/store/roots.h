/* The directories that may hold a store, and why one may not be used (docs/store.md, "Roots"). */
#ifndef TMPRUN_STORE_ROOTS_H
#define TMPRUN_STORE_ROOTS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/environment.h"
#include "base/fault.h"

enum { ROOTS_MAX = 9 };

/* 4 KiB: not for the stack by the dozen, which may be small. */
struct root {
	char path[PATH_MAX]; /* our own directory in it, absolute */
	bool only_tmpfs;     /* to be used only when it is a tmpfs */
	bool make_above;     /* the directory that it lies in is the user's, too, and made when missing */
	bool in_runtime;     /* the directory that it lies in is XDG_RUNTIME_DIR */
	bool chosen;         /* named for this alone: it has no share, but all that there is */
};

struct roots {
	struct root list[ROOTS_MAX];
	unsigned count;
};

/* Fill in the candidates in order, without touching the file system. `chosen` is --store's argument or NULL; with
 * `extract_and_run` the user's TMPDIR comes first. */
void roots_list(struct roots *roots, const struct environment *environment, const char *chosen, bool extract_and_run);

/* The one that is also the disk cache of what is known about foreign images; false when there is no home for it. */
bool roots_cache(struct root *root, const struct environment *environment);

/* Open our directory in `root`, when it is there and ours alone: its descriptor; -1 with the reason in `fault`.
 * With `create` it is made first. */
int root_open(const struct root *root, bool create, struct fault *fault);

/* Whether programs may be executed there; if not, `fault` says so. */
bool root_allows_programs(int fd, struct fault *fault);

/* Whether the open root can take a tree: executable, of the right kind of file system, and with room for `bytes` in
 * `inodes`; -1 with the reason. */
int root_has_room(const struct root *root, int fd, uint64_t bytes, uint64_t inodes, struct fault *fault);
bool root_is_tmpfs(int fd);

/* In bytes: how much of the open root's file system and of memory a store may take (docs/store.md, "Room"), and what is taken of
 * that file system by whomever. */
uint64_t root_share(int fd);
uint64_t root_taken(int fd);

#endif
