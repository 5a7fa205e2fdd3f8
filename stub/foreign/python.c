#define _GNU_SOURCE
#include "foreign/python.h"

#include "base/file.h"
#include "base/system.h"
#include "base/text.h"
#include "start/options.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

static const int python_ignores[] = {SIGPIPE, SIGXFSZ};

void signals_save(char out[24])
{
	unsigned ignored = 0;
	for (size_t i = 0; i < COUNT(python_ignores); i++) {
		struct sigaction action;
		if (sigaction(python_ignores[i], NULL, &action) == 0 && action.sa_handler == SIG_IGN)
			ignored |= 1u << i;
	}
	decimal(out, ignored);
}

void signals_restore(const char *saved)
{
	unsigned long ignored = strtoul(saved, NULL, 10);
	for (size_t i = 0; i < COUNT(python_ignores); i++)
		if (!(ignored & 1u << i))
			signal(python_ignores[i], SIG_DFL);
}

/* The path of tmprun-py: in the directory of this program, symlinks resolved; else in that of the name it was started by. */
static int find_script(char script[PATH_MAX], struct fault *fault)
{
	const char *started = (const char *)getauxval(AT_EXECFN);
	const char *names[] = {"/proc/self/exe", started ? started : ""};
	for (size_t i = 0; i < COUNT(names); i++) {
		char resolved[PATH_MAX];
		char *slash = realpath(names[i], resolved) ? strrchr(resolved, '/') : NULL;
		if (!slash)
			continue;
		*slash = '\0';
		if (join(script, PATH_MAX, resolved, "/tmprun-py", (char *)NULL) && access(script, R_OK) == 0)
			return 0;
	}
	return FAILED(fault, "the Python part of tmprun (tmprun-py) is not beside this program; install the package with pip");
}

/* `#!/path/python3 [option]` to the interpreter's path; pip writes `#!/bin/sh` and a second line when that is too long. */
static bool script_interpreter(char *text, char interpreter[PATH_MAX])
{
	if (strncmp(text, "#!", 2) != 0)
		return false;
	char *path = text + 2 + strspn(text + 2, " \t");
	path[strcspn(path, " \t\r\n")] = '\0';
	return strstr(path, "python") && join(interpreter, PATH_MAX, path, (char *)NULL);
}

int python_become(const char *const *arguments, struct fault *fault)
{
	char script[PATH_MAX], text[PATH_MAX], interpreter[PATH_MAX];
	size_t count = 0;
	while (arguments[count])
		count++;
	CLEANUP(free_pointer) const char **argv = calloc(count + 4, sizeof *argv);
	if (!argv)
		return FAILED(fault, "no memory");
	if (find_script(script, fault) < 0)
		return -1;
	size_t used = 0;
	bool known = read_text(AT_FDCWD, script, text, sizeof text) > 0 && script_interpreter(text, interpreter);
	if (known) {
		/* -I: a PYTHONPATH or PYTHONHOME that is meant for the app must not break, or steer, our own. */
		argv[used++] = interpreter;
		argv[used++] = "-I";
	}
	argv[used++] = script;
	memcpy(argv + used, arguments, count * sizeof *argv);
	execv(known ? interpreter : script, (char *const *)argv);
	return FAILED(fault, "cannot start ", known ? interpreter : script, ": ", reason_text(errno));
}

int python_import(const struct request *request, struct fault *fault)
{
	char saved[24];
	CLEANUP(free_pointer) const char **argv = calloc((size_t)request->count + OPTION_WORDS_MAX + 16, sizeof *argv);
	if (!argv)
		return FAILED(fault, "no memory");
	size_t used = 0;
	signals_save(saved);
	argv[used++] = "@import";
	argv[used++] = "--signals";
	argv[used++] = saved;
	argv[used++] = "--then";
	argv[used++] = request->verb;
	used += options_hand_on(request, argv + used);
	argv[used++] = "--";
	argv[used++] = request->typed;
	/* A flag that --appimage-extract-and-run took out of the arguments is put back for whoever parses them next. */
	if (request->flag_taken)
		argv[used++] = "--appimage-extract-and-run";
	for (int i = 0; i < request->count; i++)
		argv[used++] = request->arguments[i];
	return python_become(argv, fault);
}

int python_tell(const struct request *request, const char *what, struct fault *fault)
{
	const char *arguments[] = {"@section", what, request->path, NULL};
	return python_become(arguments, fault);
}
