/*
 * AppRun of the corpora that are read in every way there is. It works on its own directory, times what it does, and says
 * on a first line what it found (proof that it did it) and on a second one how long it took, in nanoseconds.
 *
 *   AppRun --run PROGRAM...        run a program there, which says what it found
 *   AppRun --random COUNT FILE     open FILE, read 4 KiB COUNT times from places that only a generator knows
 *   AppRun --map FILE              open FILE, map it, and touch every page
 *   AppRun --stat DIRECTORY        list everything below and stat it
 *   AppRun --first FILE            open FILE and read its first byte
 *
 * Without arguments it ends with 0. corpora/worker.py computes what must be found.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FAILED = 99, PAGE = 4096 };

static void fail(const char *what)
{
	perror(what);
	exit(FAILED);
}

static void enter_own_directory(void)
{
	char path[4096];
	ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
	if (length < 0)
		fail("/proc/self/exe");
	path[length] = '\0';
	*strrchr(path, '/') = '\0';
	if (chdir(path) < 0)
		fail(path);
}

static long long now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ll + time.tv_nsec;
}

static int open_file(const char *name, off_t *size)
{
	struct stat facts;
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &facts) < 0)
		fail(name);
	*size = facts.st_size;
	return fd;
}

/* Its output goes where ours goes. */
static void run(char **argv)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		execvp(argv[0], argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		fail(argv[0]);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		exit(FAILED);
}

/* xorshift64, the same in corpora/worker.py. */
static uint64_t next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static uint64_t first_word(const unsigned char *data)
{
	uint64_t word;
	memcpy(&word, data, sizeof word);
	return word;
}

static uint64_t read_at_random(long count, const char *name)
{
	static unsigned char data[PAGE];
	off_t size;
	uint64_t state = 88172645463325252u, sum = 0;
	int fd = open_file(name, &size);
	uint64_t pages = (uint64_t)size / PAGE;
	for (long i = 0; i < count; i++) {
		if (pread(fd, data, PAGE, (off_t)(next(&state) % pages * PAGE)) != PAGE)
			fail(name);
		sum += first_word(data);
	}
	close(fd);
	return sum;
}

static uint64_t touch(const char *name)
{
	off_t size;
	uint64_t sum = 0;
	int fd = open_file(name, &size);
	const unsigned char *data = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		fail(name);
	for (off_t at = 0; at + PAGE <= size; at += PAGE)
		sum += first_word(data + at);
	munmap((void *)data, (size_t)size);
	close(fd);
	return sum;
}

/* Names, and bytes of what is no directory. */
static void stat_all(int parent, const char *name, uint64_t *count, uint64_t *bytes)
{
	struct dirent *entry;
	struct stat facts;
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	if (!directory)
		fail(name);
	while ((entry = readdir(directory))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (fstatat(fd, entry->d_name, &facts, AT_SYMLINK_NOFOLLOW) < 0)
			fail(entry->d_name);
		++*count;
		if (S_ISDIR(facts.st_mode))
			stat_all(fd, entry->d_name, count, bytes);
		else
			*bytes += (uint64_t)facts.st_size;
	}
	closedir(directory);
}

static uint64_t first_byte(const char *name)
{
	off_t size;
	unsigned char byte;
	int fd = open_file(name, &size);
	if (read(fd, &byte, 1) != 1)
		fail(name);
	close(fd);
	return byte;
}

/* Returns whether it knows the order. */
static int work(int argc, char **argv)
{
	uint64_t count = 0, bytes = 0;
	if (argc > 2 && strcmp(argv[1], "--run") == 0)
		run(argv + 2);
	else if (argc == 4 && strcmp(argv[1], "--random") == 0)
		printf("%llu\n", (unsigned long long)read_at_random(strtol(argv[2], NULL, 10), argv[3]));
	else if (argc == 3 && strcmp(argv[1], "--map") == 0)
		printf("%llu\n", (unsigned long long)touch(argv[2]));
	else if (argc == 3 && strcmp(argv[1], "--stat") == 0) {
		stat_all(AT_FDCWD, argv[2], &count, &bytes);
		printf("%llu %llu\n", (unsigned long long)count, (unsigned long long)bytes);
	} else if (argc == 3 && strcmp(argv[1], "--first") == 0)
		printf("%llu\n", (unsigned long long)first_byte(argv[2]));
	else
		return 0;
	return 1;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 0;
	enter_own_directory();
	long long start = now();
	if (!work(argc, argv))
		return FAILED;
	printf("%lld\n", now() - start);
	return fflush(stdout) == 0 ? 0 : FAILED;
}
