#define _GNU_SOURCE
#include "store/room.h"

#include "base/file.h"
#include "base/system.h"
#include "base/text.h"
#include "store/entry.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	IDLE_MAX = 256,
	PAGE_ROUNDING = 2048, /* each file ends in a page of its own that is half empty on average */
};

/* An entry that may give way. */
struct idle {
	char key[KEY_LENGTH + 1];
	int64_t last_use; /* seconds; less than anything once it was asked in vain */
	uint64_t size;    /* bytes, what its index says */
};

struct search {
	const struct root *root;
	const struct shelves *shelves;
	const char *key;
	const struct room *room;
	bool all;
	uint64_t ours; /* bytes that our entries take */
	unsigned count;
	struct idle idle[IDLE_MAX];
};

struct room room_of(const struct index *index, bool on_demand)
{
	/* The nodes, and the entry's own files and directories. */
	struct room room = {.bytes = index->size, .inodes = (uint64_t)index->head->nodes + 8};
	uint64_t largest = 0;
	for (uint32_t n = 0; n < index->head->nodes; n++) {
		const struct node *node = &index->nodes[n];
		uint64_t bytes = 0;
		for (uint32_t s = node->a; node->type == NODE_FILE && s < node->a + node->b; s++)
			bytes += index->segments[s].frame == HOLE ? 0 : index->segments[s].length;
		if (!on_demand || node->flags & NODE_FIRST)
			room.bytes += bytes;
		else if (bytes > largest)
			largest = bytes;
	}
	room.bytes += largest;
	return room;
}

static int fits(const struct search *search, uint64_t ours, struct fault *fault)
{
	const struct room *room = search->room;
	int fd = search->shelves->version;
	if (root_has_room(search->root, fd, room->bytes, room->inodes, fault) < 0)
		return -1;
	uint64_t need = ours + room->bytes + room->inodes * PAGE_ROUNDING, share = search->all ? UINT64_MAX : root_share(fd);
	if (need <= share)
		return 0;
	char left[24], right[24];
	return BAD_STORE(fault, "more than a store's share of it (", decimal(left, need >> 20), " of ", decimal(right, share >> 20),
			 " MB)");
}

static uint64_t size_of(int entry_fd)
{
	struct index_head head;
	CLEANUP(close_fd) int fd = openat(entry_fd, ENTRY_INDEX, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || read_at(fd, &head, sizeof head, 0) < 0)
		return 0;
	return head.content_size + (uint64_t)head.nodes * PAGE_ROUNDING;
}

static int open_entry(const struct search *search, const char *key)
{
	return openat(search->shelves->tree, key, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static void consider(struct search *search, const char *key)
{
	struct stat lease = {0};
	CLEANUP(close_fd) int entry_fd = open_entry(search, key);
	if (entry_fd < 0)
		return;
	uint64_t size = size_of(entry_fd);
	search->ours += size;
	if (search->count == IDLE_MAX || strcmp(key, search->key) == 0)
		return;
	fstatat(entry_fd, ENTRY_LEASE, &lease, AT_SYMLINK_NOFOLLOW);
	struct idle *idle = &search->idle[search->count++];
	*idle = (struct idle){.last_use = lease.st_mtim.tv_sec, .size = size};
	memcpy(idle->key, key, KEY_LENGTH);
	/* A last use that is still to come says that the clock was set back, and nothing else: the oldest of all. */
	if (idle->last_use > time(NULL) + CLOCK_SLACK_S)
		idle->last_use = 1;
}

static void look_around(struct search *search)
{
	CLEANUP(close_fd) int trees = openat(search->shelves->tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct listing listing = {.fd = trees};
	for (const char *name; trees >= 0 && (name = listing_next(&listing));)
		if (is_key(name, (ssize_t)strlen(name)))
			consider(search, name);
}

/* Whether it would fit if all of them were gone. */
static bool is_worth_it(const struct search *search)
{
	uint64_t idle = 0, need = search->room->bytes + search->room->inodes * PAGE_ROUNDING;
	for (unsigned i = 0; i < search->count; i++)
		idle += search->idle[i].size;
	struct room rest = {.bytes = search->room->bytes > idle ? search->room->bytes - idle : 0};
	struct fault ignored = {0};
	return (search->all || need <= root_share(search->shelves->version)) &&
	       root_has_room(search->root, search->shelves->version, rest.bytes, rest.inodes, &ignored) == 0;
}

/* Remove one that nobody uses: false when there is none left. */
static bool give_way(struct search *search)
{
	pid_t us[] = {getpid(), 0};
	for (;;) {
		struct idle *oldest = NULL;
		for (unsigned i = 0; i < search->count; i++)
			if (search->idle[i].last_use > INT64_MIN && (!oldest || search->idle[i].last_use < oldest->last_use))
				oldest = &search->idle[i];
		if (!oldest)
			return false;
		oldest->last_use = INT64_MIN;
		CLEANUP(close_fd) int entry_fd = open_entry(search, oldest->key);
		if (entry_fd < 0 || !entry_retire(search->shelves->tree, oldest->key, entry_fd, true, us))
			continue;
		debug_log("removed an idle tree to make room in ", search->root->path, (char *)NULL);
		search->ours -= oldest->size;
		return true;
	}
}

int room_make(const struct root *root, const struct shelves *shelves, const char *key, const struct room *room, bool all,
	      struct fault *fault)
{
	struct search search = {.root = root, .shelves = shelves, .key = key, .room = room, .all = all || root->chosen};
	struct fault reason = {0};
	/* What everybody has there is more than what we have: mostly there is no need to look any further. */
	if (fits(&search, root_taken(shelves->version), &reason) == 0)
		return 0;
	look_around(&search);
	for (;;) {
		uint64_t taken = root_taken(shelves->version); /* a tree that is filled on demand takes less than it says */
		reason = (struct fault){0};
		if (fits(&search, search.ours < taken ? search.ours : taken, &reason) == 0)
			return 0;
		if (!is_worth_it(&search) || !give_way(&search)) {
			*fault = reason;
			return -1;
		}
	}
}
