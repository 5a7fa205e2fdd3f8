#define _GNU_SOURCE
#include "start/build.h"

#include "base/file.h"
#include "base/system.h"
#include "base/text.h"
#include "gate/gate.h"
#include "gate/state.h"
#include "gate/trace.h"
#include "store/layout.h"
#include "store/room.h"
#include "store/stage.h"
#include "store/watch.h"
#include "tree/fill.h"
#include "tree/interpreters.h"
#include "tree/remove.h"
#include "tree/retarget.h"
#include "tree/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_entry(int entry_fd, const struct image *image, const char *source)
{
	if (write_file(entry_fd, ENTRY_INDEX, image->index.bytes, image->index.size, 0400) < 0)
		return -1;
#ifndef TMPRUN_SMALL
	const char *notes = image->sliced ? image->sliced->notes : "";
	if (*notes && write_file(entry_fd, ENTRY_SLICE, notes, strlen(notes), 0400) < 0)
		return -1;
#endif
	return write_file(entry_fd, ENTRY_SOURCE, source, strlen(source), 0400);
}

/* What is to be built, and how. */
struct building {
	const struct root *root;
	const struct shelves *shelves;
	const struct image *image;
	const struct request *request;
	enum fill_mode mode;
	bool anew;                 /* what is there is damaged, though it does not look so */
	bool all;                  /* of what room there is, and not a store's share alone */
	bool replace;              /* what has the name is in use: it stays until this is whole */
	char key[KEY_LENGTH + 1];  /* the entry's name */
	char trace[PATH_MAX];      /* where the start-up trace is kept, or "" */
	struct retarget retarget;
};

/* Remember which tree the file has on a machine with these stamps, unless the file could change without its identity showing
 * it. */
static void record_identity(const struct building *building, const char *stamps)
{
	const struct shelves *shelves = building->shelves;
	const struct image *image = building->image;
	const char *key = building->key;
	if (!image_is_settled(image, building->request->path))
		return;
	char identity[IDENTITY_SIZE], name[NAME_SIZE], text[KEY_LENGTH + STAMPS_SIZE];
	image_identity(&image->stat, identity);
	join(text, sizeof text, key, stamps, (char *)NULL);
	if (symlinkat(text, shelves->id, identity) == 0 || errno != EEXIST)
		return;
	fresh_name(name, key);
	if (symlinkat(text, shelves->stage, name) == 0 && renameat(shelves->stage, name, shelves->id, identity) < 0)
		unlinkat(shelves->stage, name, 0);
}

static struct tree tree_of(const struct building *building, int root)
{
	return (struct tree){.index = &building->image->index,
			     .root = root,
			     .sealed = true,
			     .retarget = building->retarget.lacking ? &building->retarget : NULL};
}

static int fill_gated(const struct building *building, int entry_fd, int root, struct fault *fault)
{
	struct gate gate = {.image = building->image,
			    .tree = tree_of(building, root),
			    .mode = building->mode,
			    .entry_fd = entry_fd,
			    .key = building->key,
			    .trace = building->trace};
	return gate_start(&gate, fault);
}

#ifdef TMPRUN_SMALL
#define say_that(request, what) ((void)0)
#else
static void say_that(const struct request *request, const char *what)
{
	if (request->lasts)
		request->lasts(request, what);
}
#endif

static int fill_eagerly(const struct building *building, int entry_fd, int root, struct fault *fault)
{
	struct tree tree = tree_of(building, root);
	say_that(building->request, "unpacking");
	int filled = fill_tree(building->image, &tree, processors(), fault);
	say_that(building->request, NULL);
	if (filled < 0)
		return -1;
	if (!image_unchanged(building->image))
		return BAD_IMAGE(fault, "changed while it was unpacked; start it again");
	if (watch_write(entry_fd, &building->image->index, false) < 0)
		return BAD_STORE(fault, reason_text(errno));
#ifndef TMPRUN_SMALL
	/* It was to start before it is hashed, and could not be filled behind the app. */
	if (building->image->behind)
		building->image->behind(building->image, entry_fd, building->trace);
#endif
	return 0;
}

