/* From the data blocks of a squashfs to frames and segments.
 *
 * A file's blocks lie one behind the other from its start on; its inode lists their size words: stored size, bit 24 set when the
 * block is not compressed, 0 for a block of zeros that is not stored at all. Each decodes to the file system's block size, a file's
 * last one to what is left. The end of a file may instead be a *tail*, a piece of a fragment block, which the ends of several files
 * share. So each stored block is a frame of the index, and deduplicated files name the same ones.
 */
#ifndef TMPRUN_SQUASHFS_BLOCKS_H
#define TMPRUN_SQUASHFS_BLOCKS_H

#include <stdint.h>

#include "squashfs/metadata.h"
#include "squashfs/source.h"
#include "squashfs/superblock.h"

#define NO_FRAGMENT 0xFFFFFFFFu

/* As the fragment table has it. */
struct fragment {
	uint64_t where; /* from the payload's start */
	uint32_t word, unused;
};
_Static_assert(sizeof(struct fragment) == 16, "layout");

/* A file's use of a block of data, or of a fragment block, which decodes to `plain` bytes. */
struct block {
	uint64_t where;
	uint32_t word, plain;
};

/* A file's use of a piece of a fragment block, as a number: the fragment's, where it begins in it, its length, in this order, so that
 * they can be sorted. */
enum { TAIL_LENGTH_BITS = 21, TAIL_OFFSET_BITS = 20 };

/* A run of a file's bytes. `block` is HOLE, or the number of a use; with TAIL in it, of a fragment. */
struct run {
	uint32_t block, offset, length;
};

/* A list that grows. */
struct list {
	void *at;
	uint32_t count, room;
};

/* Have room in an empty list for `count` things of `size` bytes: what nobody writes to takes no memory. Without it the list grows. */
void list_reserve(struct list *list, uint32_t count, size_t size);
/* Have room in the list for one more thing of `size` bytes: its place, or NULL. */
void *list_add(struct list *list, size_t size);

/* All that files use of the data. */
struct blocks {
	struct source *source;
	const struct superblock *super;
	const struct compression *compression;
	struct tables *tables;
	uint64_t start;
	struct fragment *fragments;
	uint64_t expected; /* size words, of all files so far */
	struct list uses, tails, runs; /* of struct block, uint64_t, struct run */
	uint32_t *numbers; /* of the frame that each use is, when they are known */
	uint32_t *owners;  /* of the use that each fragment is, likewise */
	struct frame *frames;
	uint32_t frame_count;
};

/* A file: its size, where its blocks begin, their size words (`words` of them, at any address), and its tail's fragment and where in that it begins. */
struct file {
	uint64_t size, start;
	const uint8_t *words;
	uint64_t count;
	uint32_t fragment, offset;
};

/* Read the fragment table. */
int blocks_begin(struct blocks *blocks, struct fault *fault);
void blocks_free(struct blocks *blocks);

/* Call before so many size words are looked at: all files together must not have too many. */
int blocks_expect(struct blocks *blocks, uint64_t words, struct fault *fault);

/* Add a file's runs to the list. */
int blocks_add(struct blocks *blocks, const struct file *file, struct fault *fault);

/* All files are there: make the frames, in ascending order, with offsets from the file's start and without digests. */
int blocks_finish(struct blocks *blocks, struct fault *fault);
/* A run as a segment of the index. */
struct segment blocks_segment(const struct blocks *blocks, const struct run *run);

#endif
