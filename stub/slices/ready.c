#define _GNU_SOURCE
#include "slices/ready.h"

#include "base/file.h"
#include "base/system.h"
#include "base/text.h"
#include "slices/programs.h"
#include "tree/interpreters.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

bool ready_note(const struct index *slice, char notes[READY_NOTES])
{
	char inside[MAX_PATH + 1], version[24];
	const struct interpreter *loader = interpreter_at(slice, 0);
	index_path(slice, loader->node, inside);
	return join(notes, READY_NOTES, decimal(version, loader->need), "\n", inside, "\n", (char *)NULL);
}

/* The two lines of ready_note; an app's entry has three in that file, and one that a bundle made of itself has no such file. */
static bool read_notes(struct ready *ready)
{
	char path[PATH_MAX + 16], text[READY_NOTES], *rest = text;
	join(path, sizeof path, ready->entry.tree, "/../" ENTRY_SLICE, (char *)NULL);
	if (read_text(AT_FDCWD, path, text, sizeof text) < 0)
		return false;
	const char *version = strsep(&rest, "\n"), *inside = strsep(&rest, "\n");
	uint64_t number = parse_decimal(version);
	ready->version = (uint32_t)number;
	return inside && rest && !*rest && number && number <= UINT32_MAX && programs_loader(inside, strlen(inside)) &&
	       join(ready->loader, sizeof ready->loader, ready->entry.tree, "/", inside, (char *)NULL);
}

bool ready_find(const struct roots *roots, const struct image *slice, struct ready *ready)
{
	char identity[IDENTITY_SIZE];
	*ready = READY_NONE;
	image_identity(&slice->stat, identity);
	for (unsigned i = 0; i < roots->count; i++)
		if (entry_find(&roots->list[i], identity, &ready->entry)) {
			if (read_notes(ready))
				return true;
			ready_release(ready);
		}
	return false;
}

void ready_release(struct ready *ready)
{
	entry_release(&ready->entry);
	*ready = READY_NONE;
}
