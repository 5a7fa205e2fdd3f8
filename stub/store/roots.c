#define _GNU_SOURCE
#include "store/roots.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/system.h"
#include "base/text.h"
#include "store/chain.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { TMPFS_MAGIC = 0x01021994 };
#define RAMFS_MAGIC 0x858458f6ul

/* Left free beside a tree, for the app and everybody else. */
enum { RESERVE = 16 << 20 };

/* A store's share: half of its file system, and on a tmpfs no more than a quarter of the memory, which is half of what a
 * tmpfs is given by default. The rest is the app's own, and everybody's. (tmprun/store/prune.py has the same.) */
enum { SHARE_OF_SPACE = 2, SHARE_OF_MEMORY = 4 };

enum kind { ANY, ONLY_TMPFS, OF_THE_USER, CHOSEN };

static void add(struct roots *roots, const char *parent, const char *name, enum kind kind)
{
	if (!parent || roots->count == ROOTS_MAX)
		return;
	struct root *root = &roots->list[roots->count];
	root->only_tmpfs = kind == ONLY_TMPFS;
	root->make_above = kind == OF_THE_USER || kind == CHOSEN;
	root->chosen = kind == CHOSEN;
	if (join(root->path, sizeof root->path, parent, name, (char *)NULL))
		roots->count++;
}

static void add_cache(struct roots *roots, const struct environment *environment)
{
	char cache[PATH_MAX];
	const char *home = environment_path(environment, HOME), *named = environment_path(environment, XDG_CACHE_HOME);
	if (named)
		add(roots, named, "/tmprun", OF_THE_USER);
	else if (home && strcmp(home, "/") != 0 && join(cache, sizeof cache, home, "/.cache", (char *)NULL))
		add(roots, cache, "/tmprun", OF_THE_USER);
}

/* Whoever names it, and for whatever: a root in XDG_RUNTIME_DIR is looked at as one. */
static void mark_runtime(struct roots *roots, const struct environment *environment)
{
	const char *runtime = environment_path(environment, XDG_RUNTIME_DIR);
	size_t length = runtime ? strlen(runtime) : 0;
	for (unsigned i = 0; runtime && i < roots->count; i++)
		roots->list[i].in_runtime =
			strncmp(roots->list[i].path, runtime, length) == 0 && strcmp(roots->list[i].path + length, "/tmprun") == 0;
}

bool roots_cache(struct root *root, const struct environment *environment)
{
	/* A list is large, and the caller may have a small stack. */
	CLEANUP(free_pointer) struct roots *one = zeroed(1, sizeof *one);
	if (!one)
		return false;
	add_cache(one, environment);
	mark_runtime(one, environment);
	*root = one->list[0];
	return one->count == 1;
}

static void add_chosen(struct roots *roots, const char *chosen)
{
	char here[PATH_MAX];
	if (chosen[0] == '/')
		add(roots, chosen, "", CHOSEN);
	else if (getcwd(here, sizeof here) && join(here + strlen(here), sizeof here - strlen(here), "/", chosen, (char *)NULL))
		add(roots, here, "", CHOSEN);
}

static void add_usual(struct roots *roots, const struct environment *environment, bool extract_and_run)
{
	char name[40], runtime[40], number[24];
	join(name, sizeof name, "/tmprun-", decimal(number, geteuid()), (char *)NULL);
	join(runtime, sizeof runtime, "/run/user/", number, (char *)NULL);
	const char *temporary = environment_path(environment, TMPDIR);
	add(roots, environment_path(environment, APPIMAGE_TARGET_DIR), name, ANY);
	if (extract_and_run)
		add(roots, temporary, name, ANY);
	const char *told = environment_path(environment, XDG_RUNTIME_DIR);
	add(roots, told, "/tmprun", ANY);
	add(roots, temporary ? temporary : "/tmp", name, ONLY_TMPFS);
	if (!told || strcmp(told, runtime) != 0)
		add(roots, runtime, "/tmprun", ONLY_TMPFS);
	/* Last of those in memory: who makes a /dev of his own for a part of an app (bwrap --dev, firejail) has another one there. */
	add(roots, "/dev/shm", name, ONLY_TMPFS);
	add_cache(roots, environment);
	add(roots, temporary, name, ANY);
	add(roots, "/var/tmp", name, ANY);
}

