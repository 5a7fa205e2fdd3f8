#include "squashfs/items.h"

#include "image/index.h"

#include <stdlib.h>
#include <string.h>

enum {
	MAX_INODE_TABLE = 16 << 20,
	MAX_DIRECTORY_TABLE = 8 << 20,
	KINDS = 7,
	EMPTY_LISTING = 3, /* an inode gives the size of a directory's listing plus this, for `.` and `..` */
	LISTED_AT_ONCE = 256,
	LISTING_HEADER = 12,
	NAME_HEADER = 8,
};

/* What inodes of a kind begin with, as it lies in the table. */
struct inode {
	uint16_t kind, mode, uid, gid;
	uint32_t mtime, number;
};
struct basic_directory {
	uint32_t block, names;
	uint16_t size, offset;
	uint32_t parent;
};
struct extended_directory {
	uint32_t names, size, block, parent;
	uint16_t indexes, offset;
	uint32_t xattr;
};
struct basic_file {
	uint32_t start, fragment, offset, size;
};
struct extended_file {
	uint64_t start, size, sparse;
	uint32_t names, fragment, offset, xattr;
};
struct basic_symlink {
	uint32_t names, size;
};
_Static_assert(sizeof(struct inode) == 16 && sizeof(struct basic_directory) == 16 && sizeof(struct extended_directory) == 24, "layout");
_Static_assert(sizeof(struct basic_file) == 16 && sizeof(struct extended_file) == 40 && sizeof(struct basic_symlink) == 8, "layout");

/* A name in a directory: what is said of it there, and where its inode is. */
struct named {
	uint32_t name, name_length, kind, number;
	size_t place;
};

/* A directory whose listing is still to be read. */
struct pending {
	uint32_t item, depth, block, offset, size;
};

static const char *const refused[] = {[4] = "a block device", [5] = "a character device", [6] = "a fifo", [7] = "a socket"};

const char *quoted(char out[QUOTED_SIZE], const uint8_t *bytes, size_t length)
{
	size_t used = 0;
	out[used++] = '\'';
	for (size_t i = 0; i < length && i < 64; i++) {
		if (bytes[i])
			out[used++] = (char)bytes[i];
		else
			used = (size_t)((char *)memcpy(out + used, "\\x00", 4) + 4 - out);
	}
	out[used++] = '\'';
	out[used] = '\0';
	return out;
}

/* Copy `size` bytes that a table must have at `place`; always in line, where the size is known and a copy is a few moves. */
static inline __attribute__((always_inline)) int take(const struct chain *chain, size_t place, void *out, size_t size, struct fault *fault)
{
	if (place > chain->used || size > chain->used - place)
		return LIES(fault, "a table is cut short");
	memcpy(out, chain->plain + place, size);
	return 0;
}

static const char *name_of(const struct tree *tree, const struct item *item, char out[QUOTED_SIZE])
{
	/* The root has no name, and is read before there are any. */
	return quoted(out, item->name_length ? tree->directories.plain + item->name : NULL, item->name_length);
}

/* Whether the file must be complete before the app starts (docs/format.md, *first*). */
static bool is_program(const struct tree *tree, const struct item *item)
{
	char name[MAX_NAME + 1];
	if (!(item->mode & 0111))
		return false;
	memcpy(name, tree->directories.plain + item->name, item->name_length);
	name[item->name_length] = '\0';
	return !is_library_name(name);
}

/* These read what follows an inode's common part at `place`. *names becomes how many names the inode says that it has. */

static int read_directory(struct tree *tree, struct item *item, uint32_t number, size_t place, bool extended, uint32_t depth,
			  struct fault *fault)
{
	struct basic_directory basic;
	struct extended_directory more;
	struct pending pending = {.item = number, .depth = depth};
	if (extended) {
		if (take(&tree->inodes, place, &more, sizeof more, fault) < 0)
			return -1;
		pending.block = more.block, pending.offset = more.offset, pending.size = more.size;
	} else {
		if (take(&tree->inodes, place, &basic, sizeof basic, fault) < 0)
			return -1;
		pending.block = basic.block, pending.offset = basic.offset, pending.size = basic.size;
	}
	item->type = NODE_DIRECTORY;
	if (pending.size <= EMPTY_LISTING)
		return 0;
	pending.size -= EMPTY_LISTING;
	struct pending *waiting = list_add(&tree->pending, sizeof *waiting);
	if (!waiting)
		return FAILED(fault, "no memory for the image's tables");
	*waiting = pending;
	return 0;
}

