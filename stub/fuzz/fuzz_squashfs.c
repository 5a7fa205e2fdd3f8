/* Whatever bytes lie behind a program, the reader refuses them, or makes an index that index_load accepts, and of which every file can
 * be looked at. */
#define _GNU_SOURCE
#include "base/fault.h"
#include "foreign/deflate.h"
#include "foreign/digests.h"
#include "foreign/files.h"
#include "foreign/fixups.h"
#include "foreign/head.h"
#include "foreign/impatient.h"
#include "foreign/lz4.h"
#include "foreign/lzo.h"
#include "foreign/xz.h"
#include "image/index_load.h"
#include "squashfs/squashfs.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* What we make of it has to be right. */
static void load(struct index *index, struct raw_index *made)
{
	struct fault fault = {0};
	void *owned = made->bytes;
	made->bytes = NULL;
	if (index_load(index, owned, made->size, &fault) < 0)
		abort();
}

static void use(int fd, struct raw_index *made)
{
	struct fault fault = {0};
	struct raw_index planned;
	struct index index, other;
	load(&index, made);
	struct files files = {.fd = fd, .index = &index};
	char start[8];
	for (uint32_t i = 0; i < index.head->nodes && i < 16; i++)
		if (index.nodes[i].type == NODE_FILE)
			files_read(&files, &index.nodes[i], index.nodes[i].size / 2, start, sizeof start);
	is_impatient(&files);
	if (fixups_plan(&files, &planned, &fault) == 0 && planned.bytes) {
		load(&other, &planned);
		index_free(&other);
	}
	files_free(&files);
	index_free(&index);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static int fd = -1;
	struct fault fault = {0}, ignored = {0};
	struct raw_index made = {0};
	struct head head;
	if (fd < 0) {
		fd = memfd_create("squashfs", 0);
		codec_add(CODEC_ZLIB, &deflate_decoder);
		codec_add(CODEC_XZ, &xz_decoder);
		codec_add(CODEC_LZ4, &lz4_decoder);
		codec_add(CODEC_LZO, &lzo_decoder);
	}
	if (ftruncate(fd, 0) < 0 || pwrite(fd, bytes, size, 0) != (ssize_t)size)
		return 0;
	struct source program = {.fd = fd, .size = size}, source = program;
	head_read(&head, &program, &ignored);
	source_free(&program);
	if (squashfs_read(&source, 0, &made, &fault) == 0 && digests_add(&source, &made, &fault) == 0)
		use(fd, &made);
	source_free(&source);
	free(made.bytes);
	return 0;
}
