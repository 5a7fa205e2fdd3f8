/* A payload that compares what it reads of its AppDir with the truth, a directory that $TRUTH names, byte by byte.
 *
 * Arguments are orders, done one after the other:
 *   read=SEED,PROCESSES,THREADS  each of that many threads in each of that many processes reads every file, in an order of its own
 *   open=PATH  nonblock=PATH     one file, compared; with O_NONBLOCK
 *   wait=FILE  touch=FILE  sleep=SECONDS
 *   children                     what waitpid(-1) and waitpid(-1, __WALL) say
 *   env=NAME  chdir=PATH
 * Lines on stdout: "right NUMBER" after read, "wrong PATH at OFFSET: BYTE", "failed PATH: ERRNO". */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_FILES = 65536, BLOCK = 1 << 16 };

static const char *truth, *appdir;
static char *files[MAX_FILES];
static int file_count;

static void fail(const char *what)
{
	printf("probe: %s: %s\n", what, strerror(errno));
	exit(99);
}

/* Name every file below `below`, itself relative to the truth. */
static void list(const char *below)
{
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/%s", truth, below);
	DIR *directory = opendir(path);
	if (!directory)
		fail(path);
	for (struct dirent *entry; (entry = readdir(directory));) {
		char inside[PATH_MAX], whole[2 * PATH_MAX];
		struct stat stat;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(inside, sizeof inside, "%s%s%s", below, *below ? "/" : "", entry->d_name);
		snprintf(whole, sizeof whole, "%s/%s", truth, inside);
		if (lstat(whole, &stat) < 0)
			fail(whole);
		if (S_ISDIR(stat.st_mode))
			list(inside);
		else if (S_ISREG(stat.st_mode) && file_count < MAX_FILES)
			files[file_count++] = strdup(inside);
	}
	closedir(directory);
}

static int compare(const char *path, int flags)
{
	char here[PATH_MAX], there[PATH_MAX];
	static _Thread_local char mine[BLOCK], right[BLOCK];
	snprintf(here, sizeof here, "%s/%s", appdir, path);
	snprintf(there, sizeof there, "%s/%s", truth, path);
	int fd = open(here, O_RDONLY | O_CLOEXEC | flags);
	if (fd < 0) {
		printf("failed %s: %s\n", path, strerror(errno));
		return 0;
	}
	int other = open(there, O_RDONLY | O_CLOEXEC);
	long long at = 0;
	for (;;) {
		ssize_t have = pread(fd, mine, BLOCK, at), want = pread(other, right, BLOCK, at);
		ssize_t same = 0;
		while (same < have && same < want && mine[same] == right[same])
			same++;
		if (have != want || same < have) {
			printf("wrong %s at %lld: %d\n", path, at + same, same < have ? mine[same] & 255 : -1);
			break;
		}
		if (have == 0)
			break;
		at += have;
	}
	close(fd);
	close(other);
	return 1;
}

static void *read_all(void *argument)
{
	unsigned seed = *(unsigned *)argument;
	int order[file_count + 1];
	long right = 0;
	for (int i = 0; i < file_count; i++)
		order[i] = i;
	for (int i = file_count - 1; i > 0; i--) {
		int j = rand_r(&seed) % (i + 1), kept = order[i];
		order[i] = order[j];
		order[j] = kept;
	}
	for (int i = 0; i < file_count; i++)
		right += compare(files[order[i]], 0);
	return (void *)right;
}

static void read_in_threads(unsigned seed, unsigned threads)
{
	pthread_t thread[threads];
	unsigned seeds[threads];
	long right = 0;
	for (unsigned i = 0; i < threads; i++) {
		seeds[i] = seed * 1000 + i;
		if (pthread_create(&thread[i], NULL, read_all, &seeds[i]) != 0)
			fail("thread");
	}
	for (unsigned i = 0; i < threads; i++) {
		void *count;
		pthread_join(thread[i], &count);
		right += (long)count;
	}
	printf("right %ld\n", right);
	fflush(stdout);
}

static void read_in_processes(const char *what)
{
	unsigned seed = 1, processes = 1, threads = 1;
	sscanf(what, "%u,%u,%u", &seed, &processes, &threads);
	if (!file_count)
		list("");
	for (unsigned i = 1; i < processes; i++) {
		fflush(stdout);
		if (fork() != 0)
			continue;
		read_in_threads(seed * 100 + i, threads);
		_exit(0);
	}
	read_in_threads(seed * 100, threads);
	for (unsigned i = 1; i < processes; i++) {
		int status = -1;
		if (wait(&status) < 0 || status != 0)
			printf("failed process: %d\n", status);
	}
}

static void say_children(void)
{
	int plain = waitpid(-1, NULL, WNOHANG) < 0 ? errno : 0;
	int all = waitpid(-1, NULL, WNOHANG | __WALL) < 0 ? errno : 0;
	printf("children %s, %s\n", plain == ECHILD ? "none" : "some", all == ECHILD ? "none" : "some");
}

static void touch(const char *path)
{
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
}

int main(int argc, char **argv)
{
	truth = getenv("TRUTH");
	appdir = getenv("APPDIR");
	for (int i = 1; i < argc; i++) {
		char *value = strchr(argv[i], '=');
		size_t length = value ? (size_t)(value++ - argv[i]) : strlen(argv[i]);
#define ORDER(name) (length == strlen(name) && strncmp(argv[i], name, length) == 0)
		if (ORDER("read"))
			read_in_processes(value);
		else if (ORDER("open"))
			printf(compare(value, 0) ? "right 1\n" : "");
		else if (ORDER("nonblock"))
			printf(compare(value, O_NONBLOCK) ? "right 1\n" : "");
		else if (ORDER("wait"))
			while (access(value, F_OK) < 0)
				usleep(2000);
		else if (ORDER("touch"))
			touch(value);
		else if (ORDER("sleep"))
			usleep((useconds_t)(atof(value) * 1e6));
		else if (ORDER("children"))
			say_children();
		else if (ORDER("env"))
			printf("env %s\n", getenv(value) ? getenv(value) : "(none)");
		else if (ORDER("chdir") && chdir(value) == 0)
			continue;
		else
			fail(argv[i]);
		fflush(stdout);
	}
	return 0;
}
