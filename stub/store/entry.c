#define _GNU_SOURCE
#include "store/entry.h"

#include "base/fault.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/system.h"
#include "base/text.h"
#include "store/chain.h"
#include "store/users.h"
#include "store/watch.h"
#include "tree/interpreters.h"
#include "tree/remove.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static bool ours(int fd, struct stat *stat)
{
	return fstat(fd, stat) == 0 && stat->st_uid == geteuid() && (stat->st_mode & 0777) == 0700;
}

bool entry_is_filling(int entry_fd)
{
	CLEANUP(close_fd) int fd = openat(entry_fd, ENTRY_FILLER, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

/* Take a lease on `name` in the directory `trees`; with it held the entry cannot go away. */
static int lease_take(int trees, const char *name, struct stat *stat, int *entry_fd)
{
	*entry_fd = openat(trees, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*entry_fd < 0 || !ours(*entry_fd, stat))
		return -1;
	int lease = openat(*entry_fd, ENTRY_LEASE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (lease >= 0 && flock(lease, LOCK_SH | LOCK_NB) < 0)
		close_fd(&lease);
	return lease;
}

int entry_take(const struct root *root, int trees, const char *key, struct entry *taken)
{
	struct stat opened, named;
	CLEANUP(close_fd) int entry_fd = -1;
	CLEANUP(close_fd) int lease = lease_take(trees, key, &opened, &entry_fd);
	/* Prune (P) and we (W): W opens, P locks and renames and unlocks, W locks. The name then no longer leads to what W has. */
	if (lease < 0 || fstatat(trees, key, &named, AT_SYMLINK_NOFOLLOW) < 0 || named.st_ino != opened.st_ino ||
	    named.st_dev != opened.st_dev)
		return 0;
	/* Complete and untouched; or being filled, when every open waits for its own file. */
	if (!watch_holds(entry_fd) && !entry_is_filling(entry_fd)) {
		debug_log("the tree in ", root->path, " is not as it was published", (char *)NULL);
		return 0;
	}
	if (!layout_tree(root->path, key, taken->tree))
		return 0;
	futimens(lease, NULL); /* its last use, for prune */
	taken->lease = lease;
	lease = -1;
	return 1;
}

int entry_find(const struct root *root, const char *identity, struct entry *entry)
{
	struct fault reason = {0};
	CLEANUP(close_fd) int fd = root_open(root, false, &reason);
	if (fd < 0 || !root_allows_programs(fd, &reason))
		return 0;
	char key[KEY_LENGTH + STAMPS_SIZE] = "";
	if (layout_read_identity(fd, identity, key, sizeof key - 1) < KEY_LENGTH)
		return 0;
	entry->bare = stamps_lack(key + KEY_LENGTH);
	if (!stamps_hold(key + KEY_LENGTH) || !is_key(key, (ssize_t)strlen(key)))
		return 0;
	CLEANUP(close_fd) int trees = layout_open_trees(fd);
	return trees < 0 ? 0 : entry_take(root, trees, key, entry);
}

void entry_clear(const struct shelves *shelves, const char *key)
{
	char away[NAME_SIZE];
	fresh_name(away, key);
	if (renameat(shelves->tree, key, shelves->trash, away) < 0)
		return;
	char lease_name[NAME_SIZE + 8];
	join(lease_name, sizeof lease_name, away, "/" ENTRY_LEASE, (char *)NULL);
	CLEANUP(close_fd) int lease = openat(shelves->trash, lease_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (lease >= 0 && flock(lease, LOCK_EX | LOCK_NB) < 0)
		return;
	/* An app may have closed its lease: then its processes still show. */
	char path[TRASHED_SIZE];
	pid_t ours[] = {getpid(), 0};
	layout_trashed(away, path);
	if (users_each(path, ours, NULL, NULL) <= 0)
		tree_remove(shelves->trash, away);
}

void entry_discard(struct entry *entry, const char *identity)
{
	char base[PATH_MAX], key[KEY_LENGTH + 1];
	entry_release(entry);
	if (!layout_split(entry->tree, base, key))
		return;
	struct fault ignored = {0};
	CLEANUP(shelves_close) struct shelves shelves = SHELVES_CLOSED;
	CLEANUP(close_fd) int root = chain_open(base, &ignored);
	if (root < 0 || shelves_open(&shelves, root, &ignored) < 0)
		return;
	entry_clear(&shelves, key);
	if (identity)
		unlinkat(shelves.id, identity, 0);
}

void entry_remove(int entry_fd, const char *key)
{
	struct stat mine, there;
	CLEANUP(close_fd) int trees = openat(entry_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(close_fd) int trash = trees < 0 ? -1 : layout_open_trash(trees);
	if (trees < 0 || trash < 0 || fstat(entry_fd, &mine) < 0 || fstatat(trees, key, &there, AT_SYMLINK_NOFOLLOW) < 0 ||
	    mine.st_ino != there.st_ino || mine.st_dev != there.st_dev)
		return;
	char name[2 * SHA256_SIZE + 32], number[24];
	join(name, sizeof name, key, ".", decimal(number, (uint64_t)getpid()), (char *)NULL);
	if (renameat(trees, key, trash, name) == 0)
		tree_remove(trash, name);
}

void entry_release(struct entry *entry)
{
	close_fd(&entry->lease);
}
