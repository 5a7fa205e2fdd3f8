/* The environment variables that the engine reads: all of them, each once. (What it sets for the app is in start/launch.c.) */
#ifndef TMPRUN_BASE_ENVIRONMENT_H
#define TMPRUN_BASE_ENVIRONMENT_H

enum variable {
	TMPRUN_LOG,
	TMPRUN_STORE,
	TMPRUN_FILL,
	TMPRUN_TRACE,
	TMPRUN_LIMITS,
	TARGET_APPIMAGE,
	APPIMAGE_EXTRACT_AND_RUN,
	APPIMAGE_TARGET_DIR,
	TMPDIR,
	HOME,
	PATH,
	XDG_RUNTIME_DIR,
	XDG_CACHE_HOME,
	XDG_CONFIG_HOME,
	XDG_DATA_HOME,
	VARIABLES,
};

struct environment {
	const char *values[VARIABLES]; /* NULL: not set */
};

/* Read them all, and turn the debug log on where it is asked for. */
void environment_read(struct environment *environment);

/* What the variable is called. */
const char *variable_name(enum variable variable);

/* Its value; NULL when it is not set, or empty. */
const char *environment_text(const struct environment *environment, enum variable variable);
/* The same, but NULL also when it is no absolute path: those are to be ignored (XDG Base Directory Specification). */
const char *environment_path(const struct environment *environment, enum variable variable);

#ifndef TMPRUN_SMALL
/* One of the app's variables, which is nothing to us: what it is now; or NULL. */
const char *environment_apps(const char *name);
#endif

#endif
