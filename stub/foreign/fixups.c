#include "foreign/fixups.h"

#include "base/system.h"
#include "foreign/slot.h"
#include "image/walk.h"
#include "squashfs/order.h"

#include <stdlib.h>
#include <string.h>

enum { GLIBC_LOADERS = 3 };

/* The loaders' file names are part of each machine's ABI; glibc's come first. */
static const char *const loaders[] = {"ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1", "ld-linux-riscv64-lp64d.so.1",
				      "ld-musl-x86_64.so.1",  "ld-musl-aarch64.so.1",  "ld-musl-riscv64.so.1"};

/* What the tree has in the place of an interpreter that programs ask for. */
struct found {
	char path[MAX_INTERPRETER + 1];
	uint32_t length, node, need;
	uint32_t number; /* of its record, counted from 1; 0: no program has been seen that needs one */
};

struct plan_made {
	struct files *files;
	const struct index *index;
	uint32_t named[COUNT(loaders)]; /* the file of each loader's name, or NOT_FOUND */
	struct found found[INTERPRETERS_MAX];
	uint32_t found_count, used;
	struct fixup *fixups; /* their interpreters' numbers count from 1, in the order in which programs were seen */
	uint32_t count;
};

/* The number of the loader that has that name; COUNT(loaders) when none has. */
static size_t loader_named(const char *name, size_t length)
{
	size_t i = 0;
	if (length < 3 || memcmp(name, "ld-", 3) != 0)
		return COUNT(loaders);
	while (i < COUNT(loaders) && (strlen(loaders[i]) != length || memcmp(loaders[i], name, length) != 0))
		i++;
	return i;
}

bool fixups_wanted(const struct index *index)
{
	for (uint32_t i = 1; i < index->head->nodes; i++)
		if (loader_named(index->strings + index->nodes[i].name, index->nodes[i].name_length) < COUNT(loaders))
			return true;
	return false;
}

/* The file that has a loader's name, through symlinks; of several the one that is nearest to the top. */
static void find_loaders(struct plan_made *plan)
{
	const struct index *index = plan->index;
	for (size_t i = 0; i < COUNT(loaders); i++)
		plan->named[i] = NOT_FOUND;
	for (uint32_t i = 1; i < index->head->nodes; i++) {
		const struct node *node = &index->nodes[i];
		const char *name = index->strings + node->name;
		size_t which = loader_named(name, node->name_length);
		if (which == COUNT(loaders) || plan->named[which] != NOT_FOUND)
			continue;
		uint32_t file = walk_to(index, node->parent, name, node->name_length);
		if (file != NOT_FOUND && index->nodes[file].type == NODE_FILE)
			plan->named[which] = file;
	}
}

static bool find_interpreter(const struct plan_made *plan, const struct slot_found *slot, struct found *found)
{
	const char *name = strrchr(slot->path, '/') + 1;
	size_t which = loader_named(name, strlen(name));
	uint32_t node = walk_to(plan->index, 0, slot->path, slot->length);
	if (node == NOT_FOUND && which < COUNT(loaders))
		node = plan->named[which];
	if (node == NOT_FOUND || plan->index->nodes[node].type != NODE_FILE || !(plan->index->nodes[node].flags & NODE_FIRST))
		return false;
	*found = (struct found){.length = slot->length, .node = node, .need = which < GLIBC_LOADERS ? ANY_GLIBC : 0};
	memcpy(found->path, slot->path, slot->length);
	return true;
}

/* What the tree has for those who ask for that path; NULL when it has nothing. */
static struct found *interpreter(struct plan_made *plan, const struct slot_found *slot)
{
	for (uint32_t i = 0; i < plan->found_count; i++)
		if (plan->found[i].length == slot->length && memcmp(plan->found[i].path, slot->path, slot->length) == 0)
			return &plan->found[i];
	if (plan->found_count == INTERPRETERS_MAX || !find_interpreter(plan, slot, &plan->found[plan->found_count]))
		return NULL;
	return &plan->found[plan->found_count++];
}

static void look_at(struct plan_made *plan, uint32_t number)
{
	const struct node *node = &plan->index->nodes[number];
	struct slot_found slot = {.length = 0};
	if (node->type != NODE_FILE || !(node->flags & NODE_FIRST) || !node->size || !slot_find(plan->files, node, &slot))
		return;
	struct found *found = interpreter(plan, &slot);
	if (!found || found->node == number)
		return;
	if (!found->number)
		found->number = ++plan->used;
	plan->fixups[plan->count++] = (struct fixup){number, slot.kind, slot.header, slot.at, slot.room, found->number};
}

