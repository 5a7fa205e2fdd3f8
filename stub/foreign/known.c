#define _GNU_SOURCE
#include "foreign/known.h"

#include "base/fault.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/system.h"
#include "base/text.h"
#include "image/index.h"
#include "store/layout.h"
#include "store/roots.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIGEST = 2 * SHA256_SIZE, KNOWN_NAME = DIGEST + 16 };

/* The disk cache, when it is there, or with `make` made: its root; or -1. */
static int open_cache(const struct environment *environment, bool make)
{
	struct root cache;
	struct fault reason = {0};
	return roots_cache(&cache, environment) ? root_open(&cache, make, &reason) : -1;
}

/* The name with that ending that is remembered for the image, in the cache's open root; false when there is none. */
static bool look_up_as(int cache, const struct image *image, const char *ending, char name[KNOWN_NAME])
{
	char identity[IDENTITY_SIZE];
	image_identity(&image->stat, identity);
	ssize_t length = layout_read_known(cache, identity, name, KNOWN_NAME - 1);
	if (length <= DIGEST || strspn(name, "0123456789abcdef") != DIGEST)
		return false;
	name[length] = '\0';
	return strcmp(name + DIGEST, ending) == 0;
}

static bool look_up(int cache, const struct image *image, char name[KNOWN_NAME])
{
	return look_up_as(cache, image, ".index", name);
}

/* Open the index that the disk cache has of the image; or -1. */
static int open_known(const struct image *image, const struct environment *environment)
{
	char name[KNOWN_NAME];
	CLEANUP(close_fd) int cache = open_cache(environment, false);
	if (cache < 0 || !look_up(cache, image, name))
		return -1;
	return layout_open_image(cache, name);
}

/* Owns the descriptor. What the cache has may be stale, damaged or of another version: then it is made anew. */
static bool load_index(struct image *image, int known)
{
	struct fault reason = {0};
	CLEANUP(close_fd) int fd = known;
	if (fd >= 0 && image_load_index(image, fd, &reason) == 0)
		return true;
	index_free(&image->index);
	return false;
}

bool known_load(struct image *image, const struct environment *environment)
{
	return load_index(image, open_known(image, environment));
}

/* Owns the descriptor. */
static bool is_whole_bundle(int fd)
{
	struct fault ignored = {0};
	CLEANUP(image_close) struct image bundle = IMAGE_CLOSED;
	return fd >= 0 && image_take(&bundle, fd, &ignored) == 0 && image_load_bundle(&bundle, &ignored) == 1;
}

bool known_bundle(const struct image *image, const struct environment *environment, char path[PATH_MAX])
{
	struct root root;
	char name[KNOWN_NAME];
	CLEANUP(close_fd) int cache = open_cache(environment, false);
	return cache >= 0 && look_up_as(cache, image, ".bundle", name) && is_whole_bundle(layout_open_image(cache, name)) &&
	       roots_cache(&root, environment) && layout_image(root.path, name, path);
}

/* Whether one of the indices that are kept is of an image of that size. (Of a file that was too fresh when it was hashed nothing else
 * is there to tell.) */
