#define _GNU_SOURCE
#include "store/roots.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/system.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { TMPFS_MAGIC = 0x01021994 };

/* The owner that a user namespace shows for everybody who does not exist in it, root included (user_namespaces(7)). */
enum { OVERFLOW_USER = 65534 };
#define RAMFS_MAGIC 0x858458f6ul

/* Left free beside a tree, for the app and everybody else. */
enum { RESERVE = 16 << 20 };

/* A store's share: half of its file system, and on a tmpfs no more than a quarter of the memory, which is half of what a
 * tmpfs is given by default. The rest is the app's own, and everybody's. (tmprun/prune.py has the same.) */
enum { SHARE_OF_SPACE = 2, SHARE_OF_MEMORY = 4 };

#define ANY ((struct root){.only_tmpfs = false})
#define ONLY_TMPFS ((struct root){.only_tmpfs = true})
#define OF_THE_USER ((struct root){.make_above = true})
#define CHOSEN ((struct root){.make_above = true, .chosen = true})

static void add(struct roots *roots, const char *parent, const char *name, struct root kind)
{
	if (!parent || roots->count == ROOTS_MAX)
		return;
	struct root *root = &roots->list[roots->count];
	*root = kind;
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
	struct roots one = {0};
	add_cache(&one, environment);
	mark_runtime(&one, environment);
	*root = one.list[0];
	return one.count == 1;
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
	char name[40], number[24];
	join(name, sizeof name, "/tmprun-", decimal(number, geteuid()), (char *)NULL);
	const char *temporary = environment_path(environment, TMPDIR);
	add(roots, environment_path(environment, APPIMAGE_TARGET_DIR), name, ANY);
	if (extract_and_run)
		add(roots, temporary, name, ANY);
	add(roots, environment_path(environment, XDG_RUNTIME_DIR), "/tmprun", ANY);
	add(roots, "/dev/shm", name, ONLY_TMPFS);
	add(roots, temporary ? temporary : "/tmp", name, ONLY_TMPFS);
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

/* Why nothing of ours is to be made in the open directory `above`; or NULL. */
static const char *unfit(int above, bool only_tmpfs)
{
	struct stat stat;
	if (fstat(above, &stat) < 0)
		return reason_text(errno);
	/* Its owner could exchange what we make there: after `sudo -E`, HOME is the user's. */
	if (stat.st_uid != geteuid() && stat.st_uid != 0 && stat.st_uid != OVERFLOW_USER)
		return "lies in a directory of another user";
	return only_tmpfs && !root_is_tmpfs(above) ? "not a tmpfs" : NULL;
}

/* Make `path`, and so many levels above it, where they are missing; the reason why not, or NULL. */
static const char *make_directory(const char *path, unsigned levels, bool only_tmpfs)
{
	struct stat there;
	char above[PATH_MAX];
	if (lstat(path, &there) == 0)
		return NULL; /* what it is, is looked at once it is open */
	join(above, sizeof above, path, (char *)NULL);
	char *slash = strrchr(above, '/');
	const char *name = path + (slash - above) + 1;
	slash[slash == above] = '\0';
	if (!*name)
		return make_directory(above, levels, only_tmpfs);
	const char *reason = levels ? make_directory(above, levels - 1, only_tmpfs) : NULL;
	if (reason)
		return reason;
	CLEANUP(close_fd) int fd = open(above, O_PATH | O_DIRECTORY | O_CLOEXEC);
	reason = fd < 0 ? reason_text(errno) : unfit(fd, only_tmpfs);
	if (!reason && mkdirat(fd, name, 0700) < 0 && errno != EEXIST)
		reason = reason_text(errno);
	return reason;
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

int root_open(const struct root *root, bool create, struct fault *fault)
{
	if (check_runtime_directory(root, fault) < 0)
		return -1;
	/* A level above only where it is the user's own: /dev/shm, /tmp and /var/tmp are not for us to make, as root could. */
	const char *reason = create ? make_directory(root->path, root->make_above, root->only_tmpfs) : NULL;
	if (reason)
		return BAD_STORE(fault, reason);
	int fd = open(root->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		bool symlink = errno == ELOOP || errno == ENOTDIR;
		return BAD_STORE(fault, symlink ? "is a symlink or not a directory" : reason_text(errno));
	}
	struct stat stat;
	if (fstat(fd, &stat) < 0)
		reason = reason_text(errno);
	else if (stat.st_uid != geteuid())
		reason = "belongs to another user";
	else if ((stat.st_mode & 07777 & ~(mode_t)S_ISGID) != 0700)
		reason = "is open to others (its mode is not 0700)";
	if (!reason)
		return fd;
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
