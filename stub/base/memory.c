#define _GNU_SOURCE
#include "base/memory.h"

#include "base/file.h"
#include "base/text.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>

/* The number behind `label` at the start of a line, or UINT64_MAX. */
static uint64_t labelled(const char *text, const char *label)
{
	size_t length = strlen(label);
	for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		if (strncmp(line, label, length) == 0)
			return parse_decimal(line + length + strspn(line + length, " \t"));
	return UINT64_MAX;
}

static uint64_t number_in(const char *directory, const char *name)
{
	char path[PATH_MAX + 64], text[32];
	join(path, sizeof path, directory, "/", name, (char *)NULL);
	if (read_text(AT_FDCWD, path, text, sizeof text) <= 0 || text[0] < '0' || text[0] > '9')
		return UINT64_MAX; /* "max" */
	return parse_decimal(text);
}

static uint64_t droppable(const char *directory)
{
	char path[PATH_MAX + 64], text[8192];
	join(path, sizeof path, directory, "/memory.stat", (char *)NULL);
	if (read_text(AT_FDCWD, path, text, sizeof text) <= 0)
		return 0;
	uint64_t inactive = labelled(text, "inactive_file "), active = labelled(text, "active_file ");
	return (inactive == UINT64_MAX ? 0 : inactive) + (active == UINT64_MAX ? 0 : active);
}

/* What there is of memory, and what of that is to be known. */
enum sum { ALL, LEFT };

static uint64_t group_has(enum sum sum, const char *directory, const char *limit_name, const char *usage_name)
{
	uint64_t limit = number_in(directory, limit_name);
	if (limit == UINT64_MAX || limit >= (uint64_t)1 << 60) /* version 1 writes "no limit" as a huge number */
		return UINT64_MAX;
	if (sum == ALL)
		return limit;
	uint64_t used = number_in(directory, usage_name), cache = droppable(directory);
	if (used == UINT64_MAX)
		return UINT64_MAX;
	used -= cache < used ? cache : used;
	return used < limit ? limit - used : 0;
}

/* A limit of any group above ours binds us as well. */
static uint64_t groups_have(enum sum sum, const char *mount, char *group, const char *limit_name, const char *usage_name)
{
	uint64_t least = UINT64_MAX;
	for (;;) {
		char directory[PATH_MAX];
		join(directory, sizeof directory, mount, group, (char *)NULL);
		uint64_t has = group_has(sum, directory, limit_name, usage_name);
		if (has < least)
			least = has;
		char *slash = strrchr(group, '/');
		if (!slash)
			return least;
		*slash = '\0';
	}
}

static uint64_t line_has(enum sum sum, char *line)
{
	char *controllers = strchr(line, ':');
	char *group = controllers ? strchr(controllers + 1, ':') : NULL;
	if (!group)
		return UINT64_MAX;
	*controllers++ = '\0';
	*group++ = '\0';
	if (strcmp(line, "0") == 0)
		return groups_have(sum, "/sys/fs/cgroup", group, "memory.max", "memory.current");
	if (strcmp(controllers, "memory") == 0)
		return groups_have(sum, "/sys/fs/cgroup/memory", group, "memory.limit_in_bytes", "memory.usage_in_bytes");
	return UINT64_MAX;
}

static uint64_t memory(enum sum sum)
{
	char text[4096];
	uint64_t least = UINT64_MAX;
	if (read_text(AT_FDCWD, "/proc/meminfo", text, sizeof text) > 0) {
		least = labelled(text, sum == ALL ? "MemTotal:" : "MemAvailable:");
		least = least == UINT64_MAX ? least : least << 10;
	}
	if (read_text(AT_FDCWD, "/proc/self/cgroup", text, sizeof text) > 0) {
		char *rest = text;
		for (char *line; (line = strsep(&rest, "\n"));) {
			uint64_t has = line_has(sum, line);
			if (has < least)
				least = has;
		}
	}
	return least;
}

uint64_t memory_available(void)
{
	return memory(LEFT);
}

uint64_t memory_ours(void)
{
	return memory(ALL);
}
