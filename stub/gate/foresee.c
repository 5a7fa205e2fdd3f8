#include "gate/foresee.h"

#include "base/file.h"
#include "base/system.h"
#include "image/dynamic.h"
#include "image/walk.h"

#include <sched.h>
#include <string.h>

#ifndef TMPRUN_SMALL

/* A large app's libraries take two milliseconds in all to look for. What takes so long is made to. */
enum { LOOKING_MAX_US = 100000 };

bool foresee_prepare(struct filler *filler)
{
	const struct index_head *head = filler->index->head;
	filler->soon = zeroed(head->segments, sizeof *filler->soon);
	filler->foreseen = zeroed(head->nodes, 1);
	if (!filler->soon || !filler->foreseen)
		return false;
	foresee_anew(filler);
	return true;
}

void foresee_anew(struct filler *filler)
{
	memset((void *)filler->foreseen, false, filler->index->head->nodes);
	for (uint32_t i = 0; i < filler->hot_count; i++) /* those are filled first as it is */
		filler->foreseen[filler->hot[i]] = true;
	filler->soon_count = filler->next_soon = filler->places_count = 0;
	filler->looking_left = LOOKING_MAX_US;
	atomic_flag_clear(&filler->soon_busy);
}

static bool read_file(void *context, uint64_t offset, void *out, uint64_t size)
{
	const int *fd = context;
	return offset <= INT64_MAX && read_at(*fd, out, size, offset) == 0;
}

/* Where libraries were found, others are looked for: the dynamic linker's own places may be changed by anybody. */
static void add_place(struct filler *filler, uint32_t directory)
{
	for (unsigned i = 0; i < filler->places_count; i++)
		if (filler->places[i] == directory)
			return;
	if (filler->places_count < PLACES_MAX)
		filler->places[filler->places_count++] = directory;
}

/* The file of that name beside the one that needs it, or where others are; 0 when there is none. */
static uint32_t find(const struct filler *filler, uint32_t directory, const char *name)
{
	size_t length = strlen(name);
	uint32_t found = walk_to(filler->index, directory, name, length);
	for (unsigned i = 0; found == NOT_FOUND && i < filler->places_count; i++)
		found = walk_to(filler->index, filler->places[i], name, length);
	return found != NOT_FOUND && filler->index->nodes[found].type == NODE_FILE ? found : 0;
}

static void add_file(struct filler *filler, uint32_t number)
{
	const struct node *node = &filler->index->nodes[number];
	if (filler->foreseen[number] || held(filler->gate, number) < 0)
		return;
	filler->foreseen[number] = true;
	for (uint32_t s = node->a; s < node->a + node->b; s++)
		if (filler->index->segments[s].frame != HOLE) {
			filler->soon[filler->soon_count] = filler->index->segments[s].frame;
			atomic_fetch_add(&filler->soon_count, 1); /* when it is there: whoever takes it holds no lock */
		}
}

static void add_what_it_needs(struct filler *filler, uint32_t directory, struct dynamic *dynamic)
{
	Elf64_Dyn row;
	char name[MAX_NAME + 1];
	uint64_t began = now_us();
	for (uint64_t i = 0; now_us() - began < filler->looking_left && dynamic_row(dynamic, i, &row); i++) {
		if (row.d_tag != DT_NEEDED)
			continue;
		dynamic_name(dynamic, row.d_un.d_val, name, sizeof name);
		uint32_t number = *name && !strchr(name, '/') ? find(filler, directory, name) : 0;
		if (number)
			add_file(filler, number);
	}
	uint64_t took = now_us() - began;
	filler->looking_left -= took < filler->looking_left ? took : filler->looking_left;
}

void foresee(struct filler *filler, uint32_t number, int fd, bool asked)
{
	const struct node *node = &filler->index->nodes[number];
	struct dynamic dynamic; /* 14 KB, which are not to be cleared for each of 70,000 files */
	if (filler->gate->mode == FILL_DEMAND || (!asked && !filler->foreseen[number]))
		return;
	dynamic.read = read_file;
	dynamic.context = &fd;
	if (!dynamic_open(&dynamic))
		return;
	while (atomic_flag_test_and_set(&filler->soon_busy))
		sched_yield();
	if (asked)
		add_place(filler, node->parent);
	add_what_it_needs(filler, node->parent, &dynamic);
	atomic_flag_clear(&filler->soon_busy);
}

bool foresee_next(struct filler *filler, uint32_t *frame)
{
	uint32_t at = atomic_load(&filler->next_soon);
	while (at < atomic_load(&filler->soon_count))
		if (atomic_compare_exchange_weak(&filler->next_soon, &at, at + 1)) {
			*frame = filler->soon[at];
			return true;
		}
	return false;
}

#endif
