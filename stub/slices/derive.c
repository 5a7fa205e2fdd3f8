#include "slices/derive.h"

#include "base/system.h"
#include "image/index_load.h"
#include "tree/interpreters.h"

#include <stdlib.h>
#include <string.h>

/* The index in the making. */
struct making {
	const struct index *index;
	const struct programs *programs;
	struct fixup *records;
	uint32_t count, interpreters;
	char *strings;
	uint32_t size;
};

static void add_interpreter(struct making *making, const char *path, size_t length, uint32_t need)
{
	struct interpreter record = {.node = making->programs->fixups[0].node,
				     .kind = FIXUP_INTERPRETER,
				     .path = making->size,
				     .path_length = (uint32_t)length,
				     .need = need};
	memcpy(making->strings + making->size, path, length);
	making->size += (uint32_t)length;
	memcpy(&making->records[making->count++], &record, sizeof record);
	making->interpreters++;
}

static int add_interpreters(struct making *making, const char *const *watched, struct fault *fault)
{
	for (uint32_t i = 0; i < making->programs->asked_count; i++)
		add_interpreter(making, making->programs->asked[i].path, making->programs->asked[i].length,
				making->programs->asked[i].need);
	for (unsigned i = 0; i < WATCHED_MAX && watched[i]; i++) {
		size_t length = strlen(watched[i]);
		if (strchr(watched[i], '\n'))
			return BAD_STORE(fault, "the path of a slice, or of the store, has a line break");
		if (!length || length > MAX_INTERPRETER)
			return BAD_STORE(fault, "the path of a slice is longer than ", "255 bytes");
		add_interpreter(making, watched[i], length, 0);
	}
	return 0;
}

/* The programs of both, by their nodes; where both have one, it is ours that counts. */
static void add_programs(struct making *making)
{
	const struct index *index = making->index;
	const struct programs *programs = making->programs;
	uint32_t ours = 0, theirs = index->interpreters, count = programs->count;
	while (ours < count || theirs < index->head->fixups) {
		bool is_ours = ours < count && (theirs == index->head->fixups || programs->fixups[ours].node <= index->fixups[theirs].node);
		if (!is_ours) {
			making->records[making->count++] = index->fixups[theirs++];
			continue;
		}
		if (theirs < index->head->fixups && programs->fixups[ours].node == index->fixups[theirs].node)
			theirs++;
		struct fixup *record = &making->records[making->count++];
		*record = programs->fixups[ours++];
		record->interpreter += index->interpreters;
	}
}

/* The parts of the index as they lie in it: what is before the fixups, these, the hot list, strings, metadata. */
static int put_together(const struct making *making, struct index *derived, struct fault *fault)
{
	const struct index *index = making->index;
	size_t before = (size_t)((const char *)index->fixups - (const char *)index->bytes), records = making->count * sizeof(struct fixup);
	size_t hot = index->head->hot * sizeof *index->hot, metadata = index->head->metadata;
	size_t size = before + records + hot + making->size + metadata;
	char *bytes = malloc(size), *at = bytes;
	if (!bytes)
		return FAILED(fault, "no memory for the index");
	at = (char *)memcpy(at, index->bytes, before) + before;
	at = (char *)memcpy(at, making->records, records) + records;
	at = (char *)memcpy(at, index->hot, hot) + hot;
	at = (char *)memcpy(at, making->strings, making->size) + making->size;
	memcpy(at, index->strings + index->head->strings, metadata);
	struct index_head *head = (void *)bytes;
	head->fixups = making->count;
	head->strings = making->size;
	return index_load(derived, bytes, size, fault);
}

int derive_index(const struct index *index, const struct programs *programs, const char *const *watched, struct index *derived,
		 uint32_t *first, struct fault *fault)
{
	uint32_t most = index->head->fixups + programs->count + ASKED_MAX + WATCHED_MAX;
	CLEANUP(free_pointer) struct fixup *records = zeroed(most, sizeof *records);
	CLEANUP(free_pointer) char *strings = zeroed(index->head->strings + (ASKED_MAX + WATCHED_MAX) * (size_t)MAX_INTERPRETER, 1);
	struct making making = {.index = index, .programs = programs, .records = records, .strings = strings};
	if (!records || !strings)
		return FAILED(fault, "no memory for the index");
	if (index->interpreters + ASKED_MAX + WATCHED_MAX > INTERPRETERS_MAX)
		return BAD_IMAGE(fault, "brings so many interpreters that there is no room for a slice's");
	memcpy(records, index->fixups, index->interpreters * sizeof *records);
	memcpy(strings, index->strings, index->head->strings);
	making.count = *first = index->interpreters;
	making.size = index->head->strings;
	if (add_interpreters(&making, watched, fault) < 0)
		return -1;
	add_programs(&making);
	return put_together(&making, derived, fault);
}