/* A directory's content by name, and then its directories, the last one first: tmprun/index/walk.py's order, which the numbers of the
 * interpreters depend on. `waiting` has room for all nodes. */
static void look_at_all(struct plan_made *plan, uint32_t *waiting)
{
	uint32_t count = 1;
	waiting[0] = 0;
	while (count) {
		const struct node *directory = &plan->index->nodes[waiting[--count]];
		for (uint32_t i = directory->a; i < directory->a + directory->b; i++) {
			look_at(plan, i);
			if (plan->index->nodes[i].type == NODE_DIRECTORY)
				waiting[count++] = i;
		}
	}
}

static int compare_nodes(const void *context, uint32_t left, uint32_t right)
{
	const struct fixup *fixups = context;
	return (fixups[left].node > fixups[right].node) - (fixups[left].node < fixups[right].node);
}

/* Where the text lies in the index's strings, if it is the target of a symlink there, or else will, behind them; *size is theirs. */
static uint32_t place_of(const struct index *index, const char *text, uint32_t length, uint32_t *size)
{
	for (uint32_t i = 0; i < index->head->nodes; i++) {
		const struct node *node = &index->nodes[i];
		if (node->type == NODE_SYMLINK && node->b == length && memcmp(index->strings + node->a, text, length) == 0)
			return node->a;
	}
	*size += length;
	return *size - length;
}

/* The records of the interpreters, in the order of their numbers, then those of the programs by their nodes. Paths that are new go to
 * `strings`. */
static uint32_t write_records(const struct plan_made *plan, struct fixup *records, char *strings, const uint32_t *by_node)
{
	uint32_t size = plan->index->head->strings;
	for (uint32_t number = 1; number <= plan->used; number++) {
		const struct found *found = plan->found;
		while (found->number != number)
			found++;
		uint32_t before = size, at = place_of(plan->index, found->path, found->length, &size);
		if (size > before)
			memcpy(strings + at, found->path, found->length);
		struct interpreter record = {found->node, FIXUP_INTERPRETER, at, found->length, found->need, 0, 0, 0};
		memcpy(&records[number - 1], &record, sizeof record);
	}
	for (uint32_t i = 0; i < plan->count; i++) {
		struct fixup *record = &records[plan->used + i];
		*record = plan->fixups[by_node[i]];
		record->interpreter--;
	}
	return size;
}

/* The index with the records between its segments and its strings. */
static int insert(const struct plan_made *plan, const uint32_t *by_node, struct raw_index *made, struct fault *fault)
{
	const struct index *index = plan->index;
	uint32_t records = plan->used + plan->count;
	size_t before = (size_t)((const char *)index->fixups - (const char *)index->bytes), metadata = index->head->metadata;
	size_t room = index->size + records * sizeof(struct fixup) + (size_t)plan->used * MAX_INTERPRETER;
	char *bytes = malloc(room);
	if (!bytes)
		return FAILED(fault, "no memory for the index");
	memcpy(bytes, index->bytes, before);
	char *strings = bytes + before + records * sizeof(struct fixup);
	memcpy(strings, index->strings, index->head->strings);
	struct index_head *head = (void *)bytes;
	head->strings = write_records(plan, (void *)(bytes + before), strings, by_node);
	head->fixups = records;
	memcpy(strings + head->strings, index->strings + index->head->strings, metadata);
	*made = (struct raw_index){bytes, (size_t)(strings - bytes) + head->strings + metadata};
	return 0;
}

int fixups_plan(struct files *files, struct raw_index *made, struct fault *fault)
{
	uint32_t nodes = files->index->head->nodes;
	CLEANUP(free_pointer) uint32_t *numbers = zeroed(nodes, sizeof *numbers);
	CLEANUP(free_pointer) uint32_t *spare = zeroed(nodes, sizeof *spare);
	CLEANUP(free_pointer) struct fixup *fixups = zeroed(nodes, sizeof *fixups);
	CLEANUP(free_pointer) struct plan_made *plan = zeroed(1, sizeof *plan);
	*made = (struct raw_index){0};
	if (!numbers || !spare || !fixups || !plan)
		return FAILED(fault, "no memory for the index");
	plan->files = files;
	plan->index = files->index;
	plan->fixups = fixups;
	find_loaders(plan);
	look_at_all(plan, numbers);
	for (uint32_t i = 0; i < plan->count; i++)
		numbers[i] = i;
	order_sort(numbers, spare, plan->count, compare_nodes, fixups);
	return plan->count ? insert(plan, numbers, made, fault) : 0;
}