static bool has_index_of_size(int cache, uint64_t size)
{
	CLEANUP(close_fd) int shelf = layout_open_images(cache);
	struct listing names = {.fd = shelf};
	for (const char *each; shelf >= 0 && (each = listing_next(&names));) {
		struct index_head head;
		CLEANUP(close_fd) int fd = openat(shelf, each, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
		if (fd >= 0 && read_at(fd, &head, sizeof head, 0) == 0 && memcmp(head.magic, INDEX_MAGIC, sizeof head.magic) == 0 &&
		    head.image_size == size)
			return true;
	}
	return false;
}

bool known_size(const struct image *image, const struct environment *environment)
{
	char name[KNOWN_NAME];
	CLEANUP(close_fd) int cache = open_cache(environment, false);
	return cache >= 0 && !look_up(cache, image, name) && has_index_of_size(cache, image->size);
}

static void index_of(const uint8_t digest[SHA256_SIZE], char name[KNOWN_NAME])
{
	char text[DIGEST + 1];
	hex_bytes(text, digest, SHA256_SIZE);
	join(name, KNOWN_NAME, text, ".index", (char *)NULL);
}

bool known_load_digest(struct image *image, const uint8_t digest[SHA256_SIZE], const struct environment *environment)
{
	char name[KNOWN_NAME];
	index_of(digest, name);
	CLEANUP(close_fd) int cache = open_cache(environment, false);
	if (cache < 0 || !load_index(image, layout_open_image(cache, name)))
		return false;
	if (memcmp(image->index.head->image_sha256, digest, SHA256_SIZE) == 0)
		return true;
	index_free(&image->index);
	return false;
}

/* Open NAME.tmp, locked, as the next one who writes it: -1 when somebody else does, or nobody can. The lock is on the file itself: when
 * process A has published it between B's open and B's lock, B holds a lock on published content and must begin again. */
static int begin_draft(int shelf, const char *temporary)
{
	for (;;) {
		struct stat locked, there;
		CLEANUP(close_fd) int fd = openat(shelf, temporary, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
		if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &locked) < 0)
			return -1;
		if (fstatat(shelf, temporary, &there, AT_SYMLINK_NOFOLLOW) < 0 || there.st_ino != locked.st_ino ||
		    there.st_dev != locked.st_dev)
			continue;
		int draft = fd;
		fd = -1;
		return draft;
	}
}

/* Written beside its place, published by one rename. */
static void write_image(int shelf, const char *name, const void *bytes, size_t size)
{
	char temporary[KNOWN_NAME + 8];
	join(temporary, sizeof temporary, name, ".tmp", (char *)NULL);
	CLEANUP(close_fd) int draft = begin_draft(shelf, temporary);
	if (draft < 0)
		return;
	if (ftruncate(draft, 0) < 0 || write_at(draft, bytes, size, 0) < 0 || renameat(shelf, temporary, shelf, name) < 0)
		unlinkat(shelf, temporary, 0);
}

void known_keep(const struct image *image, const struct environment *environment)
{
	char name[KNOWN_NAME];
	CLEANUP(close_fd) int cache = open_cache(environment, true);
	CLEANUP(close_fd) int shelf = cache < 0 ? -1 : layout_open_images(cache);
	index_of(image->index.head->image_sha256, name);
	if (shelf >= 0)
		write_image(shelf, name, image->index.bytes, image->index.size);
}

int known_note_open(const struct index *index, const char *ending, const struct environment *environment)
{
	char name[KNOWN_NAME];
	CLEANUP(close_fd) int cache = open_cache(environment, false);
	return cache >= 0 && join(name, sizeof name, index->key_text, ending, (char *)NULL) ? layout_open_image(cache, name) : -1;
}

void known_note_keep(const struct index *index, const char *ending, const void *bytes, size_t size, const struct environment *environment)
{
	char name[KNOWN_NAME];
	CLEANUP(close_fd) int cache = open_cache(environment, true);
	CLEANUP(close_fd) int shelf = cache < 0 ? -1 : layout_open_images(cache);
	if (shelf >= 0 && join(name, sizeof name, index->key_text, ending, (char *)NULL))
		write_image(shelf, name, bytes, size);
}

void known_remember(const struct image *image, const struct environment *environment)
{
	char identity[IDENTITY_SIZE], name[KNOWN_NAME], before[KNOWN_NAME];
	CLEANUP(close_fd) int cache = open_cache(environment, true);
	CLEANUP(close_fd) int shelf = cache < 0 ? -1 : layout_open_known(cache);
	if (shelf < 0)
		return;
	image_identity(&image->stat, identity);
	index_of(image->index.head->image_sha256, name);
	if (symlinkat(name, shelf, identity) == 0 || errno != EEXIST || (look_up(cache, image, before) && strcmp(before, name) == 0))
		return;
	if (unlinkat(shelf, identity, 0) == 0 && symlinkat(name, shelf, identity) < 0)
		debug_log("this image is not remembered: ", reason_text(errno), (char *)NULL);
}
