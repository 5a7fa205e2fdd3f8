/*
 * The limit of a full extraction, as the hardware and the decoder set it: no tree, no digests, no index.
 *
 *   limit FILE FRAMES DIRECTORY THREADS
 *
 * FRAMES is a binary file of little-endian u64 triples: offset of a zstd frame in FILE, its stored and its plain size.
 * Prints two times as JSON: decoding every frame on THREADS threads, each into a buffer of its own that it uses again for
 * every frame; and writing as many bytes as they all decode to, from such buffers, into fresh pages of new files in
 * DIRECTORY (a tmpfs), on as many threads. FILE is mapped and its pages are touched beforehand: nothing is read or copied.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>

enum { MAX_THREADS = 64, COPY = 1 << 20 };

struct frame {
	uint64_t offset, stored, plain;
};

static const uint8_t *image;
static const struct frame *frames;
static size_t frame_count, largest;
static uint64_t plain_bytes;
static int directory;
static atomic_size_t next_frame;
static atomic_uint_least64_t next_byte;

static void die(const char *what)
{
	fprintf(stderr, "limit: %s: %s\n", what, strerror(errno));
	exit(1);
}

static long long now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ll + time.tv_nsec;
}

static const void *map_file(const char *path, size_t *size)
{
	struct stat stat;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &stat) < 0)
		die(path);
	*size = (size_t)stat.st_size;
	void *memory = mmap(NULL, *size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (memory == MAP_FAILED)
		die(path);
	close(fd);
	return memory;
}

/* A buffer whose pages are there already. */
static uint8_t *buffer(size_t size)
{
	uint8_t *memory = malloc(size);
	if (!memory)
		die("malloc");
	memset(memory, 1, size);
	return memory;
}

static void *decode(void *plain)
{
	ZSTD_DCtx *context = ZSTD_createDCtx();
	size_t number;
	while ((number = atomic_fetch_add(&next_frame, 1)) < frame_count) {
		const struct frame *frame = &frames[number];
		if (ZSTD_decompressDCtx(context, plain, largest, image + frame->offset, frame->stored) != frame->plain)
			die("a frame does not decode to its size");
	}
	ZSTD_freeDCtx(context);
	return NULL;
}

static void *copy(void *plain)
{
	/* Never linked into the directory: gone when it is closed. */
	int fd = openat(directory, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0)
		die("O_TMPFILE");
	while (atomic_fetch_add(&next_byte, COPY) < plain_bytes)
		if (write(fd, plain, COPY) != COPY)
			die("write");
	return (void *)(intptr_t)fd;
}

static long long on_all(unsigned threads, void *(*work)(void *), uint8_t **buffers)
{
	pthread_t started[MAX_THREADS];
	void *results[MAX_THREADS];
	long long start = now();
	for (unsigned i = 0; i < threads; i++)
		if (pthread_create(&started[i], NULL, work, buffers[i]) != 0)
			die("pthread_create");
	for (unsigned i = 0; i < threads; i++)
		pthread_join(started[i], &results[i]);
	return now() - start;
}

int main(int argc, char **argv)
{
	uint8_t *buffers[MAX_THREADS];
	size_t image_size, frames_size;
	unsigned threads = argc == 5 ? (unsigned)atoi(argv[4]) : 0;
	if (threads < 1 || threads > MAX_THREADS)
		return 2;
	image = map_file(argv[1], &image_size);
	frames = map_file(argv[2], &frames_size);
	frame_count = frames_size / sizeof *frames;
	directory = open(argv[3], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		die(argv[3]);
	for (size_t i = 0; i < frame_count; i++) {
		if (frames[i].offset + frames[i].stored > image_size)
			die("a frame lies outside");
		plain_bytes += frames[i].plain;
		if (frames[i].plain > largest)
			largest = frames[i].plain;
	}
	for (unsigned i = 0; i < threads; i++)
		buffers[i] = buffer(largest > COPY ? largest : COPY);
	long long decoding = on_all(threads, decode, buffers);
	long long copying = on_all(threads, copy, buffers);
	printf("{\"bytes\": %llu, \"decode_ns\": %lld, \"copy_ns\": %lld}\n", (unsigned long long)plain_bytes, decoding, copying);
	return 0;
}
