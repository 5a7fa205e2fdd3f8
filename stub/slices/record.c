#include "slices/record.h"

#include "base/system.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC "TMPRPRG1"

/* Behind it: what is asked for, then the programs. */
struct record_head {
	char magic[8];
	uint32_t asked, programs, wanted, reserved;
	uint8_t digest[SHA256_SIZE];
};
_Static_assert(sizeof(struct record_head) == RECORD_HEAD && offsetof(struct record_head, digest) == RECORD_DIGEST &&
		       sizeof(struct asked) % 8 == 0,
	       "layout");

void record_digest(const struct index *index, const void *bytes, size_t size, uint8_t digest[SHA256_SIZE])
{
	struct sha256 hash;
	sha256_begin(&hash);
	sha256_add(&hash, index->key, sizeof index->key);
	sha256_add(&hash, bytes, RECORD_DIGEST);
	sha256_add(&hash, (const char *)bytes + RECORD_HEAD, size - RECORD_HEAD);
	sha256_end(&hash, digest);
}

static bool is_whole(const struct index *index, const struct record_head *head, const void *bytes, size_t size)
{
	uint8_t digest[SHA256_SIZE];
	record_digest(index, bytes, size, digest);
	return memcmp(digest, head->digest, sizeof digest) == 0;
}

static bool is_legal_asked(const struct asked *asked)
{
	return asked->length <= MAX_INTERPRETER && memchr(asked->path, 0, sizeof asked->path) == asked->path + asked->length &&
	       programs_loader(asked->path, asked->length);
}

/* What else must be true of them derive_index looks at. */
static bool are_legal(const struct index *index, const struct programs *programs)
{
	for (uint32_t i = 0; i < programs->asked_count; i++)
		if (!is_legal_asked(&programs->asked[i]))
			return false;
	for (uint32_t i = 0; i < programs->count; i++) {
		const struct fixup *fixup = &programs->fixups[i];
		if (fixup->node >= index->head->nodes || index->nodes[fixup->node].type != NODE_FILE || fixup->kind != FIXUP_ELF ||
		    fixup->interpreter >= programs->asked_count || (i && fixup[-1].node >= fixup->node))
			return false;
	}
	return true;
}

bool record_read(const struct index *index, const void *bytes, size_t size, struct programs *programs)
{
	struct record_head head;
	*programs = (struct programs){0};
	if (size < sizeof head)
		return false;
	memcpy(&head, bytes, sizeof head);
	size_t asked = head.asked * sizeof *programs->asked, fixups = head.programs * sizeof *programs->fixups;
	if (memcmp(head.magic, MAGIC, sizeof head.magic) != 0 || head.asked > ASKED_MAX || head.programs >= index->head->nodes ||
	    size != sizeof head + asked + fixups || !is_whole(index, &head, bytes, size))
		return false;
	programs->fixups = zeroed(head.programs + (size_t)1, sizeof *programs->fixups);
	if (!programs->fixups)
		return false;
	memcpy(programs->asked, (const char *)bytes + sizeof head, asked);
	memcpy(programs->fixups, (const char *)bytes + sizeof head + asked, fixups);
	programs->asked_count = head.asked;
	programs->count = head.programs;
	programs->wanted = head.wanted;
	if (are_legal(index, programs))
		return true;
	programs_free(programs);
	*programs = (struct programs){0};
	return false;
}

size_t record_write(const struct index *index, const struct programs *programs, void **bytes)
{
	struct record_head head = {"", programs->asked_count, programs->count, programs->wanted, 0, {0}};
	memcpy(head.magic, MAGIC, sizeof head.magic);
	size_t asked = head.asked * sizeof *programs->asked, fixups = head.programs * sizeof *programs->fixups;
	char *at = *bytes = malloc(sizeof head + asked + fixups);
	if (!at)
		return 0;
	at = (char *)memcpy(at, &head, sizeof head) + sizeof head;
	at = (char *)memcpy(at, programs->asked, asked) + asked;
	memcpy(at, programs->fixups, fixups);
	size_t size = sizeof head + asked + fixups;
	record_digest(index, *bytes, size, (uint8_t *)*bytes + RECORD_DIGEST);
	return size;
}
