/* Trees that are there already (docs/store.md): found, leased, thrown away. */
#ifndef TMPRUN_STORE_ENTRY_H
#define TMPRUN_STORE_ENTRY_H

#include <limits.h>
#include <stdbool.h>

#include "store/layout.h"
#include "store/roots.h"
#include "store/users.h"

/* A published entry that we hold a lease on. */
struct entry {
	char tree[PATH_MAX]; /* absolute path of the AppDir */
	int lease;           /* shared lock; inherited by the app */
	int tie;             /* to those who fill it; -1: it is complete, or they have none left; inherited by the app */
	bool bare;           /* the machine has nothing at the path of an interpreter that the image brings */
};

/* Open, lock and check the entry `key` on the open shelf `trees` of `root`: 1, or 0 when it is not to be trusted. */
int entry_take(const struct root *root, int trees, const char *key, struct entry *taken);

/* The entry that the file with this identity has in `root`: 1, or 0 when there is none that can be trusted. Reads nothing
 * of the image. */
int entry_find(const struct root *root, const char *identity, struct entry *entry);

/* Take the entry out of the store, since it is damaged or of no use, unless somebody uses it; releases it. With `identity`, also
 * what is remembered about the file that has it. */
void entry_discard(struct entry *entry, const char *identity);

void entry_release(struct entry *entry);

/* Whether a process uses the open entry that is called `name`, its lease not asked for (store/users.h). `everywhere`: also
 * somebody in another PID namespace, which only time tells. */
enum use entry_use(int entry_fd, const char *name, bool everywhere, const pid_t *except);

/* Remove the open entry with that key from the open shelf `trees`, in the order of docs/store.md, "Removing": false when that
 * cannot be, because it is in use, or perhaps in use, or being built, or there is another one by now. Never waits. */
bool entry_retire(int trees, const char *key, int entry_fd, bool everywhere, const pid_t *except);

/* Delete the entry `name` on an open shelf where no start looks for it, unless it is in use: whether it is gone. */
bool entry_dispose(int shelf, const char *name);

/* Delete what is left in the trash, and not in use any more. */
void entry_empty_trash(const struct shelves *shelves);

/* Remove what has that key, if anything: false when it, or an older generation of it, is in use or perhaps in use, and so has to
 * stay until there is another whole tree. The caller has the build lock. */
bool entry_clear(const struct shelves *shelves, const char *key);

/* Give the staged entry `name` the name `key`: 0; -1 with errno, EEXIST or ENOTEMPTY when another one has it. With `replace`, for
 * which the caller has the build lock, that one goes to the trash, and the name leads to one of the two at any time; EINVAL or
 * ENOSYS where the file system cannot do that. */
int entry_publish(const struct shelves *shelves, const char *name, const char *key, bool replace);

/* Delete the open entry with that key, whoever uses it; not while somebody builds it anew. */
void entry_remove(int entry_fd, const char *key);

/* Whether a filler is at work in the open entry. */
bool entry_is_filling(int entry_fd);

#endif
