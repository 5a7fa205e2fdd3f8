#define _GNU_SOURCE
#include "base/environment.h"

#include "base/fault.h"

#include <stdlib.h>

static const char *const names[VARIABLES] = {
	[TMPRUN_LOG] = "TMPRUN_LOG",
	[TMPRUN_STORE] = "TMPRUN_STORE",
	[TMPRUN_FILL] = "TMPRUN_FILL",
	[TMPRUN_TRACE] = "TMPRUN_TRACE",
	[TMPRUN_LIMITS] = "TMPRUN_LIMITS",
	[TARGET_APPIMAGE] = "TARGET_APPIMAGE",
	[APPIMAGE_EXTRACT_AND_RUN] = "APPIMAGE_EXTRACT_AND_RUN",
	[APPIMAGE_TARGET_DIR] = "APPIMAGE_TARGET_DIR",
	[TMPDIR] = "TMPDIR",
	[HOME] = "HOME",
	[PATH] = "PATH",
	[XDG_RUNTIME_DIR] = "XDG_RUNTIME_DIR",
	[XDG_CACHE_HOME] = "XDG_CACHE_HOME",
	[XDG_CONFIG_HOME] = "XDG_CONFIG_HOME",
	[XDG_DATA_HOME] = "XDG_DATA_HOME",
};

void environment_read(struct environment *environment)
{
	for (size_t i = 0; i < VARIABLES; i++)
		environment->values[i] = getenv(names[i]);
	debug_choose(environment->values[TMPRUN_LOG]);
}

const char *variable_name(enum variable variable)
{
	return names[variable];
}

const char *environment_text(const struct environment *environment, enum variable variable)
{
	const char *value = environment->values[variable];
	return value && *value ? value : NULL;
}

const char *environment_path(const struct environment *environment, enum variable variable)
{
	const char *value = environment->values[variable];
	return value && value[0] == '/' ? value : NULL;
}

#ifndef TMPRUN_SMALL
const char *environment_apps(const char *name)
{
	return getenv(name);
}
#endif
