/* Whatever a program's bytes are: what it asks of a machine is found out within them, and an index that is legal with what was found,
 * and otherwise the image's, comes of it. The same bytes as a record of that: a legal index comes of it, or none. */
#define _GNU_SOURCE
#include "base/fault.h"
#include "image/index.h"
#include "image/index_load.h"
#include "slices/derive.h"
#include "slices/programs.h"
#include "slices/record.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define STRINGS "programs" /* so that nothing is padded */
enum { MAX_PROGRAM = 1 << 15 };

struct small_index {
	struct index_head head;
	struct frame frame;
	struct node nodes[2];
	struct segment segment;
	char strings[sizeof STRINGS - 1];
};

static void describe(struct small_index *out, const uint8_t *bytes, size_t size)
{
	*out = (struct small_index){
		.head = {.frames = 1, .nodes = 2, .segments = 1, .strings = sizeof STRINGS - 1, .content_size = size},
		.frame = {.stored = (uint32_t)size, .plain = (uint32_t)size, .codec = CODEC_STORED},
		.nodes = {{.type = NODE_DIRECTORY, .mode = 0755, .a = 1, .b = 1},
			  {.name_length = 8, .mode = 0755, .type = NODE_FILE, .flags = NODE_FIRST, .b = 1, .size = size}},
		.segment = {.length = (uint32_t)size},
	};
	memcpy(out->head.magic, INDEX_MAGIC, sizeof out->head.magic);
	memcpy(out->strings, STRINGS, sizeof out->strings);
	sha256(bytes, size, out->frame.digest);
}

static void check(const struct index *index, const struct programs *programs)
{
	static const char *const watched[] = {"/a/tree", "/a/file"};
	struct index derived = {0};
	struct fault fault = {0};
	uint32_t first;
	if (derive_index(index, programs, watched, &derived, &first, &fault) < 0 || first ||
	    derived.interpreters != programs->asked_count + WATCHED_MAX || derived.head->fixups != derived.interpreters + programs->count ||
	    memcmp(derived.nodes, index->nodes, index->head->nodes * sizeof *index->nodes) != 0)
		abort();
	index_free(&derived);
}

/* Its digest is put right, or nothing behind it would ever be reached. */
static void read_as_record(const struct index *index, const uint8_t *bytes, size_t size)
{
	static const char *const watched[] = {"/a/tree", "/a/file"};
	struct index derived = {0};
	struct programs programs;
	struct fault fault = {0};
	uint32_t first;
	uint8_t *right = malloc(size + RECORD_HEAD);
	if (!right || size < RECORD_HEAD) {
		free(right);
		return;
	}
	memcpy(right, bytes, size);
	record_digest(index, right, size, right + RECORD_DIGEST);
	bool read = record_read(index, right, size, &programs);
	free(right);
	if (!read)
		return;
	if (programs.count)
		(void)derive_index(index, &programs, watched, &derived, &first, &fault);
	index_free(&derived);
	programs_free(&programs);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct fault fault = {0};
	struct index index;
	struct programs programs;
	if (!size || size > MAX_PROGRAM)
		return 0;
	struct small_index *table = malloc(sizeof *table);
	describe(table, bytes, size);
	if (index_load(&index, table, sizeof *table, &fault) < 0)
		abort();
	struct files files = {.fd = memfd_create("program", MFD_CLOEXEC), .index = &index};
	if (files.fd < 0 || write(files.fd, bytes, size) != (ssize_t)size || programs_find(&files, &programs, &fault) < 0)
		abort();
	if (programs.count)
		check(&index, &programs);
	read_as_record(&index, bytes, size);
	programs_free(&programs);
	files_free(&files);
	close(files.fd);
	index_free(&index);
	return 0;
}
