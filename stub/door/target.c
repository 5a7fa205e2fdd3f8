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

enum { LONGEST = 16, NEAR = 2 };

static size_t least(size_t one, size_t other)
{
	return one < other ? one : other;
}

/* How many letters have to be put in, left out or changed, or two beside each other exchanged, to make one word the other. */
static size_t distance(const char *one, const char *other)
{
	size_t rows[LONGEST + 1][LONGEST + 1];
	size_t height = strlen(one), width = strlen(other);
	if (height > LONGEST || width > LONGEST)
		return SIZE_MAX;
	for (size_t i = 0; i <= height; i++)
		for (size_t j = 0; j <= width; j++) {
			if (i == 0 || j == 0) {
				rows[i][j] = i + j;
				continue;
			}
			size_t change = rows[i - 1][j - 1] + (one[i - 1] != other[j - 1]);
			rows[i][j] = least(change, 1 + least(rows[i - 1][j], rows[i][j - 1]));
			if (i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1])
				rows[i][j] = least(rows[i][j], 1 + rows[i - 2][j - 2]);
		}
	return rows[height][width];
}

static const char *nearest(const char *word, const char *const *commands, size_t count)
{
	const char *best = NULL;
	size_t bound = least(NEAR, strlen(word) / 2);
	for (size_t i = 0; i < count; i++) {
		size_t far = distance(word, commands[i]);
		if (far <= bound && (!best || far < distance(word, best)))
			best = commands[i];
	}
	return best;
}

/* Nothing has that name. Whether there is something better to say than that. */
static bool explain_absence(const char *path, const char *const *commands, size_t count, struct fault *fault)
{
	if (find_text(path, strlen(path), "://")) {
		fault_set(fault, FAULT_IMAGE, EXIT_FAILED, "is an address, no file; download it first: curl -LO '", path, "'",
			  (char *)NULL);
		return true;
	}
	const char *meant = strchr(path, '/') ? NULL : nearest(path, commands, count);
	if (meant)
		fault_set(fault, FAULT_IMAGE, EXIT_FAILED, "no command and no file of that name; did you mean: tmprun ", meant,
			  (char *)NULL);
	return meant;
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

bool target_answer(const struct request *request, const char *const *commands, size_t count, int *status)
{
	struct stat there;
	struct fault fault = {0};
	if (stat(request->path, &there) == 0) {
		if (!S_ISDIR(there.st_mode))
			return false;
		start_appdir(request, &fault);
	} else if (errno != ENOENT || !explain_absence(request->path, commands, count, &fault)) {
		return false;
	}
	*status = request_report(request, &fault);
	return true;
}
