#define _GNU_SOURCE
#include "slices/choose.h"

#include "base/file.h"
#include "base/system.h"
#include "base/text.h"
#include "image/image.h"
#include "slices/own.h"
#include "slices/programs.h"
#include "store/chain.h"
#include "tree/interpreters.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYSTEM_PLACE "/usr/lib/tmprun/libc"
#define SUFFIX ".slice"

void places_list(struct places *places, const struct environment *environment)
{
	const char *data = environment_path(environment, XDG_DATA_HOME), *home = environment_path(environment, HOME);
	places->count = 0;
	if (home && !home[1])
		home = NULL; /* that of users who have none */
	if (data || home)
		if (join(places->list[0], PATH_MAX, data ? data : home, data ? "" : "/.local/share", "/tmprun/libc", (char *)NULL))
			places->count++;
	join(places->list[places->count++], PATH_MAX, SYSTEM_PLACE, (char *)NULL);
}

static bool is_slice_name(const char *name)
{
	size_t length = strlen(name);
	return name[0] != '.' && length > strlen(SUFFIX) && strcmp(name + length - strlen(SUFFIX), SUFFIX) == 0;
}

/* Programs are taken from there: the directory, and each above it, is ours or root's alone. */
static int open_place(const char *place, struct fault *reason)
{
	bool is_there = access(place, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR);
	CLEANUP(close_fd) int checked = is_there ? chain_open(place, reason) : -1;
	int fd = checked < 0 ? -1 : openat(checked, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return checked >= 0 && fd < 0 ? BAD_STORE(reason, reason_text(errno)) : fd;
}

/* Whether they may be used is for choose_slice to find out, and to say. */
bool places_have_any(const struct places *places)
{
	for (unsigned i = 0; i < places->count; i++) {
		CLEANUP(close_fd) int fd = openat(AT_FDCWD, places->list[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		struct listing listing = {.fd = fd};
		for (const char *name; fd >= 0 && (name = listing_next(&listing));)
			if (is_slice_name(name))
				return true;
	}
	return false;
}

uint64_t nanoseconds(const struct timespec *time)
{
	return (uint64_t)time->tv_sec * 1000000000u + (uint64_t)time->tv_nsec;
}

uint64_t places_changed(const struct places *places)
{
	uint64_t newest = 0;
	for (unsigned i = 0; i < places->count; i++) {
		struct stat stat;
		CLEANUP(close_fd) int fd = openat(AT_FDCWD, places->list[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		struct listing listing = {.fd = fd};
		if (fd >= 0 && fstat(fd, &stat) == 0 && nanoseconds(&stat.st_ctim) > newest)
			newest = nanoseconds(&stat.st_ctim);
		for (const char *name; fd >= 0 && (name = listing_next(&listing));)
			if (is_slice_name(name) && fstatat(fd, name, &stat, 0) == 0 && nanoseconds(&stat.st_ctim) > newest)
				newest = nanoseconds(&stat.st_ctim);
	}
	return newest;
}

const char *glibc_text(uint32_t version, char out[GLIBC_TEXT])
{
	char major[24], minor[24];
	join(out, GLIBC_TEXT, "glibc ", decimal(major, version >> 16), ".", decimal(minor, version & 0xffff), (char *)NULL);
	return out;
}

static bool is_trusted(const struct stat *stat, struct fault *reason)
{
	if ((stat->st_uid == geteuid() || stat->st_uid == 0) && !(stat->st_mode & 022))
		return true;
	BAD_IMAGE(reason, "others may write to it");
	return false;
}

/* The version of the slice's glibc, of its index; 0 with the reason when it is of no use here. */
static uint32_t version_inside(struct image *image, struct fault *reason)
{
	int bundle = image_load_bundle(image, reason);
	if (bundle <= 0 || !own_is_slice(&image->index)) {
		BAD_IMAGE(reason, "is no slice, or not whole");
		return 0;
	}
	const struct interpreter *loader = interpreter_at(&image->index, 0);
	if (programs_loader(image->index.strings + loader->path, loader->path_length))
		return loader->need;
	BAD_IMAGE(reason, "is made for another machine");
	return 0;
}

static uint32_t look_at(const char *path, const struct wish *wish, struct ready *ready, struct fault *reason)
{
	CLEANUP(image_close) struct image image = IMAGE_CLOSED;
	char here[GLIBC_TEXT], wanted[GLIBC_TEXT];
	if (image_open(&image, path, reason) < 0 || !is_trusted(&image.stat, reason))
		return 0;
	uint32_t version = wish->roots && ready_find(wish->roots, &image, ready) ? ready->version : version_inside(&image, reason);
	if (version >= wish->need || !version)
		return version;
	BAD_IMAGE(reason, "has ", glibc_text(version, here), ", and ", glibc_text(wish->need, wanted), " is needed");
	return 0;
}

static bool is_among(char *const *tried, const char *path)
{
	while (*tried && strcmp(*tried, path) != 0)
		tried++;
	return *tried;
}

/* The best so far. */
struct choice {
	uint32_t version;
	char *path;
	struct ready *ready;
};

/* Of equally new ones of one place the name decides, so that the order on disk does not. */
static bool is_better(const struct choice *choice, uint32_t version, const char *place, const char *path)
{
	if (version != choice->version)
		return version > choice->version;
	return version && strncmp(path, choice->path, strlen(place)) == 0 && strcmp(path, choice->path) < 0;
}

static void consider(const struct wish *wish, const char *place, const char *path, struct choice *choice, char why[WHY_ROOM])
{
	CLEANUP(ready_release) struct ready ready = READY_NONE;
	struct fault unfit = {0};
	uint32_t version = look_at(path, wish, &ready, &unfit);
	if (!version)
		join(why, WHY_ROOM, path, ": ", unfit.text, (char *)NULL);
	if (!is_better(choice, version, place, path))
		return;
	choice->version = version;
	memcpy(choice->path, path, strlen(path) + 1);
	ready_release(choice->ready);
	*choice->ready = ready;
	ready = READY_NONE;
}

static void choose_in(const struct wish *wish, const char *place, char *const *tried, struct choice *choice, char why[WHY_ROOM])
{
	struct fault reason = {0};
	CLEANUP(close_fd) int fd = open_place(place, &reason);
	struct listing listing = {.fd = fd};
	if (fd < 0 && reason.kind != FAULT_NONE)
		join(why, WHY_ROOM, place, ": ", reason.text, (char *)NULL);
	for (const char *name; fd >= 0 && (name = listing_next(&listing));) {
		char path[PATH_MAX];
		if (is_slice_name(name) && join(path, sizeof path, place, "/", name, (char *)NULL) && !is_among(tried, path))
			consider(wish, place, path, choice, why);
	}
}

bool choose_slice(const struct wish *wish, char *const *tried, char path[PATH_MAX], struct ready *ready, char why[WHY_ROOM])
{
	struct choice best = {0, path, ready};
	for (unsigned i = 0; i < wish->places->count; i++)
		choose_in(wish, wish->places->list[i], tried, &best, why);
	return best.version;
}
