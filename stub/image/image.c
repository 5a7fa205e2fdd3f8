#define _GNU_SOURCE
#include "image/image.h"

#include "base/file.h"
#include "base/sha256.h"
#include "base/system.h"
#include "base/text.h"
#include "image/codec.h"
#include "image/identity.h"
#include "image/index_load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FOOTER_MAGIC "TMPRUN\0\1"

enum { FOOTER_FRAME = 0x184D2A5E, INDEX_FRAME = 0x184D2A5D, FRAME_HEAD = 8, FOOTER_CONTENT = 56, PAYLOAD_ALIGN = 4096 };

struct footer {
	uint32_t frame_magic, frame_size;
	char magic[8];
	uint64_t payload;
	uint32_t stored, plain;
	uint8_t key[SHA256_SIZE];
};
_Static_assert(sizeof(struct footer) == FRAME_HEAD + FOOTER_CONTENT, "layout");

int image_open(struct image *image, const char *path, struct fault *fault)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	*image = IMAGE_CLOSED;
	if (fd < 0) {
		int status = errno == ENOENT || errno == ENOTDIR ? EXIT_FAILED : EXIT_CANNOT_EXECUTE;
		return fault_set(fault, FAULT_IMAGE, status, reason_text(errno), errno == ENOENT ? "; check the name" : "", (char *)NULL);
	}
	return image_take(image, fd, fault);
}

int image_take(struct image *image, int fd, struct fault *fault)
{
	struct timespec now;
	*image = IMAGE_CLOSED;
	image->fd = fd;
	if (fstat(fd, &image->stat) < 0)
		BAD_IMAGE(fault, reason_text(errno));
	else if (!S_ISREG(image->stat.st_mode))
		BAD_IMAGE(fault, S_ISDIR(image->stat.st_mode) ? "is a directory, not an image" : "is not a regular file");
	if (fault->kind != FAULT_NONE) {
		close_fd(&image->fd);
		return -1;
	}
	/* Now, before anything is read: what is old enough by the time that it has been read may have changed meanwhile. */
	clock_gettime(CLOCK_REALTIME, &now);
	image->unsettled = image_too_fresh(&image->stat, now);
	image->size = (uint64_t)image->stat.st_size;
	return 0;
}

void image_close(struct image *image)
{
	index_free(&image->index);
	close_fd(&image->fd);
}

void image_identity(const struct stat *stat, char out[IDENTITY_SIZE])
{
	char dev[24], ino[24], size[24], mtime[24], ctime[24];
	hexadecimal(dev, stat->st_dev);
	hexadecimal(ino, stat->st_ino);
	hexadecimal(size, (uint64_t)stat->st_size);
	hexadecimal(mtime, (uint64_t)stat->st_mtim.tv_sec * 1000000000u + (uint64_t)stat->st_mtim.tv_nsec);
	hexadecimal(ctime, (uint64_t)stat->st_ctim.tv_sec * 1000000000u + (uint64_t)stat->st_ctim.tv_nsec);
	join(out, IDENTITY_SIZE, dev, "-", ino, "-", size, "-", mtime, "-", ctime, (char *)NULL);
}

/* File times move in ticks of up to 10 ms: a write in the same tick would leave them as they are. A file system whose times are
 * whole seconds (ext4 with inodes of 128 bytes; two of them: FAT) shows no fraction, and then a tick is that long. */
enum { TICK_MS = 50, COARSE_TICK_MS = 2000 };

bool image_too_fresh(const struct stat *stat, struct timespec now)
{
	int64_t age = (int64_t)(now.tv_sec - stat->st_ctim.tv_sec) * 1000 + (now.tv_nsec - stat->st_ctim.tv_nsec) / 1000000;
	return age >= 0 && age < (stat->st_ctim.tv_nsec ? TICK_MS : COARSE_TICK_MS);
}

bool image_is_hashed(const struct image *image)
{
	return !(image->index.head->flags & INDEX_UNHASHED);
}

void image_prepare(const struct image *image, struct codec_state *codec)
{
	codec->unhashed = image_is_hashed(image) ? NULL : &image->stat;
}

bool image_unchanged(const struct image *image)
{
	return identity_stands(image->fd, &image->stat);
}

bool image_is_settled(const struct image *image, const char *path)
{
	struct stat there;
	return !image->unsettled && image_unchanged(image) && stat(path, &there) == 0 && identity_same(&there, &image->stat);
}

static int load_table(struct image *image, const struct footer *footer, struct fault *fault)
{
	CLEANUP(free_pointer) uint8_t *stored = malloc(footer->stored + (size_t)FRAME_HEAD);
	CLEANUP(free_pointer) uint8_t *bytes = malloc(footer->plain);
	if (!stored || !bytes)
		return FAILED(fault, "no memory for the index");
	uint64_t at = image->size - sizeof *footer - footer->stored - FRAME_HEAD;
	if (read_at(image->fd, stored, footer->stored + (size_t)FRAME_HEAD, at) < 0)
		return BAD_IMAGE(fault, errno ? reason_text(errno) : "changed while it was read");
	const uint32_t *head = (const void *)stored;
	if (head[0] != INDEX_FRAME || head[1] != footer->stored)
		return BAD_IMAGE(fault, "damaged bundle (no index before its footer); download it again");
	struct codec_state codec = {0};
	int result = codec_plain(&codec, CODEC_ZSTD, stored + FRAME_HEAD, footer->stored, bytes, footer->plain, fault);
	codec_free(&codec);
	if (result < 0)
		return -1;
	uint8_t *owned = bytes;
	bytes = NULL;
	if (index_load(&image->index, owned, footer->plain, fault) < 0)
		return -1;
	if (memcmp(image->index.key, footer->key, SHA256_SIZE) != 0 || image->index.head->flags & INDEX_FOREIGN)
		return BAD_IMAGE(fault, "damaged bundle (its index has another SHA-256 than its footer says); download it again");
	return 0;
}

int image_load_bundle(struct image *image, struct fault *fault)
{
	struct footer footer;
	if (image->size < sizeof footer)
		return 0;
	if (read_at(image->fd, &footer, sizeof footer, image->size - sizeof footer) < 0)
		return BAD_IMAGE(fault, errno ? reason_text(errno) : "changed while it was read");
	if (footer.frame_magic != FOOTER_FRAME || footer.frame_size != FOOTER_CONTENT ||
	    memcmp(footer.magic, FOOTER_MAGIC, sizeof footer.magic - 1) != 0)
		return 0;
	if (footer.magic[7] != FOOTER_MAGIC[7])
		return BAD_IMAGE(fault, "a bundle of a later format; get a newer tmprun");
	uint64_t room = image->size - sizeof footer;
	if (footer.plain == 0 || footer.plain > MAX_INDEX || footer.stored == 0 || footer.stored > MAX_INDEX ||
	    (uint64_t)footer.stored + FRAME_HEAD > room || footer.payload > room - footer.stored - FRAME_HEAD ||
	    footer.payload % PAYLOAD_ALIGN != 0)
		return BAD_IMAGE(fault, "damaged bundle (its footer lies); download it again");
	image->base = footer.payload;
	return load_table(image, &footer, fault) < 0 ? -1 : 1;
}

int image_load_index(struct image *image, int fd, struct fault *fault)
{
	if (index_read(&image->index, fd, fault) < 0)
		return -1;
	if ((image->index.head->flags & (INDEX_FOREIGN | INDEX_UNHASHED)) != INDEX_FOREIGN || image->index.head->image_size != image->size)
		return BAD_IMAGE(fault, "the index belongs to another file");
	image->base = 0;
	return 0;
}
