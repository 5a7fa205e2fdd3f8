#define _GNU_SOURCE
#include "store/entry.h"

#include "base/fault.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/system.h"
#include "base/text.h"
#include "store/chain.h"
#include "store/tie.h"
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
	/* Complete and untouched; or being filled, when every open waits for its own file. Who filled it may have left meanwhile,
	 * since it is complete. */
	CLEANUP(close_fd) int tie = -1;
	if (!watch_holds(entry_fd) && (!entry_is_filling(entry_fd) || tie_make(entry_fd, &tie) < 0) && !watch_holds(entry_fd)) {
		debug_log("the tree in ", root->path, " is not as it was published", (char *)NULL);
		return 0;
	}
	if (!layout_tree(root->path, key, taken->tree))
		return 0;
	futimens(lease, NULL); /* its last use, for prune */
	taken->lease = lease;
	taken->tie = tie;
	lease = tie = -1;
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

/* When the file of the open entry was last written; 0 when it is not there. */
static time_t written(int entry_fd, const char *file)
{
	struct stat stat;
	return fstatat(entry_fd, file, &stat, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : stat.st_mtim.tv_sec;
}

enum use entry_use(int entry_fd, const char *name, bool everywhere, const pid_t *except)
{
	time_t built = written(entry_fd, ENTRY_INDEX);
	struct question question = {.name = name, .built = built ? built : written(entry_fd, "."), .except = except};
	question.last_use = everywhere ? written(entry_fd, ENTRY_LEASE) : 0;
	return users_look(&question);
}

/* Its lease, exclusively: 1 with the descriptor, -1 in it where there is no lease; 0 when somebody has it. */
static int lease_claim(int entry_fd, int *lease)
{
	*lease = openat(entry_fd, ENTRY_LEASE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (*lease < 0)
		return errno == ENOENT;
	return flock(*lease, LOCK_EX | LOCK_NB) == 0;
}

bool entry_dispose(int shelf, const char *name)
{
	pid_t us[] = {getpid(), 0};
	CLEANUP(close_fd) int entry_fd = openat(shelf, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	CLEANUP(close_fd) int lease = -1;
	if (entry_fd < 0)
		return errno == ENOENT || tree_remove(shelf, name) == 0; /* what is no directory is nobody's tree */
	return lease_claim(entry_fd, &lease) && entry_use(entry_fd, name, false, us) == USE_NONE && tree_remove(shelf, name) == 0;
}

/* Move what is called `key` to the trash, under the new name. */
static bool trash(int trees, int to, const char *key, char away[NAME_SIZE])
{
	fresh_name(away, key);
	return renameat(trees, key, to, away) == 0;
}

void entry_empty_trash(const struct shelves *shelves)
{
	CLEANUP(close_fd) int fd = openat(shelves->trash, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct listing listing = {.fd = fd};
	for (const char *name; fd >= 0 && (name = listing_next(&listing));)
		if (strlen(name) > KEY_LENGTH && is_key(name, strchr(name, '.') ? strchr(name, '.') - name : 0))
			entry_dispose(shelves->trash, name);
}

bool entry_retire(int trees, const char *key, int entry_fd, bool everywhere, const pid_t *except)
{
	char away[NAME_SIZE];
	CLEANUP(close_fd) int bin = layout_open_trash(trees);
	CLEANUP(close_fd) int lock = layout_open_lock(trees, key);
	CLEANUP(close_fd) int lease = -1;
	/* Who builds it has the lock, and who looks at it anew waits for it; so nobody exchanges it under our hands. */
	if (bin < 0 || lock < 0 || flock(lock, LOCK_EX | LOCK_NB) < 0 || !lease_claim(entry_fd, &lease))
		return false;
	if (!is_named(trees, key, entry_fd) || entry_use(entry_fd, key, everywhere, except) != USE_NONE || !trash(trees, bin, key, away))
		return false;
	close_fd(&lock);
	tree_remove(bin, away); /* what resists is left in the trash, and tried again */
	return true;
}

/* Whether an older generation of the entry lies in the trash, since it is in use. */
static bool has_older(int trash, const char *key)
{
	CLEANUP(close_fd) int fd = openat(trash, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct listing listing = {.fd = fd};
	for (const char *name; fd >= 0 && (name = listing_next(&listing));)
		if (strncmp(name, key, KEY_LENGTH) == 0)
			return true;
	return false;
}

bool entry_clear(const struct shelves *shelves, const char *key)
{
	char away[NAME_SIZE];
	pid_t us[] = {getpid(), 0};
	CLEANUP(close_fd) int lease = -1;
	CLEANUP(close_fd) int entry_fd = openat(shelves->tree, key, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (entry_fd < 0 && errno != ENOENT)
		return trash(shelves->tree, shelves->trash, key, away) && entry_dispose(shelves->trash, away); /* no directory: planted */
	if (entry_fd < 0 && !has_older(shelves->trash, key))
		return true;
	if (entry_fd >= 0 && !lease_claim(entry_fd, &lease))
		return false;
	if (entry_use(entry_fd >= 0 ? entry_fd : shelves->tree, key, false, us) != USE_NONE)
		return false;
	if (entry_fd >= 0 && trash(shelves->tree, shelves->trash, key, away))
		tree_remove(shelves->trash, away);
	return true;
}

int entry_publish(const struct shelves *shelves, const char *name, const char *key, bool replace)
{
	char away[NAME_SIZE];
	if (!replace)
		return renameat(shelves->stage, name, shelves->tree, key);
	if (exchange(shelves->stage, name, shelves->tree, key) < 0)
		return errno == ENOENT ? renameat(shelves->stage, name, shelves->tree, key) : -1;
	/* Dead before this, we leave it in the stage, where it is treated alike. */
	fresh_name(away, key);
	if (renameat(shelves->stage, name, shelves->trash, away) == 0)
		entry_dispose(shelves->trash, away);
	return 0;
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
	pid_t us[] = {getpid(), 0};
	CLEANUP(close_fd) int entry_fd = openat(shelves.tree, key, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (entry_fd >= 0)
		entry_retire(shelves.tree, key, entry_fd, false, us);
	if (identity)
		unlinkat(shelves.id, identity, 0);
}

/* The entry lies where no start looks: in the trash, or wherever else its path leads. */
static void remove_unnamed(int shelf, int entry_fd)
{
	char link[40], number[24], path[PATH_MAX];
	join(link, sizeof link, "/proc/self/fd/", decimal(number, (uint64_t)entry_fd), (char *)NULL);
	ssize_t length = readlink(link, path, sizeof path - 1);
	path[length < 0 ? 0 : length] = '\0';
	const char *name = strrchr(path, '/');
	if (name && is_named(shelf, name + 1, entry_fd))
		tree_remove(shelf, name + 1);
}

void entry_remove(int entry_fd, const char *key)
{
	char away[NAME_SIZE];
	CLEANUP(close_fd) int shelf = openat(entry_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(close_fd) int bin = shelf < 0 ? -1 : layout_open_trash(shelf);
	CLEANUP(close_fd) int lock = shelf < 0 ? -1 : layout_open_lock(shelf, key);
	if (bin < 0 || lock < 0)
		return;
	if (!is_named(shelf, key, entry_fd)) {
		remove_unnamed(shelf, entry_fd);
		return;
	}
	/* Whoever builds it anew takes it away himself; and between our look and our rename, we would take his. */
	if (flock(lock, LOCK_EX | LOCK_NB) < 0 || !is_named(shelf, key, entry_fd) || !trash(shelf, bin, key, away))
		return;
	close_fd(&lock);
	tree_remove(bin, away);
}

void entry_release(struct entry *entry)
{
	close_fd(&entry->lease);
	close_fd(&entry->tie);
}
