/* Whatever a program's bytes are, and whatever a legal index says of them: it is retargeted as planned, or stays as it was. What is
 * outside of the new path and the program header keeps every byte; a script's rest moves as a whole. */
#define _GNU_SOURCE
#include "base/fault.h"
#include "image/index.h"
#include "image/index_load.h"
#include "tree/retarget.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define STRINGS "ldprogram/lib/ld"
enum { MAX_PROGRAM = 1 << 15, GROWTH = PATH_MAX };

/* What the input begins with: the fixup. The program's bytes follow. */
struct said {
	uint16_t header, at, room;
	uint8_t script, at_end;
};

struct small_index {
	struct index_head head;
	struct node nodes[3];
	struct segment segment;
	struct interpreter interpreter;
	struct fixup fixup;
	char strings[sizeof STRINGS - 1];
};

static void describe(struct small_index *out, const struct said *said, size_t size)
{
	*out = (struct small_index){
		.head = {.nodes = 3, .segments = 1, .fixups = 2, .strings = sizeof STRINGS - 1, .content_size = size},
		.nodes = {{.type = NODE_DIRECTORY, .mode = 0755, .a = 1, .b = 2},
			  {.name_length = 2, .mode = 0755, .type = NODE_FILE, .flags = NODE_FIRST},
			  {.name = 2, .name_length = 7, .mode = 0755, .type = NODE_FILE, .flags = NODE_FIRST, .b = 1, .size = size}},
		.segment = {.frame = HOLE, .length = (uint32_t)size},
		.interpreter = {.node = 1, .kind = FIXUP_INTERPRETER, .path = 9, .path_length = 7},
		.fixup = {.node = 2,
			  .kind = said->script ? FIXUP_SCRIPT : FIXUP_ELF,
			  .header = said->header,
			  .at = said->at,
			  .room = said->room},
	};
	if (said->script)
		out->fixup.at = 0;
	if (!said->script && said->at_end) {
		out->fixup.at = size;
		out->fixup.room = FIXUP_AT_END;
	}
	memcpy(out->head.magic, INDEX_MAGIC, sizeof out->head.magic);
	memcpy(out->strings, STRINGS, sizeof out->strings);
}

static bool same_outside(const uint8_t *before, const uint8_t *after, size_t size, const struct fixup *fixup, size_t length)
{
	for (size_t i = 0; i < size; i++)
		if (before[i] != after[i] && !(i >= fixup->at && i < fixup->at + length) &&
		    !(i >= fixup->header && i < fixup->header + sizeof(Elf64_Phdr)))
			return false;
	return true;
}

static void check(const struct retarget *retarget, const struct fixup *fixup, const uint8_t *before, size_t size, int fd)
{
	static uint8_t after[MAX_PROGRAM + GROWTH];
	char path[PATH_MAX];
	size_t length = retarget_path(retarget, fixup, path);
	ssize_t got = pread(fd, after, sizeof after, 0);
	if (got < 0)
		abort();
	if (fixup->kind == FIXUP_ELF && ((size_t)got < size || !same_outside(before, after, size, fixup, length)))
		abort();
	size_t old = (size_t)fixup->header + fixup->room, moved = strlen(path) + 2;
	bool changed = (size_t)got != size || memcmp(before, after, size) != 0;
	if (fixup->kind == FIXUP_SCRIPT && changed &&
	    ((size_t)got < moved + size - old || memcmp(after + moved, before + old, size - old) != 0))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct said said;
	struct fault fault = {0};
	struct index index;
	if (size < sizeof said || size > MAX_PROGRAM)
		return 0;
	memcpy(&said, bytes, sizeof said);
	bytes += sizeof said;
	size -= sizeof said;
	struct small_index *table = malloc(sizeof *table);
	describe(table, &said, size);
	if (index_load(&index, table, sizeof *table, &fault) == 0) {
		struct retarget retarget = {.index = &index, .lacking = 1, .tree = "/dev/shm/tree"};
		int fd = memfd_create("program", MFD_CLOEXEC);
		if (fd < 0 || write(fd, bytes, size) != (ssize_t)size || retarget_file(&retarget, 2, fd) < 0)
			abort();
		check(&retarget, &index.fixups[1], bytes, size, fd);
		close(fd);
	}
	index_free(&index);
	return 0;
}
