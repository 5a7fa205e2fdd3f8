/* The allocator of the engine: small things are cut off a chunk and never come back, large ones are mappings of their own.
 *
 * The programs allocate a few tables, and then become the app or fill until they end; what works for years in one process, with
 * 10 KB of code, is more than that needs. Left out when a sanitizer brings its own. */
#define _GNU_SOURCE
#include "base/heap.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifndef __SANITIZE_ADDRESS__

enum { CHUNK = 256 << 10, LARGE = 32 << 10, ALIGN = 16 };

/* In front of every block; `mapped` is the whole mapping's size, 0 for a small block. */
struct block {
	size_t size, mapped;
};
_Static_assert(sizeof(struct block) == ALIGN, "blocks stay aligned");

static char *chunk_at, *chunk_end;
static atomic_flag busy = ATOMIC_FLAG_INIT;

static void *map(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

static void *large(size_t size)
{
	size_t whole = (size + sizeof(struct block) + 4095) & ~(size_t)4095;
	struct block *block = whole < size ? NULL : map(whole);
	if (!block)
		return NULL;
	*block = (struct block){size, whole};
	return block + 1;
}

void heap_hold(void)
{
	while (atomic_flag_test_and_set_explicit(&busy, memory_order_acquire))
		continue; /* a few instructions, but for the rare mapping */
}

void heap_let_go(void)
{
	atomic_flag_clear_explicit(&busy, memory_order_release);
}

static void *small(size_t size)
{
	size_t need = (size + sizeof(struct block) + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	struct block *block = NULL;
	heap_hold();
	if (!chunk_at || (size_t)(chunk_end - chunk_at) < need) {
		char *fresh = map(CHUNK);
		if (fresh) {
			chunk_at = fresh;
			chunk_end = fresh + CHUNK;
		}
	}
	if (chunk_at && (size_t)(chunk_end - chunk_at) >= need) {
		block = (struct block *)(void *)chunk_at;
		chunk_at += need;
	}
	heap_let_go();
	if (!block)
		return NULL;
	*block = (struct block){size, 0};
	return block + 1;
}

void *malloc(size_t size)
{
	void *memory = size >= LARGE ? large(size) : small(size);
	if (!memory)
		errno = ENOMEM;
	return memory;
}

/* Everything is fresh from the kernel, and zero. */
void *calloc(size_t count, size_t size)
{
	if (size && count > SIZE_MAX / size) {
		errno = ENOMEM;
		return NULL;
	}
	return malloc(count * size);
}

void free(void *memory)
{
	struct block *block = memory;
	if (memory && block[-1].mapped)
		munmap(block - 1, block[-1].mapped);
}

void *realloc(void *memory, size_t size)
{
	void *fresh = malloc(size);
	if (!memory || !fresh)
		return fresh;
	size_t before = ((struct block *)memory)[-1].size;
	memcpy(fresh, memory, before < size ? before : size);
	free(memory);
	return fresh;
}

#else

void heap_hold(void)
{
}

void heap_let_go(void)
{
}

#endif
