#define _GNU_SOURCE
#include "store/layout.h"

#include "base/file.h"
#include "base/system.h"
#include "base/text.h"
#include "image/image.h"
#include "store/roots.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* The version of all that follows, and the shelves in it. */
#define VERSION "v1"
#define ID "id"
#define TREE "tree"
#define LOCK "lock"
#define STAGE "stage"
#define TRASH "trash"
#define IMAGE "image"
#define KNOWN "known"
#define TRACE "trace"

/* What stands between a root and a key in the path of an AppDir, and behind the key. */
static const char above_key[] = "/" VERSION "/" TREE "/", below_key[] = "/" ENTRY_TREE;

void shelves_close(struct shelves *shelves)
{
	int *all[] = {&shelves->version, &shelves->id, &shelves->tree, &shelves->lock, &shelves->stage, &shelves->trash};
	for (size_t i = 0; i < COUNT(all); i++)
		close_fd(all[i]);
}

int shelves_open(struct shelves *shelves, int root, struct fault *fault)
{
	shelves->version = open_or_make(root, VERSION);
	if (shelves->version >= 0) {
		shelves->id = open_or_make(shelves->version, ID);
		shelves->tree = open_or_make(shelves->version, TREE);
		shelves->lock = open_or_make(shelves->version, LOCK);
		shelves->stage = open_or_make(shelves->version, STAGE);
		shelves->trash = open_or_make(shelves->version, TRASH);
	}
	if (shelves->version < 0 || shelves->id < 0 || shelves->tree < 0 || shelves->lock < 0 || shelves->stage < 0 || shelves->trash < 0)
		return BAD_STORE(fault, reason_text(errno));
	return 0;
}

bool is_key(const char *text, ssize_t length)
{
	return length == KEY_LENGTH && strspn(text, "0123456789abcdef") == KEY_LENGTH;
}

void fresh_name(char out[NAME_SIZE], const char *key)
{
	uint64_t random;
	if (getrandom(&random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random)
		random = now_us() << 20 ^ (uint64_t)getpid(); /* unique is enough: the directory is ours alone */
	char hex[24];
	join(out, NAME_SIZE, key, ".", hexadecimal(hex, random), (char *)NULL);
}

bool layout_on_locks(const char *text, const char *end)
{
	static const char shelf[] = "/" VERSION "/" LOCK;
	size_t length = sizeof shelf - 1;
	return (size_t)(end - text) >= length && memcmp(end - length, shelf, length) == 0;
}

bool layout_tree(const char *root, const char *key, char out[PATH_MAX])
{
	return join(out, PATH_MAX, root, above_key, key, below_key, (char *)NULL);
}

bool layout_split(const char *tree, char root[PATH_MAX], char key[KEY_LENGTH + 1])
{
	size_t length = strlen(tree), tail = sizeof above_key - 1 + KEY_LENGTH + sizeof below_key - 1;
	if (length <= tail)
		return false;
	join(root, PATH_MAX, tree, (char *)NULL);
	memcpy(key, root + length - tail + sizeof above_key - 1, KEY_LENGTH);
	key[KEY_LENGTH] = '\0';
	root[length - tail] = '\0';
	return true;
}

#ifndef TMPRUN_SMALL
bool layout_in_tree(const char *path)
{
	const char *found = find_text(path, strlen(path), above_key), *key = found ? found + sizeof above_key - 1 : "";
	return strspn(key, "0123456789abcdef") == KEY_LENGTH && strncmp(key + KEY_LENGTH, below_key, sizeof below_key - 1) == 0;
}
#endif

static ssize_t read_link(int root, const char *shelf, const char *identity, char *out, size_t size)
{
	char name[IDENTITY_SIZE + 16];
	join(name, sizeof name, shelf, "/", identity, (char *)NULL);
	return readlinkat(root, name, out, size);
}

ssize_t layout_read_identity(int root, const char *identity, char *out, size_t size)
{
	return read_link(root, VERSION "/" ID, identity, out, size);
}

int layout_stat_identity(int root, const char *identity, struct stat *out)
{
	char path[PATH_MAX];
	join(path, sizeof path, VERSION "/" ID "/", identity, (char *)NULL);
	return fstatat(root, path, out, AT_SYMLINK_NOFOLLOW);
}

int layout_open_trees(int root)
{
	return openat(root, VERSION "/" TREE, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int layout_open_trash(int trees)
{
	return openat(trees, "../" TRASH, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int layout_open_lock(int trees, const char *key)
{
	char path[NAME_SIZE + 16];
	join(path, sizeof path, "../" LOCK "/", key, (char *)NULL);
	return openat(trees, path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
}

ssize_t layout_read_known(int root, const char *identity, char *out, size_t size)
{
	return read_link(root, VERSION "/" KNOWN, identity, out, size);
}

int layout_open_image(int root, const char *name)
{
	char path[NAME_SIZE + 16];
	join(path, sizeof path, VERSION "/" IMAGE "/", name, (char *)NULL);
	return openat(root, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

bool layout_image(const char *root, const char *name, char out[PATH_MAX])
{
	return join(out, PATH_MAX, root, "/" VERSION "/" IMAGE "/", name, (char *)NULL);
}

static int open_shelf(int root, const char *name)
{
	CLEANUP(close_fd) int version = open_or_make(root, VERSION);
	return version < 0 ? -1 : open_or_make(version, name);
}

int layout_open_images(int root)
{
	return open_shelf(root, IMAGE);
}

int layout_open_known(int root)
{
	return open_shelf(root, KNOWN);
}

void layout_trace(const char *key, const struct environment *environment, char out[PATH_MAX])
{
	struct root cache;
	struct fault ignored = {0};
	const char *chosen = environment_text(environment, TMPRUN_TRACE);
	out[0] = '\0';
	if (chosen) {
		absolute_path(chosen, out, PATH_MAX); /* the filler is not where the app is */
		return;
	}
	CLEANUP(close_fd) int fd = roots_cache(&cache, environment) ? root_open(&cache, true, &ignored) : -1;
	CLEANUP(close_fd) int traces = fd < 0 ? -1 : open_shelf(fd, TRACE);
	if (traces >= 0)
		join(out, PATH_MAX, cache.path, "/" VERSION "/" TRACE "/", key, (char *)NULL);
}
