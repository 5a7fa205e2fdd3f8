#include "image/index.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

void index_free(struct index *index)
{
	free(index->bytes);
	*index = (struct index){0};
}

void index_name(const struct index *index, const struct node *node, char out[MAX_NAME + 1])
{
	memcpy(out, index->strings + node->name, node->name_length);
	out[node->name_length] = '\0';
}

bool is_library_name(const char *name)
{
	if (strncmp(name, "ld-", 3) == 0 || strncmp(name, "ld.so", 5) == 0)
		return false;
	for (const char *at = name; (at = find_text(at, strlen(at), ".so")); at += 3)
		if (!at[3] || (at[3] == '.' && ((at[4] >= '0' && at[4] <= '9') || at[4] == '.')))
			return true;
	return false;
}

void index_path(const struct index *index, uint32_t number, char out[MAX_PATH + 1])
{
	char reversed[MAX_PATH + 1];
	size_t at = MAX_PATH;
	reversed[at] = '\0';
	for (uint32_t i = number; i != 0; i = index->nodes[i].parent) {
		const struct node *node = &index->nodes[i];
		if (i != number)
			reversed[--at] = '/';
		at -= node->name_length;
		memcpy(reversed + at, index->strings + node->name, node->name_length);
	}
	if (number == 0)
		reversed[--at] = '.';
	memcpy(out, reversed + at, MAX_PATH + 1 - at);
}

/* Below 0, 0 or above it as the node's name is less than, equal to or greater than that one, byte by byte. */
static int compare_name(const struct index *index, const struct node *node, const char *name, size_t length)
{
	size_t common = length < node->name_length ? length : node->name_length;
	int order = memcmp(index->strings + node->name, name, common);
	return order != 0 ? order : (node->name_length > length) - (node->name_length < length);
}

uint32_t index_child(const struct index *index, uint32_t directory, const char *name, size_t length)
{
	uint32_t low = index->nodes[directory].a, high = low + index->nodes[directory].b;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = compare_name(index, &index->nodes[middle], name, length);
		if (order == 0)
			return middle;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return 0;
}
