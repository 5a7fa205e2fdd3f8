#define _GNU_SOURCE
#include "foreign/first.h"

#include "base/file.h"
#include "base/system.h"
#include "foreign/known.h"
#include "foreign/read.h"
#include "gate/mode.h"
#include "store/layout.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* File systems of this machine's own kernel that write down when a file was changed (linux/magic.h). A server, or a FUSE process,
 * may say what it likes. */
static bool tells_of_changes(int fd)
{
	static const uint32_t known[] = {
		0xEF53,     /* ext2, ext3, ext4 */
		0x58465342, /* XFS */
		0x9123683E, /* Btrfs */
		0xF2F52010, /* F2FS */
		0xCA451A4E, /* bcachefs */
		0x794C7630, /* overlayfs */
		0x73717368, /* squashfs */
		0xE0F5E1E2, /* EROFS */
		0x9660,     /* ISO 9660 */
	};
	struct statfs fs;
	if (fstatfs(fd, &fs) < 0)
		return false;
	for (size_t i = 0; i < COUNT(known); i++)
		if ((uint32_t)fs.f_type == known[i])
			return true;
	return false;
}

/* Whether nobody has the file open to write, which somebody could do through a mapping: on a tmpfs no time tells of that. */
static bool has_no_writer(int fd)
{
	return fcntl(fd, F_SETLEASE, F_RDLCK) == 0 && fcntl(fd, F_SETLEASE, F_UNLCK) == 0;
}

static int wanted_mode(const struct request *request)
{
	return gate_mode(request->fill ? request->fill : environment_text(&request->environment, TMPRUN_FILL));
}

bool first_may_go(const struct request *request, const struct image *image, const struct raw_index *made)
{
	const struct index_head *head = made->bytes;
	int mode = wanted_mode(request);
	if (strcmp(request->verb, "run") != 0 || request->verify || image->unsettled || mode == FILL_EAGER)
		return false;
	if (mode == FILL_AUTO && gate_is_small(head))
		return false;
	return has_no_writer(image->fd) || tells_of_changes(image->fd);
}

void first_mark(const struct image *image, struct raw_index *made)
{
	struct index_head *head = made->bytes;
	char identity[IDENTITY_SIZE];
	image_identity(&image->stat, identity);
	head->flags |= INDEX_UNHASHED;
	sha256(identity, strlen(identity), head->image_sha256);
}

/* Who started the image; in the filler, a copy of that. */
static const struct request *started;

/* The entry's own index becomes the one with the digests, so that its tree is found by the image's key. When it was built stays. */
static void replace_index(int entry_fd, const struct index *index)
{
	char draft[NAME_SIZE];
	struct stat before;
	fresh_name(draft, ENTRY_INDEX);
	if (fstatat(entry_fd, ENTRY_INDEX, &before, AT_SYMLINK_NOFOLLOW) == 0)
		replace_file(entry_fd, ENTRY_INDEX, draft, index->bytes, index->size, (struct timespec[]){before.st_atim, before.st_mtim});
}

static void move_trace(const struct index *index, const char *trace)
{
	char place[PATH_MAX];
	layout_trace(index->key_text, &started->environment, place);
	if (*trace && *place)
		rename(trace, place);
}

static void hash_behind(const struct image *image, int entry_fd, const char *trace)
{
	struct fault ignored = {0};
	struct image hashed = *image;
	void *bytes = malloc(image->index.size);
	if (!bytes)
		return;
	memcpy(bytes, image->index.bytes, image->index.size);
	hashed.index.bytes = bytes;
	hashed.index.head = bytes;
	if (reading_hash_loaded(&hashed, &ignored) < 0)
		return;
	known_keep(&hashed, &started->environment);
	if (image_is_settled(&hashed, started->shown))
		known_remember(&hashed, &started->environment);
	replace_index(entry_fd, &hashed.index);
	started->hashed(started, &hashed);
	move_trace(&hashed.index, trace);
}

bool first_goes(const struct request *request, struct image *image)
{
	if (wanted_mode(request) == FILL_AUTO && image->index.head->flags & INDEX_AT_ONCE)
		return false;
	started = request;
	image->behind = hash_behind;
	return true;
}