void roots_list(struct roots *roots, const struct environment *environment, const char *chosen, bool extract_and_run)
{
	*roots = (struct roots){0};
	if (!chosen)
		chosen = environment_text(environment, TMPRUN_STORE);
	if (chosen && *chosen)
		add_chosen(roots, chosen);
	else
		add_usual(roots, environment, extract_and_run);
	mark_runtime(roots, environment);
}

bool root_is_tmpfs(int fd)
{
	struct statfs fs;
	return fstatfs(fd, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || (unsigned long)fs.f_type == RAMFS_MAGIC);
}

/* The directory that `path` lies in, or would, and the last name of it. */
static bool split(const char *path, char above[PATH_MAX], const char **name)
{
	join(above, PATH_MAX, path, (char *)NULL);
	char *slash = strrchr(above, '/');
	while (slash && slash > above && !slash[1]) { /* a slash at the end names nothing */
		*slash = '\0';
		slash = strrchr(above, '/');
	}
	if (!slash || !slash[1])
		return false;
	*name = path + (slash - above) + 1;
	slash[slash == above] = '\0';
	return true;
}

static int make_in(int above, const char *name, struct fault *fault)
{
	return mkdirat(above, name, 0700) < 0 && errno != EEXIST ? BAD_STORE(fault, reason_text(errno)) : 0;
}

/* The directory that ours lies in; made when missing, if `make` allows that. */
static int open_above(const char *path, bool make, struct fault *fault)
{
	char grand[PATH_MAX];
	const char *name;
	struct fault reason = {0};
	int fd = chain_open(path, &reason);
	if (fd >= 0 || errno != ENOENT || !make || !split(path, grand, &name))
		return fd >= 0 ? fd : BAD_STORE(fault, reason.text);
	CLEANUP(close_fd) int above = chain_open(grand, fault);
	return above < 0 || make_in(above, name, fault) < 0 ? -1 : chain_open(path, fault);
}

/* XDG_RUNTIME_DIR itself must be ours, too: after `sudo -E` it is another's. */
static int check_runtime_directory(const struct root *root, struct fault *fault)
{
	struct stat stat;
	char runtime[PATH_MAX];
	if (!root->in_runtime)
		return 0;
	join(runtime, strlen(root->path) - strlen("/tmprun") + 1, root->path, (char *)NULL);
	if (lstat(runtime, &stat) < 0)
		return BAD_STORE(fault, reason_text(errno));
	if (!S_ISDIR(stat.st_mode))
		return BAD_STORE(fault, S_ISLNK(stat.st_mode) ? "XDG_RUNTIME_DIR is a symlink" : "XDG_RUNTIME_DIR is not a directory");
	if (stat.st_uid != geteuid())
		return BAD_STORE(fault, "XDG_RUNTIME_DIR belongs to another user");
	return (stat.st_mode & 0777) == 0700 ? 0 : BAD_STORE(fault, "XDG_RUNTIME_DIR is open to others (its mode is not 0700)");
}

/* Ours, in the open directory `above`. */
static int open_ours(const struct root *root, int above, const char *name, bool create, struct fault *fault)
{
	static const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(above, name, flags);
	if (fd < 0 && errno == ENOENT && create) {
		if (root->only_tmpfs && !root_is_tmpfs(above))
			return BAD_STORE(fault, "not a tmpfs");
		if (make_in(above, name, fault) < 0)
			return -1;
		fd = openat(above, name, flags);
	}
	if (fd < 0) {
		bool symlink = errno == ELOOP || errno == ENOTDIR;
		return BAD_STORE(fault, symlink ? "is a symlink or not a directory" : reason_text(errno));
	}
	return fd;
}

#ifdef TMPRUN_SMALL
#define open_again(root) (-1)
#define remember(root, stat) ((void)0)
#else
/* A start opens the store and the disk cache for the app, for its slice, and for each thing that is remembered; looking at every directory above
 * them is most of that. The very directory that was found good may be used again, whatever its path has passed through since. */
static struct known {
	char path[PATH_MAX];
	struct stat stat;
} known[2];

static bool is_the_same(const struct stat *now, const struct stat *then)
{
	return now->st_dev == then->st_dev && now->st_ino == then->st_ino && now->st_uid == then->st_uid && now->st_mode == then->st_mode;
}

