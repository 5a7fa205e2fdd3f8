/* The allocator of the engine: small things are cut off a chunk and never come back, large ones are mappings of their own.
 *
 * The programs allocate a few tables, and then become the app or fill until they end; what works for years in one process, with
 * 10 KB of code, is more than that needs. Left out when a sanitizer brings its own. */
#define _GNU_SOURCE
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

/* What small blocks are cut off, from the front. */
struct chunk {
	atomic_size_t used;
	_Alignas(ALIGN) char bytes[];
};
enum { ROOM = CHUNK - sizeof(struct chunk) };

/* Threads take their blocks without a lock: one that a fork found held would be held in the child for ever. */
static struct chunk *_Atomic current;

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

/* Where a block of `need` bytes, which fit into a chunk, goes. */
static struct block *cut(size_t need)
{
	struct chunk *chunk = atomic_load_explicit(&current, memory_order_acquire);
	size_t at = chunk ? atomic_fetch_add_explicit(&chunk->used, need, memory_order_relaxed) : ROOM;
	if (at > ROOM - need) {
		struct chunk *fresh = map(CHUNK);
		if (!fresh)
			return NULL;
		/* Whoever is second wastes what is left of his: it is not even touched. */
		fresh->used = need;
		atomic_compare_exchange_strong(&current, &chunk, fresh);
		chunk = fresh;
		at = 0;
	}
	return (struct block *)(void *)(chunk->bytes + at);
}

static void *small(size_t size)
{
	size_t need = (size + sizeof(struct block) + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	struct block *block = cut(need);
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

#endif
