#define _GNU_SOURCE
#include "base/system.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void *zeroed(size_t count, size_t size)
{
	return calloc(count ? count : 1, size);
}

void free_pointer(void *pointer_to_pointer)
{
	free(*(void **)pointer_to_pointer);
}

int set_limit(int resource, const struct rlimit *limit)
{
	return (int)syscall(SYS_prlimit64, 0, resource, limit, NULL);
}

uint64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

unsigned processors(void)
{
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof set, &set) < 0)
		return 1;
	int count = CPU_COUNT(&set);
	return count > 0 ? (unsigned)count : 1;
}
