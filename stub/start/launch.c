#define _GNU_SOURCE
#include "start/launch.h"

#include "base/file.h"
#include "base/system.h"
#include "base/text.h"
#include "start/portable.h"
#include "store/layout.h"
#include "store/tie.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef TMPRUN_SMALL
void launch_tell(const char *name, const char *path)
{
	const char *told = environment_apps(name);
	setenv(name, path, told && layout_in_tree(told));
}
#endif

/* The C library that a bundle brings (docs/elf.md) has its modules and locales not where it was built to look for them. Told
 * so only where the machine has none of that kind: no other program then understands these variables. */
static void use_own_libc(const struct launch *launch)
{
	static const char *const places[][2] = {{"GCONV_PATH", "gconv"}, {"LOCPATH", "locale"}};
	for (size_t i = 0; launch->bare && i < COUNT(places); i++) {
		char path[PATH_MAX + 32];
		join(path, sizeof path, launch->tree, "/.tmprun/own/", places[i][1], (char *)NULL);
		if (access(path, X_OK) == 0)
			launch_tell(places[i][0], path);
	}
}

static void set_environment(const struct launch *launch)
{
	char here[PATH_MAX];
	setenv("APPIMAGE", launch->image, 1);
	setenv("APPDIR", launch->tree, 1);
	setenv("ARGV0", launch->typed, 1);
	if (getcwd(here, sizeof here))
		setenv("OWD", here, 1);
	else
		unsetenv("OWD"); /* that of an app which started us */
	/* It named this image; a bundle that the app starts must not take it for its own. */
	unsetenv(variable_name(TARGET_APPIMAGE));
	unsetenv(variable_name(TMPRUN_TRACE));
	use_own_libc(launch);
	portable_use(launch->image, launch->environment);
}

/* Why the kernel would not start a program that is there: in words that help. */
static int exec_fault(const struct launch *launch, const char *program, struct fault *fault)
{
	int reason = errno;
	if (launch->judge && launch->judge(launch->environment, launch->tree, fault) < 0)
		return -1;
	char link[8];
	bool there = readlink(program, link, sizeof link) >= 0 || errno == EINVAL;
	if (reason == ENOENT && !there)
		return BAD_IMAGE(fault, "the image has no AppRun");
	if (reason == ENOENT)
		return fault_set(fault, FAULT_IMAGE, EXIT_FAILED,
				 "AppRun, or the interpreter or loader that it asks for, does not exist on this machine", (char *)NULL);
	if (reason == ENOEXEC)
		return BAD_IMAGE(fault, "AppRun cannot be executed: built for another machine, or no program");
	if (reason == EACCES)
		return BAD_IMAGE(fault, "AppRun cannot be executed: ", reason_text(reason));
	return fault_set(fault, FAULT_OTHER, EXIT_CANNOT_EXECUTE,
			 reason == E2BIG ? "arguments and environment are too long" : reason_text(reason), (char *)NULL);
}

/* A copy that the app inherits, with that number or the next free one. */
static int pass_on(int fd, int number, struct fault *fault)
{
	int passed = fcntl(fd, F_DUPFD, number);
	if (passed < 0)
		passed = fcntl(fd, F_DUPFD, STDERR_FILENO + 1); /* the caller's limit is lower than that number */
	return passed < 0 ? FAILED(fault, "no descriptor left for what the app inherits: ", reason_text(errno)) : passed;
}

int launch(const struct launch *launch, struct fault *fault)
{
	char program[PATH_MAX + 8];
	CLEANUP(free_pointer) char **argv = calloc((size_t)launch->count + 2, sizeof *argv);
	if (!argv || !join(program, sizeof program, launch->tree, "/AppRun", (char *)NULL))
		return FAILED(fault, "no memory");
	char *typed = strdup(launch->typed);
	argv[0] = typed;
	memcpy(argv + 1, launch->arguments, (size_t)launch->count * sizeof *argv);
	set_environment(launch);
	CLEANUP(close_fd) int lease = pass_on(launch->lease, LEASE_FD, fault);
	CLEANUP(close_fd) int tie = launch->tie < 0 || lease < 0 ? -1 : pass_on(launch->tie, TIE_FD, fault);
	if (lease >= 0 && (launch->tie < 0 || (tie >= 0 && tie_pull(tie, fault) == 0))) {
		execv(program, argv);
		exec_fault(launch, program, fault);
	}
	free(typed);
	return -1;
}
