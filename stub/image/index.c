#include "image/index.h"

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
