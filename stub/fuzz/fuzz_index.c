/* Whatever bytes it is given, index_load refuses them, or makes an index in which every number is in range. */
#include "base/fault.h"
#include "image/index.h"
#include "image/index_load.h"
#include "start/select.h"
#include "tree/plan.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void use(const struct index *index)
{
	struct fault fault = {0};
	struct plan plan;
	char path[MAX_PATH + 1], name[MAX_NAME + 1];
	for (uint32_t n = 0; n < index->head->nodes; n++) {
		index_path(index, n, path);
		index_name(index, &index->nodes[n], name);
	}
	const char *missed;
	char pattern[] = "./*/[a-z]*/";
	char *patterns[] = {pattern};
	free(select_nodes(index, patterns, 1, &missed));
	plan_make(&plan, index, NULL, &fault);
	plan_free(&plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct fault fault = {0};
	struct index index;
	void *copy = malloc(size ? size : 1);
	if (!copy)
		return 0;
	memcpy(copy, bytes, size);
	if (index_load(&index, copy, size, &fault) == 0)
		use(&index);
	index_free(&index);
	return 0;
}
