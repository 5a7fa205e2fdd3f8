#include "squashfs/superblock.h"

#include "base/system.h"
#include "base/text.h"

#include <stdbool.h>
#include <string.h>
#include <zstd.h>

enum {
	LEAST_BLOCK_LOG = 12,
	MOST_BLOCK_LOG = 20,
	LZMA = 2,
	ZSTD_HEADER = 18, /* the longest header of a frame, magic included: RFC 8878, section 3.1.1.1 */
};
_Static_assert((int)ZSTD_HEADER <= (int)DECLARED_HEAD, "it can be read");

static uint64_t declared_zstd(const uint8_t *head, size_t size)
{
	unsigned long long declared = ZSTD_getFrameContentSize(head, size);
	return declared == ZSTD_CONTENTSIZE_ERROR ? UINT64_MAX : declared == ZSTD_CONTENTSIZE_UNKNOWN ? 0 : declared;
}

static const struct compression compressions[] = {
	{1, CODEC_ZLIB, 0, NULL},
	{3, CODEC_LZO, 0, NULL},
	{4, CODEC_XZ, 0, NULL},
	{5, CODEC_LZ4, 0, NULL},
	{6, CODEC_ZSTD, ZSTD_HEADER, declared_zstd},
};

const struct compression *superblock_compression(const struct superblock *super, struct fault *fault)
{
	char number[24];
	for (size_t i = 0; i < COUNT(compressions); i++)
		if (compressions[i].number == super->compression)
			return &compressions[i];
	bool lzma = super->compression == LZMA;
	BAD_IMAGE(fault, "its squashfs is compressed with ", lzma ? "lzma" : "method ", lzma ? "" : decimal(number, super->compression),
		  ", which nothing reads any more; get a newer release of it");
	return NULL;
}

static int check_version(const struct superblock *super, struct fault *fault)
{
	char major[24], minor[24];
	if (memcmp(super->magic, "hsqs", sizeof super->magic) == 0 && super->major == 4 && super->minor == 0)
		return 0;
	return BAD_IMAGE(fault, "its squashfs has version ", decimal(major, super->major), ".", decimal(minor, super->minor),
			 "; only version 4.0 is in use today");
}

static int check_places(const struct superblock *super, uint64_t room, struct fault *fault)
{
	char text[24];
	if (super->block_log < LEAST_BLOCK_LOG || super->block_log > MOST_BLOCK_LOG || super->block_size != 1u << super->block_log)
		return LIES(fault, "block size ", decimal(text, super->block_size));
	if (super->bytes_used > room)
		return BAD_IMAGE(fault, "is cut short: ", decimal(text, super->bytes_used - room), " bytes are missing; download it again");
	if (super->inode_table < sizeof *super || super->directory_table <= super->inode_table ||
	    super->bytes_used <= super->directory_table)
		return LIES(fault, "its tables are out of order");
	if (super->bytes_used - super->inode_table > MAX_TABLES || super->inodes > MAX_INODES || super->fragments > MAX_BLOCKS)
		return BAD_IMAGE(fault, "its tables are larger than those of any application (", decimal(text, super->inodes), " files)");
	return 0;
}

int superblock_read(struct superblock *super, struct source *source, uint64_t start, struct fault *fault)
{
	const uint8_t *bytes = source_read(source, start, sizeof *super, fault);
	if (!bytes)
		return -1;
	memcpy(super, bytes, sizeof *super);
	return check_version(super, fault) < 0 ? -1 : check_places(super, source->size - start, fault);
}
