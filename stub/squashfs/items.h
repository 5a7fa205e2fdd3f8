/* From squashfs' inodes and directories to a list of named things, in the order in which the directories are read.
 *
 * An inode begins with type, mode, uid, gid (u16 each), mtime, number (u32 each). Types 1 to 7 are the basic ones (directory, file,
 * symlink, block device, character device, fifo, socket), 8 to 14 the extended ones of the same kinds. Owners and extended
 * attributes are ignored. A directory's listing, in the directory table, is a sequence of headers (u32: number of entries - 1, place
 * of their inodes' metadata block, an inode number) each followed by its entries (u16 offset of the inode in that block, s16
 * difference to that inode number, u16 basic type, u16 length of the name - 1, name).
 */
#ifndef TMPRUN_SQUASHFS_ITEMS_H
#define TMPRUN_SQUASHFS_ITEMS_H

#include <stdbool.h>
#include <stdint.h>

#include "squashfs/blocks.h"
#include "squashfs/metadata.h"
#include "squashfs/numbers.h"
#include "squashfs/superblock.h"

/* One name. What lies in one directory follows each other in the list. */
struct item {
	uint32_t parent;
	uint32_t name; /* where in the directories' plain bytes */
	uint16_t name_length, mode;
	uint8_t type;  /* as a node's */
	bool first;    /* a node's flag */
	uint16_t path; /* length of its path from the root, when the index is made */
	uint32_t mtime;
	uint32_t a, b; /* directory: first item in it, number of them; file: first run, number; symlink: its target's place in the
			* inodes' plain bytes, length; hard link: the item that is the file */
	uint64_t size;
	uint32_t number; /* of its node, when the index is made */
	uint16_t depth;  /* likewise; the root has none */
};

struct tree {
	const struct superblock *super;
	struct blocks *blocks;
	struct chain inodes, directories;
	struct list items, pending;
	struct numbers seen;
	uint64_t entries; /* that were read */
	uint32_t symlinks;
};

/* Read everything from the root on. */
int tree_read(struct tree *tree, struct fault *fault);
void tree_free(struct tree *tree);

static inline struct item *item_at(const struct tree *tree, uint32_t number)
{
	return (struct item *)tree->items.at + number;
}

/* A name or a target in quotes, cut where it is long, for a fault. */
enum { QUOTED_SIZE = 4 * 64 + 3 };
const char *quoted(char out[QUOTED_SIZE], const uint8_t *bytes, size_t length);

#endif