static int read_file_head(const struct tree *tree, size_t *place, bool extended, struct file *file, uint32_t *names, struct fault *fault)
{
	struct basic_file basic;
	struct extended_file more;
	if (!extended) {
		if (take(&tree->inodes, *place, &basic, sizeof basic, fault) < 0)
			return -1;
		*file = (struct file){.size = basic.size, .start = basic.start, .fragment = basic.fragment, .offset = basic.offset};
		*place += sizeof basic;
		return 0;
	}
	if (take(&tree->inodes, *place, &more, sizeof more, fault) < 0)
		return -1;
	*file = (struct file){.size = more.size, .start = more.start, .fragment = more.fragment, .offset = more.offset};
	*names = more.names;
	*place += sizeof more;
	return 0;
}

static int read_file(struct tree *tree, struct item *item, size_t place, bool extended, uint32_t *names, struct fault *fault)
{
	struct file file;
	uint32_t size = tree->super->block_size;
	if (read_file_head(tree, &place, extended, &file, names, fault) < 0)
		return -1;
	file.count = file.size / size + (file.fragment == NO_FRAGMENT && file.size % size ? 1 : 0);
	if (blocks_expect(tree->blocks, file.count, fault) < 0)
		return -1;
	if (file.count * sizeof(uint32_t) > tree->inodes.used - place)
		return LIES(fault, "a table is cut short");
	file.words = tree->inodes.plain + place;
	item->type = NODE_FILE;
	item->size = file.size;
	item->first = is_program(tree, item);
	item->a = tree->blocks->runs.count;
	if (blocks_add(tree->blocks, &file, fault) < 0)
		return -1;
	item->b = tree->blocks->runs.count - item->a;
	return 0;
}

static int read_symlink(struct tree *tree, struct item *item, size_t place, uint32_t *names, struct fault *fault)
{
	struct basic_symlink symlink;
	char text[QUOTED_SIZE];
	if (take(&tree->inodes, place, &symlink, sizeof symlink, fault) < 0)
		return -1;
	place += sizeof symlink;
	uint32_t length = symlink.size <= MAX_TARGET ? symlink.size : MAX_TARGET + 1;
	if (length > tree->inodes.used - place)
		return LIES(fault, "a table is cut short");
	const uint8_t *target = tree->inodes.plain + place;
	if (length == 0 || length > MAX_TARGET || memchr(target, '\0', length))
		return BAD_IMAGE(fault, "illegal symlink target ", quoted(text, target, length));
	item->type = NODE_SYMLINK;
	item->size = item->b = length;
	item->a = (uint32_t)place;
	*names = symlink.names;
	tree->symlinks++;
	return 0;
}

/* An inode that has another name already. */
static int read_again(struct tree *tree, struct item *item, size_t place, const struct known *known, struct fault *fault)
{
	char text[QUOTED_SIZE];
	struct item *first = item_at(tree, known->item);
	if (place + 1 != known->place)
		return LIES(fault, "two inodes have one number");
	if (first->type == NODE_DIRECTORY)
		return LIES(fault, "directory ", name_of(tree, item, text), " is in two places");
	item->mode = first->mode;
	item->mtime = first->mtime;
	item->type = first->type;
	if (first->type == NODE_SYMLINK) {
		item->a = first->a;
		item->size = item->b = first->b;
		tree->symlinks++;
		return 0;
	}
	item->type = NODE_HARD_LINK;
	item->a = known->item;
	first->first = first->first || is_program(tree, item);
	return 0;
}

