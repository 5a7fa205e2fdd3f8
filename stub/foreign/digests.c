#define _GNU_SOURCE
#include "foreign/digests.h"

#include "base/crew.h"
#include "base/sha256.h"
#include "base/system.h"
#include "image/index.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
	CHUNK = 512 << 10,
	BUFFERS = 4,
	WORTH_A_THREAD = 512 << 10, /* bytes that are hashed by the time that a thread has begun */
};

struct chunk {
	uint64_t offset;
	size_t size;
	uint8_t *bytes;
};

/* The pass. Chunks are numbered; number n is in chunks[n % BUFFERS]. */
struct pass {
	const struct source *source;
	struct frame *frames; /* those that are still to be hashed begin with `next` */
	uint32_t count, next;
	size_t room;          /* in each buffer: the largest frame fits */
	uint64_t offset;      /* of the next chunk */
	struct chunk chunks[BUFFERS];
	struct sha256 whole;
	/* What the two threads tell each other: how many chunks are read, and how many the whole's hash has seen. */
	pthread_mutex_t lock;
	pthread_cond_t news;
	uint32_t read, hashed;
	bool ended, alone;
};

/* Where a chunk that begins at the pass's offset ends: never within a frame. */
static uint64_t chunk_end(const struct pass *pass)
{
	uint64_t end = pass->source->size - pass->offset < CHUNK ? pass->source->size : pass->offset + CHUNK;
	uint32_t low = pass->next, high = pass->count;
	while (low < high) { /* the first frame that ends behind `end` */
		uint32_t middle = low + (high - low) / 2;
		if (pass->frames[middle].offset + pass->frames[middle].stored <= end)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == pass->count || pass->frames[low].offset >= end)
		return end;
	const struct frame *frame = &pass->frames[low];
	return frame->offset > pass->offset ? frame->offset : frame->offset + frame->stored;
}

static int compare_pieces(const struct pass *pass, const struct chunk *chunk, struct fault *fault)
{
	uint64_t end = chunk->offset + chunk->size;
	for (unsigned i = 0; i < pass->source->count; i++) {
		const struct piece *piece = &pass->source->pieces[i];
		uint64_t low = piece->offset > chunk->offset ? piece->offset : chunk->offset;
		uint64_t high = piece->offset + piece->size < end ? piece->offset + piece->size : end;
		if (low < high && memcmp(piece->bytes + (low - piece->offset), chunk->bytes + (low - chunk->offset), high - low) != 0)
			return source_changed(fault);
	}
	return 0;
}

/* The frames of a chunk, two at a time. */
static void hash_frames(struct pass *pass, const struct chunk *chunk)
{
	uint64_t end = chunk->offset + chunk->size;
	while (pass->next < pass->count && pass->frames[pass->next].offset < end) {
		struct frame *one = &pass->frames[pass->next++], *other = one + 1;
		const uint8_t *bytes = chunk->bytes + (one->offset - chunk->offset);
		if (pass->next == pass->count || other->offset >= end) {
			sha256(bytes, one->stored, one->digest);
			continue;
		}
		uint8_t digests[2][SHA256_SIZE];
		sha256_two((const void *const[]){bytes, chunk->bytes + (other->offset - chunk->offset)},
			   (const size_t[]){one->stored, other->stored}, digests);
		memcpy(one->digest, digests[0], SHA256_SIZE);
		memcpy(other->digest, digests[1], SHA256_SIZE);
		pass->next++;
	}
}

/* Wait until `*number`, which the other thread counts up, is more than `least`, or it has ended; whether it is. */
static bool await(struct pass *pass, const uint32_t *number, uint32_t least)
{
	pthread_mutex_lock(&pass->lock);
	while (*number <= least && !pass->ended)
		pthread_cond_wait(&pass->news, &pass->lock);
	bool there = *number > least;
	pthread_mutex_unlock(&pass->lock);
	return there;
}

static void announce(struct pass *pass, uint32_t *number)
{
	pthread_mutex_lock(&pass->lock);
	++*number;
	pthread_cond_signal(&pass->news);
	pthread_mutex_unlock(&pass->lock);
}

/* No more chunks will come. */
static void end(struct pass *pass)
{
	pthread_mutex_lock(&pass->lock);
	pass->ended = true;
	pthread_cond_signal(&pass->news);
	pthread_mutex_unlock(&pass->lock);
}

static void *hash_whole(void *argument)
{
	struct pass *pass = argument;
	for (uint32_t number = 0; await(pass, &pass->read, number); number++) {
		const struct chunk *chunk = &pass->chunks[number % BUFFERS];
		sha256_add(&pass->whole, chunk->bytes, chunk->size);
		announce(pass, &pass->hashed);
	}
	return NULL;
}

/* Read the next chunk, when its buffer is free. */
static int read_chunk(struct pass *pass, struct chunk **chunk, struct fault *fault)
{
	*chunk = &pass->chunks[pass->alone ? 0 : pass->read % BUFFERS];
	if (!pass->alone && pass->read >= BUFFERS)
		await(pass, &pass->hashed, pass->read - BUFFERS);
	if (!(*chunk)->bytes && !((*chunk)->bytes = malloc(pass->room)))
		return FAILED(fault, "no memory to read the image");
	(*chunk)->offset = pass->offset;
	(*chunk)->size = (size_t)(chunk_end(pass) - pass->offset);
	if (source_peek(pass->source, pass->offset, (*chunk)->bytes, (*chunk)->size, fault) < 0)
		return -1;
	pass->offset += (*chunk)->size;
	if (pass->alone)
		sha256_add(&pass->whole, (*chunk)->bytes, (*chunk)->size);
	else
		announce(pass, &pass->read);
	return 0;
}

static int read_all(struct pass *pass, struct fault *fault)
{
	struct chunk *chunk;
	while (pass->offset < pass->source->size) {
		if (read_chunk(pass, &chunk, fault) < 0 || compare_pieces(pass, chunk, fault) < 0)
			return -1;
		hash_frames(pass, chunk);
	}
	return 0;
}

static bool begin_thread(struct pass *pass, pthread_t *thread)
{
	/* Signals are for the thread that was there before. */
	sigset_t all, before;
	if (pass->source->size < WORTH_A_THREAD || processors() < 2)
		return false;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	bool begun = pthread_create(thread, NULL, hash_whole, pass) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return begun;
}

static int run(struct pass *pass, uint8_t digest[SHA256_SIZE], struct fault *fault)
{
	pthread_t thread;
	pass->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	pass->news = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
	pass->room = CHUNK;
	for (uint32_t i = 0; i < pass->count; i++)
		pass->room = pass->frames[i].stored > pass->room ? pass->frames[i].stored : pass->room;
	sha256_begin(&pass->whole);
	pass->alone = !begin_thread(pass, &thread);
	if (!pass->alone)
		crew_place(thread, 1);
	int result = read_all(pass, fault);
	if (!pass->alone) {
		end(pass);
		pthread_join(thread, NULL);
	}
	for (size_t i = 0; i < BUFFERS; i++)
		free(pass->chunks[i].bytes);
	sha256_end(&pass->whole, digest);
	return result;
}

int digests_add(const struct source *source, struct raw_index *made, struct fault *fault)
{
	struct index_head *head = made->bytes;
	struct pass pass = {.source = source, .frames = (void *)(head + 1), .count = head->frames};
	return run(&pass, head->image_sha256, fault);
}

int digests_whole(const struct source *source, uint8_t digest[SHA256_SIZE], struct fault *fault)
{
	struct pass pass = {.source = source};
	return run(&pass, digest, fault);
}
