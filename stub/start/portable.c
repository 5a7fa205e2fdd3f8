#define _GNU_SOURCE
#include "start/portable.h"

#include "base/system.h"
#include "base/text.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

/* A directory beside the image that stands in for one of the user's, and the variable that says so. */
struct portable {
	const char *suffix;
	enum variable variable;
	const char *kept; /* where its old value goes */
};

static const struct portable portables[] = {
	{".home", HOME, "REAL_HOME"},
	{".config", XDG_CONFIG_HOME, "REAL_XDG_CONFIG_HOME"},
	{".share", XDG_DATA_HOME, "REAL_XDG_DATA_HOME"},
	{".cache", XDG_CACHE_HOME, "REAL_XDG_CACHE_HOME"},
};

static void use_portable(const struct portable *portable, const char *image, const struct environment *environment)
{
	char path[PATH_MAX + 16];
	struct stat stat_of;
	join(path, sizeof path, image, portable->suffix, (char *)NULL);
	if (stat(path, &stat_of) < 0 || !S_ISDIR(stat_of.st_mode))
		return;
	const char *before = environment->values[portable->variable];
	if (before)
		setenv(portable->kept, before, 1);
	setenv(variable_name(portable->variable), path, 1);
}

void portable_use(const char *image, const struct environment *environment)
{
	for (size_t i = 0; i < COUNT(portables); i++)
		use_portable(&portables[i], image, environment);
}