static int build_tree(const struct building *building, int entry_fd, struct fault *fault)
{
	if (mkdirat(entry_fd, ENTRY_TREE, 0700) < 0)
		return BAD_STORE(fault, reason_text(errno));
	CLEANUP(close_fd) int root = openat(entry_fd, ENTRY_TREE, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (root < 0 || write_entry(entry_fd, building->image, building->request->shown) < 0)
		return BAD_STORE(fault, reason_text(errno));
	return building->mode == FILL_EAGER ? fill_eagerly(building, entry_fd, root, fault) : fill_gated(building, entry_fd, root, fault);
}

/* Build in the stage and publish. */
static int build(const struct building *building, struct fault *fault)
{
	const char *key = building->key;
	const struct shelves *shelves = building->shelves;
	char name[NAME_SIZE];
	fresh_name(name, key);
	if (mkdirat(shelves->stage, name, 0700) < 0)
		return BAD_STORE(fault, reason_text(errno));
	CLEANUP(close_fd) int staged = openat(shelves->stage, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	CLEANUP(close_fd) int lease = staged < 0 ? -1 : openat(staged, ENTRY_LEASE, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
	int result = -1;
	if (lease < 0 || flock(lease, LOCK_EX | LOCK_NB) < 0)
		BAD_STORE(fault, reason_text(errno));
	else
		result = build_tree(building, staged, fault);
	if (result == 0 && entry_publish(shelves, name, key, building->replace) < 0) {
		/* Somebody whom we would not wait for was faster, or what is there is in our way. */
		if (errno == EINVAL || errno == ENOSYS)
			result = BAD_STORE(fault, "what is unpacked there is damaged and in use, and cannot be replaced here");
		else if (errno != EEXIST && errno != ENOTEMPTY)
			result = BAD_STORE(fault, reason_text(errno));
		else
			tree_remove(shelves->stage, name);
	}
	if (result < 0)
		tree_remove(shelves->stage, name);
	else
		debug_log("unpacked into ", building->root->path, building->mode == FILL_EAGER ? "" : ", the rest while it runs",
			  (char *)NULL);
	return result;
}

static int make_room(const struct building *building, bool on_demand, struct fault *fault)
{
	struct room room = room_of(&building->image->index, on_demand);
	return room_make(building->root, building->shelves, building->key, &room, building->all, fault);
}

/* Room for everything; where no root has that, and filling on demand is asked for, for the least that does (room_of). */
static int make_enough_room(const struct building *building, struct fault *fault)
{
	struct fault ignored = {0};
	if (make_room(building, false, fault) == 0)
		return 0;
	if (building->mode != FILL_DEMAND || !(building->all || building->root->chosen) || make_room(building, true, &ignored) < 0)
		return -1;
	*fault = (struct fault){0};
	return 0;
}

/* Gated if that is asked for; wherever that fails, everything first. */
static int build_best(struct building *building, struct fault *fault)
{
	struct fault reason = {0};
	bool on_demand = building->mode == FILL_DEMAND; /* so there may be no room for more */
	building->mode =
		gate_choose(building->mode, &building->image->index, building->shelves->version, trace_turned_away(building->trace));
	if (building->mode != FILL_EAGER) {
		if (build(building, &reason) == 0)
			return 0;
		debug_log("unpacking everything first: ", reason.text, (char *)NULL);
		building->mode = FILL_EAGER;
	}
	if (on_demand && make_room(building, false, fault) < 0)
		return -1;
	return build(building, fault);
}

/* Whoever uses what is there opens files of it by its name. So it stays, and the new one is filled before it takes the name:
 * those who are in the old one would wait for helpers that know nothing of them. */
static void clear_the_way(struct building *building)
{
	building->replace = !entry_clear(building->shelves, building->key);
	if (!building->replace)
		return;
	debug_log("unpacking everything first: the tree that it replaces is in use", (char *)NULL);
	building->mode = FILL_EAGER;
}

static int open_entry(const struct building *building, const char *key)
{
	return openat(building->shelves->tree, key, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* The entry was whole, and no start takes it: somebody has changed what the image brought. It is said once, since the next start takes
 * what is built now. */
static bool is_spoiled(const struct building *building, int fd)
{
	if (building->anew || fd < 0 || faccessat(fd, ENTRY_WATCH, F_OK, 0) < 0 || watch_holds(fd))
		return false;
	fault_report(&(struct fault){.text = "files of the app were changed or removed where it is unpacked; unpacking it anew"});
	return true;
}

/* Before the image was hashed its tree had another key: spoiled, that one helps nobody. */
static void retire_spoiled(const struct building *building, int root)
{
	char identity[IDENTITY_SIZE], key[KEY_LENGTH + STAMPS_SIZE] = "";
	pid_t us[] = {getpid(), 0};
	image_identity(&building->image->stat, identity);
	if (layout_read_identity(root, identity, key, sizeof key - 1) < KEY_LENGTH)
		return;
	key[KEY_LENGTH] = '\0';
	if (!is_key(key, KEY_LENGTH) || strcmp(key, building->key) == 0)
		return;
	CLEANUP(close_fd) int fd = open_entry(building, key);
	if (is_spoiled(building, fd))
		entry_retire(building->shelves->tree, key, fd, false, us);
}

static int find_or_build(struct building *building, struct entry *entry, struct fault *fault)
{
	const char *key = building->key;
	const struct shelves *shelves = building->shelves;
	CLEANUP(close_fd) int lock = -1;
	int unlocked = stage_lock(shelves, key, &lock);
	if (unlocked < 0)
		return BAD_STORE(fault, "cannot lock: ", reason_text(errno));
	if (!building->anew && entry_take(building->root, shelves->tree, key, entry))
		return 0;
	/* Without the lock, what is there may be what another one of us published or began just now. */
	if (!unlocked) {
		stage_sweep(shelves, key);
		entry_empty_trash(shelves);
		CLEANUP(close_fd) int fd = open_entry(building, key);
		is_spoiled(building, fd);
		clear_the_way(building);
	}
	if (make_enough_room(building, fault) < 0)
		return -1;
	for (int attempt = 0; attempt < 3; attempt++) {
		if (attempt && !unlocked)
			clear_the_way(building); /* whoever was to fill it is gone already */
		if (attempt)
			building->mode = FILL_EAGER;
		if (build_best(building, fault) < 0)
			return -1;
		if (entry_take(building->root, shelves->tree, key, entry))
			return 0;
	}
	return BAD_STORE(fault, "what was unpacked there is gone again at once");
}

int build_provide(const struct request *request, const struct root *root, const struct image *image, struct manner manner,
		  struct entry *entry, struct fault *fault)
{
	CLEANUP(close_fd) int fd = root_open(root, true, fault);
	CLEANUP(shelves_close) struct shelves shelves = SHELVES_CLOSED;
	if (fd < 0 || !root_allows_programs(fd, fault) || shelves_open(&shelves, fd, fault) < 0)
		return -1;
	struct building building = {.root = root,
				    .shelves = &shelves,
				    .image = image,
				    .request = request,
				    .mode = manner.mode,
				    .all = manner.all,
				    .anew = manner.anew};
	char stamps[STAMPS_SIZE];
	stamps_take(retarget_index(image), stamps);
	retarget_plan(&building.retarget, image, root->path, building.key);
	if (!layout_tree(root->path, building.key, building.retarget.tree))
		building.retarget.lacking = 0; /* a path that long cannot be executed either */
	layout_trace(image->index.key_text, &request->environment, building.trace);
	trace_say_end(building.trace);
	bool found = !manner.anew && entry_take(root, shelves.tree, building.key, entry);
	if (!found)
		retire_spoiled(&building, fd);
	if (!found && find_or_build(&building, entry, fault) < 0)
		return -1;
	entry->bare = stamps_lack(stamps);
	retarget_stamp(&building.retarget, stamps);
#ifndef TMPRUN_SMALL
	request->mark(request, stamps);
#endif
	record_identity(&building, stamps);
	return 0;
}
