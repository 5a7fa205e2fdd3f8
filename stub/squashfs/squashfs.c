#include "squashfs/squashfs.h"

#include "base/system.h"
#include "squashfs/blocks.h"
#include "squashfs/encode.h"
#include "squashfs/superblock.h"
#include "squashfs/items.h"

#include <stdlib.h>

/* All that is held while a file system is read. */
struct reader {
	struct superblock super;
	struct tables tables;
	struct blocks blocks;
	struct tree tree;
};

static void reader_free(struct reader **reader)
{
	if (!*reader)
		return;
	for (size_t i = 0; i < COUNT((*reader)->tables.states); i++)
		codec_free(&(*reader)->tables.states[i]);
	blocks_free(&(*reader)->blocks);
	tree_free(&(*reader)->tree);
	free(*reader);
}

static int read_tables(struct reader *reader, struct source *source, uint64_t start, struct fault *fault)
{
	struct tables *tables = &reader->tables;
	if (superblock_read(&reader->super, source, start, fault) < 0 ||
	    !(reader->blocks.compression = superblock_compression(&reader->super, fault)))
		return -1;
	tables->codec = reader->blocks.compression->codec;
	tables->size = reader->super.bytes_used - reader->super.inode_table;
	tables->raw = source_read(source, start + reader->super.inode_table, tables->size, fault);
	tables->hands = processors();
	return tables->raw ? 0 : -1;
}

int squashfs_read(struct source *source, uint64_t start, struct raw_index *made, struct fault *fault)
{
	/* It is large, and the caller may have a small stack. */
	CLEANUP(reader_free) struct reader *reader = calloc(1, sizeof *reader);
	if (!reader)
		return FAILED(fault, "no memory for the image's tables");
	if (read_tables(reader, source, start, fault) < 0)
		return -1;
	reader->blocks.source = source;
	reader->blocks.super = reader->tree.super = &reader->super;
	reader->blocks.tables = &reader->tables;
	reader->blocks.start = start;
	reader->tree.blocks = &reader->blocks;
	if (blocks_begin(&reader->blocks, fault) < 0 || tree_read(&reader->tree, fault) < 0 || blocks_finish(&reader->blocks, fault) < 0)
		return -1;
	return encode(&reader->tree, made, fault);
}
