#include "start/file_limit.h"

#include "base/system.h"
#include "base/text.h"

#include <stdint.h>

static uint64_t largest_file(const struct index *index)
{
	uint64_t size = 0;
	for (uint32_t n = 0; n < index->head->nodes; n++)
		if (index->nodes[n].type == NODE_FILE && index->nodes[n].size > size)
			size = index->nodes[n].size;
	return size;
}

int file_limit_lift(struct file_limit *callers, const struct index *index, struct fault *fault)
{
	uint64_t need = 0;
	getrlimit(RLIMIT_FSIZE, &callers->limit);
	if (callers->limit.rlim_max != RLIM_INFINITY && (need = largest_file(index)) > callers->limit.rlim_max) {
		char file[24], limit[24];
		return FAILED(fault, "has a file of ", decimal(file, need), " bytes, and the limit for files is ",
			      decimal(limit, callers->limit.rlim_max), "; start it with a higher one (ulimit -f)");
	}
	const struct rlimit lifted = {callers->limit.rlim_max, callers->limit.rlim_max};
	set_limit(RLIMIT_FSIZE, &lifted);
	sigaction(SIGXFSZ, &(struct sigaction){.sa_handler = SIG_IGN}, &callers->action);
	return 0;
}

void file_limit_put_back(const struct file_limit *callers)
{
	set_limit(RLIMIT_FSIZE, &callers->limit);
	sigaction(SIGXFSZ, &callers->action, NULL);
}
