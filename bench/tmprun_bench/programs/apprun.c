/*
 * AppRun of the synthetic corpora: a static program that does as little, or as much, as a case asks for.
 *
 *   AppRun                     exit 0
 *   AppRun --say WORD          print WORD: proof that it is this program that runs
 *   AppRun --read FILE...      read files of its own directory, print their size and a checksum of their words
 *   AppRun --again N FILE...   the same, then N times over, and print what these took, in nanoseconds
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { FAILED = 99, CHUNK = 1 << 17 };

struct sum {
	uint64_t bytes, words;
};

static void fail(const char *what)
{
	perror(what);
	exit(FAILED);
}

static int own_directory(void)
{
	char path[4096];
	ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
	if (length < 0)
		fail("/proc/self/exe");
	path[length] = '\0';
	*strrchr(path, '/') = '\0';
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		fail(path);
	return fd;
}

/* Little-endian 64-bit words, the last one padded with zeros. corpora/synthetic.py computes the same. */
static void add(struct sum *sum, const unsigned char *data, size_t size)
{
	sum->bytes += size;
	for (size_t at = 0; at < size; at += 8) {
		uint64_t word = 0;
		memcpy(&word, data + at, size - at < 8 ? size - at : 8);
		sum->words = sum->words * 0x100000001b3u + word;
	}
}

static void read_file(int directory, const char *name, struct sum *sum)
{
	static unsigned char data[CHUNK];
	int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
	ssize_t got;
	if (fd < 0)
		fail(name);
	while ((got = read(fd, data, sizeof data)) > 0)
		add(sum, data, (size_t)got);
	if (got < 0)
		fail(name);
	close(fd);
}

static void read_files(int directory, char **names, struct sum *sum)
{
	for (; *names; names++)
		read_file(directory, *names, sum);
}

static long long now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ll + time.tv_nsec;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 0;
	if (strcmp(argv[1], "--say") == 0 && argc == 3)
		return puts(argv[2]) < 0 ? FAILED : 0;
	int first = strcmp(argv[1], "--read") == 0 ? 2 : strcmp(argv[1], "--again") == 0 ? 3 : argc;
	if (first >= argc)
		return FAILED;
	long times = first == 3 ? strtol(argv[2], NULL, 10) : 0;
	int directory = own_directory();
	struct sum sum = {0};
	read_files(directory, argv + first, &sum);
	long long start = now();
	for (long i = 0; i < times; i++)
		read_files(directory, argv + first, &sum);
	long long end = now();
	printf("%llu %016llx\n", (unsigned long long)sum.bytes, (unsigned long long)sum.words);
	if (times)
		printf("%lld\n", end - start);
	return fflush(stdout) == 0 ? 0 : FAILED;
}