static int read_kind(struct tree *tree, uint32_t number, const struct inode *inode, size_t place, uint32_t depth, uint32_t *names,
		     struct fault *fault)
{
	char text[QUOTED_SIZE];
	struct item *item = item_at(tree, number);
	bool extended = inode->kind > KINDS;
	unsigned kind = (inode->kind - 1u) % KINDS + 1;
	item->mode = inode->mode & 07777;
	item->mtime = inode->mtime;
	switch (kind) {
	case 1:
		*names = 2; /* in its parent, and as its own `.` */
		return read_directory(tree, item, number, place, extended, depth + 1, fault);
	case 2:
		return read_file(tree, item, place, extended, names, fault);
	case 3:
		return read_symlink(tree, item, place, names, fault);
	default:
		return BAD_IMAGE(fault, "contains ", refused[kind], ", ", name_of(tree, item, text),
				 ", which has no place in an application");
	}
}

/* Read the inode of the item `number`, whose name stands in a directory at `depth`, and which is what `named` says. */
static int read_inode(struct tree *tree, uint32_t number, const struct named *named, uint32_t depth, struct fault *fault)
{
	char text[QUOTED_SIZE];
	struct inode inode;
	uint32_t names = 1;
	const struct known *known = numbers_find(&tree->seen, named->number);
	if (known)
		return read_again(tree, item_at(tree, number), named->place, known, fault);
	if (take(&tree->inodes, named->place, &inode, sizeof inode, fault) < 0)
		return -1;
	if (inode.kind == 0 || inode.kind > 2 * KINDS || (inode.kind - 1u) % KINDS + 1 != named->kind || inode.number != named->number)
		return LIES(fault, "a directory and an inode disagree on ", name_of(tree, item_at(tree, number), text));
	if (read_kind(tree, number, &inode, named->place + sizeof inode, depth, &names, fault) < 0)
		return -1;
	struct known fresh = {named->number, number, (uint32_t)named->place + 1};
	return names > 1 ? numbers_add(&tree->seen, fresh, fault) : 0;
}

/* Eight bytes at a time: a byte of a word is zero where this is not (Hacker's Delight, 6-1). */
static uint64_t zero_bytes(uint64_t word)
{
	return (word - 0x0101010101010101u) & ~word & 0x8080808080808080u;
}

static bool has_slash_or_nul(const uint8_t *name, size_t length)
{
	uint64_t word, slashes = 0x0101010101010101u * '/';
	for (; length >= sizeof word; name += sizeof word, length -= sizeof word) {
		memcpy(&word, name, sizeof word);
		if (zero_bytes(word) | zero_bytes(word ^ slashes))
			return true;
	}
	while (length && *name && *name != '/')
		name++, length--;
	return length;
}

static int check_name(const struct tree *tree, const struct named *named, struct fault *fault)
{
	char text[QUOTED_SIZE];
	const uint8_t *name = tree->directories.plain + named->name;
	bool dots = name[0] == '.' && (named->name_length == 1 || (named->name_length == 2 && name[1] == '.'));
	if (named->name_length <= MAX_NAME && !dots && !has_slash_or_nul(name, named->name_length))
		return 0;
	return BAD_IMAGE(fault, "illegal file name ", quoted(text, name, named->name_length));
}

static int add_item(struct tree *tree, uint32_t parent, const struct named *named, uint32_t depth, struct fault *fault)
{
	struct item *item = list_add(&tree->items, sizeof *item);
	if (!item)
		return FAILED(fault, "no memory for the image's tables");
	*item = (struct item){.parent = parent, .name = named->name, .name_length = (uint16_t)named->name_length};
	return read_inode(tree, tree->items.count - 1, named, depth, fault);
}

