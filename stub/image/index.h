/* The index: the layout of docs/format.md in C, and its names. index_load.h makes one of bytes that nobody has looked at yet. */
#ifndef TMPRUN_IMAGE_INDEX_H
#define TMPRUN_IMAGE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sha256.h"

#define INDEX_MAGIC "TMPRIDX1"
#define HOLE 0xFFFFFFFFu

enum {
	MAX_NODES = 4 << 20,
	MAX_PLAIN = 8 << 20,
	MAX_STORED = 9 << 20,
	MAX_INDEX = 128 << 20,
	MAX_DEPTH = 256,
	MAX_PATH = 3072,
	MAX_NAME = 255,
	MAX_TARGET = 4095,
	MAX_INTERPRETER = 255,
	INTERPRETERS_MAX = 8,
	ANY_GLIBC = 2 << 16, /* what an interpreter needs that will do in any version: major << 16 | minor */
};

/* Bundles have the first three, and so has the stub; the others occur in images that are no bundles. */
#ifdef TMPRUN_SMALL
enum codec { CODEC_STORED, CODEC_ZSTD, CODEC_ZLIB, CODECS, CODECS_OF_BUNDLES = CODECS };
#else
enum codec { CODEC_STORED, CODEC_ZSTD, CODEC_ZLIB, CODEC_XZ, CODEC_LZ4, CODEC_LZO, CODECS, CODECS_OF_BUNDLES = CODEC_XZ };
#endif
enum node_type { NODE_DIRECTORY, NODE_FILE, NODE_SYMLINK, NODE_HARD_LINK };
enum { NODE_FIRST = 1, INDEX_FOREIGN = 1, INDEX_AT_ONCE = 2, INDEX_UNHASHED = 4 };
enum fixup_kind { FIXUP_INTERPRETER, FIXUP_ELF, FIXUP_SCRIPT };
#define FIXUP_AT_END 0xFFFFFFFFu

/* The structures are the file's own layout: little-endian, naturally aligned, no padding. */
struct index_head {
	char magic[8];
	uint32_t frames, nodes, segments, fixups, hot, strings, metadata, flags;
	uint64_t content_size, image_size;
	uint8_t image_sha256[SHA256_SIZE];
	uint8_t reserved[40];
};

struct frame {
	uint64_t offset;
	uint32_t stored, plain, codec, reserved;
	uint8_t digest[SHA256_SIZE];
};

struct node {
	uint32_t name;
	uint16_t name_length, mode;
	uint8_t type, flags;
	uint16_t reserved;
	uint32_t parent, a, b;
	int64_t mtime;
	uint64_t size;
};

struct segment {
	uint32_t frame, offset, length, reserved;
};

/* A program whose interpreter can be changed: `interpreter` is the number of one of the records before it. */
struct fixup {
	uint32_t node;
	uint32_t kind;
	uint64_t header, at;
	uint32_t room, interpreter;
};

/* What a machine may lack, and what the image has in its place: the first records of the same table. */
struct interpreter {
	uint32_t node;
	uint32_t kind;
	uint32_t path, path_length, need, link, target, target_length;
};

_Static_assert(sizeof(struct index_head) == 128 && sizeof(struct frame) == 56 && sizeof(struct node) == 40, "layout");
_Static_assert(sizeof(struct segment) == 16 && sizeof(struct fixup) == 32 && sizeof(struct interpreter) == 32, "layout");
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the tables are read in place: this needs a little-endian machine"
#endif

struct index {
	void *bytes; /* owned */
	size_t size;
	const struct index_head *head;
	const struct frame *frames;
	const struct node *nodes;
	const struct segment *segments;
	const struct fixup *fixups;
	uint32_t interpreters; /* so many records at the head of fixups are struct interpreter */
	const uint32_t *hot;
	const char *strings;
	uint8_t key[SHA256_SIZE];
	char key_text[2 * SHA256_SIZE + 1];
};

/* Whether decoding the frame takes so long, tens of milliseconds for a large one, that all of it is written once it is decoded; and
 * whether there are such frames. No bundle has any. */
#ifdef TMPRUN_SMALL
#define frame_is_slow(frame) ((void)(frame), false)
#define index_is_slow(index) ((void)(index), false)
#else
static inline bool frame_is_slow(const struct frame *frame)
{
	return frame->codec == CODEC_XZ;
}

static inline bool index_is_slow(const struct index *index)
{
	for (uint32_t f = 0; f < index->head->frames; f++)
		if (frame_is_slow(&index->frames[f]))
			return true;
	return false;
}
#endif

void index_free(struct index *index);

/* A node's name as a string; `out` has room for every legal one. */
void index_name(const struct index *index, const struct node *node, char out[MAX_NAME + 1]);
/* Whether a file of that name is a shared library: `*.so`, `*.so.[0-9.]*`; but loaders (`ld-*`, `ld.so*`) are programs, since the kernel
 * executes them (tmprun/index/nodes.py has the same). */
bool is_library_name(const char *name);
/* The path from the root, "." for the root itself. */
void index_path(const struct index *index, uint32_t number, char out[MAX_PATH + 1]);

/* The node of that name in a directory; 0, which is nobody's child, when there is none. */
uint32_t index_child(const struct index *index, uint32_t directory, const char *name, size_t length);

#endif
