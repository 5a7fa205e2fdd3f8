#include "start/limits.h"

#include "base/text.h"

#include <stdint.h>

/* tmprun/index/limits.py has the same numbers. */
enum { USUAL_NODES = 200000, USUAL_SEGMENTS = 1 << 20, USUAL_FRAMES = 1 << 18, USUAL_EXPANSION = 100 };
#define SMALL_CONTENT ((uint64_t)1 << 30)

/* Bytes that are written: holes take no room. */
static uint64_t content(const struct index *index)
{
	uint64_t size = 0;
	for (uint32_t i = 0; i < index->head->segments; i++)
		if (index->segments[i].frame != HOLE)
			size += index->segments[i].length;
	return size;
}

static int too_much(struct fault *fault, uint64_t number, const char *of_what)
{
	char text[24];
	return BAD_IMAGE(fault, "claims to hold ", decimal(text, number), of_what,
			 ", and may be a bomb; if it is not, set TMPRUN_LIMITS=none (extract: --force)");
}

int limits_check(const struct image *image, struct fault *fault)
{
	const struct index_head *head = image->index.head;
	if (head->nodes > USUAL_NODES)
		return too_much(fault, head->nodes, " files");
	if (head->segments > USUAL_SEGMENTS || head->frames > USUAL_FRAMES)
		return too_much(fault, head->segments > USUAL_SEGMENTS ? head->segments : head->frames, " pieces of files");
	uint64_t size = content(&image->index);
	/* No codec makes real files a hundred times smaller; small ones may be anything. */
	return size > SMALL_CONTENT + USUAL_EXPANSION * image->size ? too_much(fault, size, " bytes in a far smaller file") : 0;
}
