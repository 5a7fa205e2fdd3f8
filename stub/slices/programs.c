#include "slices/programs.h"

#include "base/fault.h"
#include "base/system.h"
#include "foreign/slot.h"
#include "slices/needs.h"
#include "tree/interpreters.h"

#include <stdlib.h>
#include <string.h>

#define LIBC "libc.so.6"

bool programs_loader(const char *path, size_t length)
{
	static const char name[] = GLIBC_LOADER;
	const char *slash = strrchr(name, '/');
	size_t last = strlen(slash);
	return length >= last && memcmp(path + length - last, slash, last) == 0;
}

static bool brings(const struct index *index, const char *name)
{
	for (uint32_t i = 1; i < index->head->nodes; i++)
		if (index->nodes[i].name_length == strlen(name) && memcmp(index->strings + index->nodes[i].name, name, strlen(name)) == 0)
			return true;
	return false;
}

/* A loader alone, without the C library that it belongs to, is of no use to anybody. */
static bool brings_libc(const struct index *index)
{
	for (uint32_t i = 0; i < index->interpreters; i++) {
		const struct interpreter *interpreter = interpreter_at(index, i);
		if (programs_loader(index->strings + interpreter->path, interpreter->path_length))
			return brings(index, LIBC);
	}
	return false;
}

/* The number of that path among what is asked for; ASKED_MAX when there is no room for it. */
static uint32_t ask(struct programs *programs, const struct slot_found *slot)
{
	uint32_t i = 0;
	while (i < programs->asked_count && strcmp(programs->asked[i].path, slot->path) != 0)
		i++;
	if (i < ASKED_MAX && i == programs->asked_count) {
		memcpy(programs->asked[i].path, slot->path, slot->length + (size_t)1);
		programs->asked[i].length = slot->length;
		programs->asked[i].need = ANY_GLIBC;
		programs->asked_count++;
	}
	return i;
}

static void look_at(struct files *files, struct programs *programs, uint32_t number)
{
	const struct node *node = &files->index->nodes[number];
	struct slot_found slot = {.length = 0};
	if (node->type != NODE_FILE || !(node->flags & NODE_FIRST) || !node->size || !slot_find(files, node, &slot) ||
	    slot.kind != FIXUP_ELF || !programs_loader(slot.path, slot.length))
		return;
	uint32_t number_asked = ask(programs, &slot);
	if (number_asked == ASKED_MAX)
		return;
	struct asked *asked = &programs->asked[number_asked];
	uint32_t need = needs_glibc(files, node);
	asked->need = need > asked->need ? need : asked->need;
	programs->fixups[programs->count++] = (struct fixup){number, slot.kind, slot.header, slot.at, slot.room, number_asked};
}

static void look_at_library(struct files *files, struct programs *programs, uint32_t number)
{
	const struct node *node = &files->index->nodes[number];
	char name[MAX_NAME + 1];
	index_name(files->index, node, name);
	if (node->type != NODE_FILE || !node->size || !is_library_name(name))
		return;
	uint32_t need = needs_glibc(files, node);
	programs->wanted = need > programs->wanted ? need : programs->wanted;
}

uint32_t programs_need(const struct programs *programs)
{
	uint32_t need = 0;
	for (uint32_t i = 0; i < programs->asked_count; i++)
		need = programs->asked[i].need > need ? programs->asked[i].need : need;
	return need;
}

void programs_raise(struct programs *programs, uint32_t need)
{
	for (uint32_t i = 0; i < programs->asked_count; i++)
		if (programs->asked[i].need < need)
			programs->asked[i].need = need;
}

int programs_find(struct files *files, struct programs *programs, struct fault *fault)
{
	const struct index *index = files->index;
	*programs = (struct programs){.fixups = zeroed(index->head->nodes, sizeof *programs->fixups)};
	if (!programs->fixups)
		return FAILED(fault, "no memory for the index");
	if (brings_libc(index))
		return 0;
	for (uint32_t i = 1; i < index->head->nodes; i++)
		look_at(files, programs, i);
	programs->wanted = programs_need(programs);
	for (uint32_t i = 1; programs->count && i < index->head->nodes; i++)
		look_at_library(files, programs, i);
	return 0;
}

void programs_free(struct programs *programs)
{
	free(programs->fixups);
}