/* The entries behind one header at *at, up to `end`; all their inodes begin in one block. */
static int read_group(struct tree *tree, const struct pending *directory, size_t *at, size_t end, struct fault *fault)
{
	struct {
		uint32_t count, block, base;
	} header;
	size_t inodes;
	if (take(&tree->directories, *at, &header, LISTING_HEADER, fault) < 0)
		return -1;
	*at += LISTING_HEADER;
	if (chain_locate(&tree->inodes, header.block, 0, 0, &inodes, fault) < 0)
		return -1;
	tree->entries += header.count + (uint64_t)1;
	if (header.count >= LISTED_AT_ONCE || tree->entries > MAX_INODES)
		return LIES(fault, "a directory has too many entries");
	for (uint32_t i = 0; i <= header.count; i++) {
		struct {
			uint16_t inode;
			int16_t delta;
			uint16_t kind, length;
		} raw;
		if (take(&tree->directories, *at, &raw, NAME_HEADER, fault) < 0)
			return -1;
		struct named named = {(uint32_t)*at + NAME_HEADER, raw.length + 1u, raw.kind, header.base + (uint32_t)raw.delta,
				      inodes + raw.inode};
		*at += NAME_HEADER + named.name_length;
		if (*at > end)
			return LIES(fault, "a directory is cut short");
		if (check_name(tree, &named, fault) < 0 || add_item(tree, directory->item, &named, directory->depth, fault) < 0)
			return -1;
	}
	return 0;
}

static int read_listing(struct tree *tree, const struct pending *directory, struct fault *fault)
{
	size_t at;
	if (directory->depth > MAX_DEPTH)
		return BAD_IMAGE(fault, "directories are nested deeper than 256");
	if (chain_locate(&tree->directories, directory->block, directory->offset, directory->size, &at, fault) < 0)
		return -1;
	uint32_t first = tree->items.count;
	for (size_t end = at + directory->size; at < end;)
		if (read_group(tree, directory, &at, end, fault) < 0)
			return -1;
	struct item *item = item_at(tree, directory->item);
	item->a = first;
	item->b = tree->items.count - first;
	return 0;
}

static int read_root(struct tree *tree, struct fault *fault)
{
	struct named root = {.kind = 1};
	struct inode inode;
	uint64_t reference = tree->super->root;
	if (chain_locate(&tree->inodes, reference >> 16, reference & 0xFFFF, 0, &root.place, fault) < 0 ||
	    take(&tree->inodes, root.place, &inode, sizeof inode, fault) < 0)
		return -1;
	root.number = inode.number;
	return add_item(tree, 0, &root, 0, fault);
}

/* Where the directory table ends as far as the tables behind it tell, for decoding it on all cores; what they say may be wrong,
 * and then what is needed is decoded when it is. */
static void read_ahead(struct tree *tree)
{
	const struct superblock *super = tree->super;
	const struct tables *tables = tree->directories.tables;
	uint64_t behind = super->fragments ? super->fragment_table : ~super->exports ? super->exports : super->id_table, end;
	uint64_t at = behind - super->inode_table;
	struct fault ignored = {0};
	if (tables->size < sizeof end || at > tables->size - sizeof end)
		return;
	memcpy(&end, tables->raw + at, sizeof end);
	end -= super->inode_table;
	if (end <= tables->size)
		chain_read(&tree->directories, end, &ignored);
}

int tree_read(struct tree *tree, struct fault *fault)
{
	const struct superblock *super = tree->super;
	struct tables *tables = tree->blocks->tables;
	size_t directories = super->directory_table - super->inode_table;
	list_reserve(&tree->items, super->inodes, sizeof(struct item));
	chain_begin(&tree->inodes, tables, 0, MAX_INODE_TABLE);
	chain_begin(&tree->directories, tables, directories, MAX_DIRECTORY_TABLE);
	if (chain_read(&tree->inodes, directories, fault) < 0)
		return -1;
	read_ahead(tree);
	if (read_root(tree, fault) < 0)
		return -1;
	while (tree->pending.count) {
		struct pending next = ((const struct pending *)tree->pending.at)[--tree->pending.count];
		if (read_listing(tree, &next, fault) < 0)
			return -1;
	}
	return 0;
}

void tree_free(struct tree *tree)
{
	chain_free(&tree->inodes);
	chain_free(&tree->directories);
	numbers_free(&tree->seen);
	free(tree->items.at);
	free(tree->pending.at);
}
