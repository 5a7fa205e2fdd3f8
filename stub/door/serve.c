#define _GNU_SOURCE
#include "door/serve.h"

#include "base/file.h"
#include "base/system.h"
#include "foreign/files.h"
#include "foreign/head.h"
#include "squashfs/superblock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 1 << 20 }; /* bytes that are given at once, at the most */

/* All of it little-endian. `payload` is where the file system begins; a bundle has no block size, and no codec of its own. */
struct hello {
	char magic[8];
	uint64_t payload, table_size;
	uint32_t block_size, codec;
};
struct wanted {
	uint32_t node, reserved;
	uint64_t offset, length;
};
/* So many bytes follow, fewer than wanted at the file's end and of what is a piece too much; -1 where the image is damaged, or when
 * the node is no file. */
struct given {
	int64_t length;
};
_Static_assert(sizeof(struct hello) == 32 && sizeof(struct wanted) == 24 && sizeof(struct given) == 8, "layout");

/* The superblock is read as it is, also where the index was remembered. */
static int introduce(const struct image *image, struct hello *hello, struct fault *fault)
{
	struct source source = {.fd = image->fd, .size = image->size};
	struct head head;
	struct superblock super;
	const struct compression *compression = NULL;
	*hello = (struct hello){.payload = image->base, .table_size = image->index.size};
	memcpy(hello->magic, "TMPRREAD", sizeof hello->magic);
	if (!(image->index.head->flags & INDEX_FOREIGN))
		return 0;
	int result = head_read(&head, &source, fault);
	if (result == 0)
		result = superblock_read(&super, &source, head.payload, fault);
	if (result == 0 && !(compression = superblock_compression(&super, fault)))
		result = -1;
	source_free(&source);
	if (result < 0)
		return -1;
	hello->payload = head.payload;
	hello->block_size = super.block_size;
	hello->codec = compression->codec;
	return 0;
}

/* 1 when there is one more, 0 at the end of stdin. */
static int next_wanted(struct wanted *wanted)
{
	size_t got = 0;
	while (got < sizeof *wanted) {
		ssize_t more = read(STDIN_FILENO, (char *)wanted + got, sizeof *wanted - got);
		if (more < 0 && errno == EINTR)
			continue;
		if (more <= 0)
			return 0;
		got += (size_t)more;
	}
	return 1;
}

static int give(struct files *files, const struct wanted *wanted, uint8_t *bytes, struct fault *fault)
{
	const struct node *node = wanted->node < files->index->head->nodes ? &files->index->nodes[wanted->node] : NULL;
	size_t length = wanted->length < PIECE ? (size_t)wanted->length : PIECE;
	struct given given = {-1};
	if (node && node->type == NODE_FILE)
		given.length = files_read(files, node, wanted->offset, bytes, length);
	if (print_bytes(&given, sizeof given, fault) < 0)
		return -1;
	return given.length > 0 ? print_bytes(bytes, (size_t)given.length, fault) : 0;
}

static int serve_files(const struct image *image, struct fault *fault)
{
	CLEANUP(files_free) struct files files = {.fd = image->fd, .base = image->base, .index = &image->index};
	CLEANUP(free_pointer) uint8_t *bytes = malloc(PIECE);
	struct wanted wanted;
	if (!bytes)
		return FAILED(fault, "no memory");
	image_prepare(image, &files.codec);
	while (next_wanted(&wanted))
		if (give(&files, &wanted, bytes, fault) < 0)
			return -1;
	return 0;
}

int serve(struct request *request)
{
	struct fault fault = {0};
	struct hello hello;
	CLEANUP(image_close) struct image image = IMAGE_CLOSED;
	if (request_load(request, &image, &fault) < 0 || introduce(&image, &hello, &fault) < 0 ||
	    print_bytes(&hello, sizeof hello, &fault) < 0 || print_bytes(image.index.bytes, image.index.size, &fault) < 0 ||
	    serve_files(&image, &fault) < 0)
		return request_report(request, &fault);
	return 0;
}