static int open_again(const struct root *root)
{
	const struct known *found = NULL;
	struct stat stat;
	for (size_t i = 0; i < COUNT(known); i++)
		if (strcmp(known[i].path, root->path) == 0)
			found = &known[i];
	int fd = found ? openat(AT_FDCWD, root->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
	if (fd >= 0 && (fstat(fd, &stat) < 0 || !is_the_same(&stat, &found->stat)))
		close_fd(&fd);
	return fd;
}

static void remember(const struct root *root, const struct stat *stat)
{
	static unsigned next;
	struct known *place = &known[next++ % COUNT(known)];
	join(place->path, sizeof place->path, root->path, (char *)NULL);
	place->stat = *stat;
}
#endif

int root_open(const struct root *root, bool create, struct fault *fault)
{
	char path[PATH_MAX];
	const char *name;
	int again = open_again(root);
	if (again >= 0)
		return again;
	if (check_runtime_directory(root, fault) < 0)
		return -1;
	if (!split(root->path, path, &name))
		return BAD_STORE(fault, "is no place for a store");
	/* A level above only where it is the user's own: /dev/shm, /tmp and /var/tmp are not for us to make, as root could. */
	CLEANUP(close_fd) int above = open_above(path, create && root->make_above, fault);
	int fd = above < 0 ? -1 : open_ours(root, above, name, create, fault);
	if (fd < 0)
		return -1;
	struct stat stat;
	const char *reason = NULL;
	if (fstat(fd, &stat) < 0)
		reason = reason_text(errno);
	else if (stat.st_uid != geteuid())
		reason = "belongs to another user";
	else if ((stat.st_mode & 07777 & ~(mode_t)S_ISGID) != 0700)
		reason = "is open to others (its mode is not 0700)";
	if (!reason) {
		remember(root, &stat);
		return fd;
	}
	close(fd);
	return BAD_STORE(fault, reason);
}

static int no_room(struct fault *fault, const char *what, uint64_t have, uint64_t need)
{
	char left[24], right[24];
	return BAD_STORE(fault, what, " (", decimal(left, have >> 20), " of ", decimal(right, (need + (1 << 20) - 1) >> 20), " MB)");
}

bool root_allows_programs(int fd, struct fault *fault)
{
	struct statvfs fs;
	if (fstatvfs(fd, &fs) < 0 || !(fs.f_flag & ST_NOEXEC))
		return true;
	BAD_STORE(fault, "mounted noexec");
	return false;
}

int root_has_room(const struct root *root, int fd, uint64_t bytes, uint64_t inodes, struct fault *fault)
{
	struct statvfs fs;
	if (fstatvfs(fd, &fs) < 0)
		return BAD_STORE(fault, reason_text(errno));
	if (fs.f_flag & ST_NOEXEC)
		return BAD_STORE(fault, "mounted noexec");
	if (fs.f_flag & ST_RDONLY)
		return BAD_STORE(fault, "mounted read-only");
	bool tmpfs = root_is_tmpfs(fd);
	if (root->only_tmpfs && !tmpfs)
		return BAD_STORE(fault, "not a tmpfs");
	/* Each file ends in a page of its own that is half empty on average. */
	uint64_t need = bytes + inodes * 2048, have = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (fs.f_blocks && have < need)
		return no_room(fault, "too little space", have, need);
	if (fs.f_files && fs.f_favail < inodes + 16)
		return BAD_STORE(fault, "too few inodes");
	uint64_t memory = tmpfs ? memory_available() : UINT64_MAX;
	return memory < need + RESERVE ? no_room(fault, "too little memory", memory, need + RESERVE) : 0;
}

uint64_t root_share(int fd)
{
	struct statvfs fs;
	if (fstatvfs(fd, &fs) < 0 || !fs.f_blocks)
		return UINT64_MAX;
	uint64_t space = (uint64_t)fs.f_blocks * fs.f_frsize / SHARE_OF_SPACE;
	uint64_t memory = root_is_tmpfs(fd) ? memory_ours() / SHARE_OF_MEMORY : UINT64_MAX;
	return space < memory ? space : memory;
}

uint64_t root_taken(int fd)
{
	struct statvfs fs;
	return fstatvfs(fd, &fs) < 0 ? 0 : (uint64_t)(fs.f_blocks - fs.f_bfree) * fs.f_frsize;
}
