/* Where a squashfs 4.0 file system has what, and what is said of tables that contradict themselves.
 *
 * From the payload's start on, little-endian, offsets and sizes in bytes (kernel: Documentation/filesystems/squashfs.rst,
 * fs/squashfs/squashfs_fs.h):
 *
 *     superblock (96) | compressor options | data blocks and fragment blocks | inode table | directory table |
 *     fragment table | export table | id table | xattr table
 */
#ifndef TMPRUN_SQUASHFS_SUPERBLOCK_H
#define TMPRUN_SQUASHFS_SUPERBLOCK_H

#include <stdint.h>

#include "base/fault.h"
#include "image/index.h"
#include "squashfs/source.h"

/* What an image may make us hold in memory and work through, far above any real application. An image of 60,000 files has tables
 * of 1.5 MB, compressed, and 5 MB otherwise. */
enum { MAX_INODES = 200000, MAX_BLOCKS = 1 << 18, MAX_TABLES = 24 << 20 };

/* As it lies in the file. */
struct superblock {
	char magic[4];
	uint32_t inodes, time, block_size, fragments;
	uint16_t compression, block_log, flags, ids, major, minor;
	uint64_t root, bytes_used, id_table, xattrs, inode_table, directory_table, fragment_table, exports;
};
_Static_assert(sizeof(struct superblock) == 96, "layout");

/* Read the superblock of the file system that begins at `start`; nothing in it is out of range then, but for what only the tables
 * can tell: the root, and where the tables behind the directories are. */
int superblock_read(struct superblock *super, struct source *source, uint64_t start, struct fault *fault);

/* How a file system is compressed. No codec needs more than DECLARED_HEAD bytes of a block to know how large it is. */
enum { DECLARED_HEAD = 32 };
struct compression {
	uint16_t number; /* squashfs' own */
	enum codec codec;
	size_t head; /* so many bytes of a block, if it has as many, tell `declared` */
	/* The plain size that a block which begins so says that it has, 0 when it does not say; UINT64_MAX when it is damaged. NULL
	 * where no block says that. */
	uint64_t (*declared)(const uint8_t *head, size_t size);
};

/* That of this file system; NULL and why not for one that nothing reads. */
const struct compression *superblock_compression(const struct superblock *super, struct fault *fault);

#define LIES(fault, ...) BAD_IMAGE(fault, "its squashfs is damaged: ", __VA_ARGS__, "; download it again")

#endif
