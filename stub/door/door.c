/* The front door, `tmprun` on PATH: starts images by itself, and passes everything else to the Python command line. */
#define _GNU_SOURCE
#include "base/environment.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/system.h"
#include "door/help.h"
#include "door/judge.h"
#include "door/target.h"
#include "door/verbs.h"
#include "foreign/converted.h"
#include "foreign/foreign.h"
#include "foreign/lasts.h"
#include "foreign/python.h"
#include "foreign/tell.h"
#include "start/options.h"
#include "start/request.h"
#include "slices/slices.h"
#include "start/start.h"

#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#define KEEPS_ARGV0 1ul /* AT_FLAGS_PRESERVE_ARGV0, linux/binfmts.h */

/* An application, by whatever name: mostly a file. */
static int start_target(struct request *request)
{
	int status;
	return target_answer(request, &status) ? status : start(request);
}

static int with_image(struct request *request, char **argv, int argc, int at, int (*act)(struct request *))
{
	request->path = argv[at];
	request->typed = request->executed ? request->executed : request->path;
	request->arguments = argv + at + 1;
	request->count = argc - at - 1;
	absolute_path(request->path, request->shown, sizeof request->shown);
	return act(request);
}

/* What came through an exec must not reach the app. */
static void keep_from_app(const struct request *request)
{
	const int given[] = {request->image_fd, request->index_fd};
	for (size_t i = 0; i < COUNT(given); i++)
		if (given[i] >= 0)
			fcntl(given[i], F_SETFD, FD_CLOEXEC);
}

/* `tmprun @VERB ...`: what the Python command line wants of the engine. */
static int engine(struct request *request, const struct verb *verb, int argc, char **argv)
{
	int at = options_take(request, argv, 2, OF_THE_ENGINE);
	if (at < 0)
		return EXIT_FAILED;
	request->verb = verb->name;
	keep_from_app(request);
	if (verb->without_image)
		return verb->act(request);
	return at < argc ? with_image(request, argv, argc, at, verb->act) : fault_usage("no image given to ", argv[1]);
}

/* Says which option may have been meant by one that `run` does not have; 0 where there is nothing to say. */
static int mistyped_option(char **argv)
{
	struct help_option option;
	for (int at = 2; argv[at] && strncmp(argv[at], "--", 2) == 0 && argv[at][2]; at++) {
		if (!help_option("run", argv[at], &option)) {
			struct fault fault = {0};
			if (!option.name[0])
				return 0;
			FAILED(&fault, "unknown option ", argv[at], "; did you mean ", option.name, "?");
			return fault_report(&fault);
		}
		if (option.wants_value && argv[at + 1])
			at++;
	}
	return 0;
}

static int run_command(struct request *request, int argc, char **argv)
{
	int mistyped = mistyped_option(argv);
	if (mistyped)
		return mistyped;
	int at = options_take(request, argv, 2, OF_RUN);
	if (at < 0)
		return EXIT_FAILED;
	int (*act)(struct request *) = request->program ? converted_start : start_target;
	return at < argc ? with_image(request, argv, argc, at, act) : fault_usage("run needs an image to run", "");
}

static int command_line(char **argv)
{
	struct fault fault = {0};
	python_become((const char *const *)argv + 1, &fault);
	return fault_report(&fault);
}

static int say(const char *text)
{
	struct fault fault = {0};
	return print(text, &fault) < 0 ? fault_report(&fault) : 0;
}

static int nothing_to_do(void)
{
	char *alone[] = {"-"};
	const char *page = help_page(alone, 1);
	ssize_t put = write(STDERR_FILENO, page, strlen(page));
	(void)put; /* the exit status says it as well */
	return EXIT_FAILED;
}

/* Whether binfmt_misc has started us for a file that was executed (Documentation/admin-guide/binfmt-misc.rst): with its flag O
 * there is a descriptor of it, which must not reach the app; with P our first argument is that file's path and the second what it
 * was executed as. With neither it cannot be told, and need not: then the path alone is given, mostly with a slash in it. */
static bool by_binfmt(void)
{
	unsigned long opened = getauxval(AT_EXECFD);
	if (opened)
		fcntl((int)opened, F_SETFD, FD_CLOEXEC);
	return opened || (getauxval(AT_FLAGS) & KEEPS_ARGV0);
}

static int run_executed(struct request *request, int argc, char **argv)
{
	if (argc > 2 && (getauxval(AT_FLAGS) & KEEPS_ARGV0)) {
		request->executed = argv[2];
		argv[2] = argv[1];
		return with_image(request, argv, argc, 2, start);
	}
	return with_image(request, argv, argc, 1, start);
}

/* What has a help page is a command. */
static bool for_python(char *word)
{
	return word[0] == '-' || help_page(&word, 1);
}

/* A word that is no command is an app; when there is no such file, it may be a command that was mistyped. */
static int run_app(struct request *request, int argc, char **argv)
{
	const char *meant = strchr(argv[1], '/') || access(argv[1], F_OK) == 0 ? NULL : help_nearest(argv[1]);
	if (!meant)
		return with_image(request, argv, argc, 1, start_target);
	struct fault fault = {0};
	FAILED(&fault, argv[1], ": no such file, and no such command; did you mean ", meant, "?");
	return fault_report(&fault);
}

int main(int argc, char **argv)
{
	struct request request = {REQUEST_OPENS,         .foreign = foreign_load, .tell = tell,        .same = same_tree,
				  .judge = judge_apprun, .verb = "run",           .slice = slices_use, .mark = slices_mark,
				  .hold = slices_hold,   .hashed = slices_hashed, .lasts = start_lasts};
	environment_read(&request.environment);
	foreign_codecs();
	if (argc < 2) {
		/* A launcher starts us as the runtime of that file. */
		char *target = (char *)environment_text(&request.environment, TARGET_APPIMAGE);
		char *named[] = {argv[0], target, NULL};
		return target ? with_image(&request, named, 2, 1, start) : nothing_to_do();
	}
	if (by_binfmt())
		return run_executed(&request, argc, argv);
	const char *answer = help_answer(argc, argv);
	if (answer)
		return say(answer);
	if (strcmp(argv[1], "--") == 0)
		return argc > 2 ? with_image(&request, argv, argc, 2, start_target) : nothing_to_do();
	if (strcmp(argv[1], "run") == 0)
		return run_command(&request, argc, argv);
	const struct verb *verb = argv[1][0] == '@' ? verb_find(argv[1] + 1) : NULL;
	if (verb)
		return engine(&request, verb, argc, argv);
	return for_python(argv[1]) ? command_line(argv) : run_app(&request, argc, argv);
}
