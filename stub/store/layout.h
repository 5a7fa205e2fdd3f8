/* Where everything lies in a store (docs/store.md, "Layout"): no other file of the engine knows the version or a shelf's name. */
#ifndef TMPRUN_STORE_LAYOUT_H
#define TMPRUN_STORE_LAYOUT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/environment.h"
#include "base/fault.h"
#include "base/sha256.h"

enum { KEY_LENGTH = 2 * SHA256_SIZE, NAME_SIZE = KEY_LENGTH + 1 + 16 + 1 };

/* What lies in an entry. */
#define ENTRY_TREE "tree"
#define ENTRY_INDEX "index"
#define ENTRY_SOURCE "source"
#define ENTRY_LEASE "lease"
#define ENTRY_WATCH "watch"
#define ENTRY_FILLER "filler"
#define ENTRY_DOOR "door"
#define ENTRY_SLICE "slice"

/* The shelves that a build uses, as descriptors. */
struct shelves {
	int version, id, tree, lock, stage, trash;
};

#define SHELVES_CLOSED ((struct shelves){-1, -1, -1, -1, -1, -1})

/* Make what is missing of them in the open root. Close them also when this fails. */
int shelves_open(struct shelves *shelves, int root, struct fault *fault);
void shelves_close(struct shelves *shelves);

bool is_key(const char *text, ssize_t length);
/* A name in the stage or the trash that nobody else uses: KEY.RANDOM. */
void fresh_name(char out[NAME_SIZE], const char *key);

/* Whether what lies at `end` in the text that begins at `text` lies on the shelf of locks. */
bool layout_on_locks(const char *text, const char *end);

/* Path of the AppDir that belongs to `key` in the root `root`; false when it is too long. And back again: false when it is none. */
bool layout_tree(const char *root, const char *key, char out[PATH_MAX]);
bool layout_split(const char *tree, char root[PATH_MAX], char key[KEY_LENGTH + 1]);
#ifndef TMPRUN_SMALL
/* Whether the path leads into an AppDir of any store. */
bool layout_in_tree(const char *path);
#endif

/* What the open root remembers of the file with this identity, as readlinkat(2) has it: the key of its tree and stamps. */
ssize_t layout_read_identity(int root, const char *identity, char *out, size_t size);
/* When that was written down. */
int layout_stat_identity(int root, const char *identity, struct stat *out);
/* The shelf of trees in the open root; and the trash beside an open shelf of trees. */
int layout_open_trees(int root);
int layout_open_trash(int trees);
/* The file that is locked by whoever builds the entry with that key, beside an open shelf of trees; made when missing. */
int layout_open_lock(int trees, const char *key);

/* In the disk cache: the name of what is known about a foreign image, likewise; and that thing, opened to be read, or -1. */
ssize_t layout_read_known(int root, const char *identity, char *out, size_t size);
int layout_open_image(int root, const char *name);
/* Its path, in the root at that path; false when it is too long. */
bool layout_image(const char *root, const char *name, char out[PATH_MAX]);

/* The shelf of what is known about foreign images, and the one of what their identities lead to, in the disk cache's open root;
 * made when missing, or -1. */
int layout_open_images(int root);
int layout_open_known(int root);

/* Where the start-up trace of the image with this key is kept; "" when there is no place for it. */
void layout_trace(const char *key, const struct environment *environment, char out[PATH_MAX]);

#endif
