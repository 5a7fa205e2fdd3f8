#define _GNU_SOURCE
#include "door/target.h"

#include "base/fault.h"
#include "base/system.h"
#include "base/text.h"
#include "door/judge.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_address(const char *path)
{
	return find_text(path, strlen(path), "://");
}

/* As its launcher would: APPDIR is the directory, and there is no image. */
static void become_apprun(const struct request *request, struct fault *fault)
{
	char program[PATH_MAX + 8], here[PATH_MAX];
	CLEANUP(free_pointer) char **argv = calloc((size_t)request->count + 2, sizeof *argv);
	if (!argv || !join(program, sizeof program, request->shown, "/AppRun", (char *)NULL)) {
		FAILED(fault, "no memory");
		return;
	}
	argv[0] = program;
	memcpy(argv + 1, request->arguments, (size_t)request->count * sizeof *argv);
	setenv("APPDIR", request->shown, 1);
	setenv("ARGV0", request->typed, 1);
	unsetenv("APPIMAGE");
	if (getcwd(here, sizeof here))
		setenv("OWD", here, 1);
	execv(program, argv);
	int reason = errno;
	if (judge_apprun(&request->environment, request->shown, fault) == 0)
		BAD_IMAGE(fault, "AppRun cannot be executed: ", reason_text(reason));
}

static void start_appdir(const struct request *request, struct fault *fault)
{
	char program[PATH_MAX + 8];
	struct stat there;
	join(program, sizeof program, request->shown, "/AppRun", (char *)NULL);
	if (lstat(program, &there) < 0)
		BAD_IMAGE(fault, "is a directory without AppRun, so no AppDir; add one: the program or script that starts the app");
	else
		become_apprun(request, fault);
}

bool target_answer(const struct request *request, int *status)
{
	struct stat there;
	struct fault fault = {0};
	if (stat(request->path, &there) == 0) {
		if (!S_ISDIR(there.st_mode))
			return false;
		start_appdir(request, &fault);
	} else if (errno == ENOENT && is_address(request->path)) {
		fault_set(&fault, FAULT_IMAGE, EXIT_FAILED, "is an address, no file; download it first: curl -LO '", request->path, "'",
			  (char *)NULL);
	} else {
		return false;
	}
	*status = request_report(request, &fault);
	return true;
}
