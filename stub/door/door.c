/* The front door, `tmprun` on PATH: starts images by itself, and passes everything else to the Python command line. */
#define _GNU_SOURCE
#include "base/fault.h"
#include "base/file.h"
#include "base/system.h"
#include "door/verbs.h"
#include "foreign/foreign.h"
#include "foreign/python.h"
#include "start/request.h"
#include "start/start.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static const char *const python_commands[] = {"pack", "convert", "info", "extract", "cache", "doctor", "bench", "help"};

/* Options of `run` and of the verbs for Python, and where their values go. */
struct option {
	const char *name;
	const char **value;
	bool *set;
};

static int fault_usage(const char *what, const char *about)
{
	struct fault fault = {0};
	FAILED(&fault, what, about, "; see tmprun --help");
	return fault_report(&fault);
}

/* Take the options at the front of argv: the index of what follows them, or -1 when one is wrong, which it has said. */
static int take_options(char **argv, int at, const struct option *options, size_t count)
{
	for (; argv[at] && argv[at][0] == '-'; at++) {
		if (strcmp(argv[at], "--") == 0)
			return at + 1;
		size_t i = 0;
		while (i < count && strcmp(argv[at], options[i].name) != 0)
			i++;
		if (i == count || (options[i].value && !argv[at + 1])) {
			fault_usage(i == count ? "unknown option " : "no value given for ", argv[at]);
			return -1;
		}
		if (options[i].value)
			*options[i].value = argv[++at];
		else
			*options[i].set = true;
	}
	return at;
}

static struct request new_request(void)
{
	return (struct request){.index_fd = -1, .foreign = foreign_load, .section = python_section, .same = same_tree, .verb = "run"};
}

static int with_image(struct request *request, char **argv, int argc, int at, int (*act)(struct request *))
{
	request->typed = request->path = argv[at];
	request->arguments = argv + at + 1;
	request->count = argc - at - 1;
	absolute_path(request->path, request->shown, sizeof request->shown);
	return act(request);
}

/* `tmprun @VERB ...`: what the Python command line, or the importer on its way back, wants of the engine. */
static int engine(int argc, char **argv)
{
	struct request request = new_request();
	const char *index = NULL, *signals = NULL;
	const struct option options[] = {
		{"--index-fd", &index, NULL},		{"--image", &request.frames, NULL}, {"--signals", &signals, NULL},
		{"--store", &request.store, NULL},	{"--fill", &request.fill, NULL},    {"--into", &request.directory, NULL},
		{"--tree", &request.directory, NULL},	{"--verify", NULL, &request.verify}, {"--again", NULL, &request.again},
	};
	const struct verb *verb = verb_find(argv[1] + 1);
	int at = verb ? take_options(argv, 2, options, COUNT(options)) : -1;
	if (at < 0)
		return verb ? EXIT_FAILED : fault_usage("unknown command ", argv[1]);
	request.verb = verb->name;
	if (signals)
		signals_restore(signals);
	if (index) {
		request.index_fd = (int)strtol(index, NULL, 10);
		fcntl(request.index_fd, F_SETFD, FD_CLOEXEC); /* it came through an exec, and must not reach the app */
	}
	/* A bundle that exists in memory only came the same way. */
	static const char descriptor[] = "/proc/self/fd/";
	if (request.frames && strncmp(request.frames, descriptor, sizeof descriptor - 1) == 0)
		fcntl((int)strtol(request.frames + sizeof descriptor - 1, NULL, 10), F_SETFD, FD_CLOEXEC);
	if (verb->without_image)
		return verb->act(&request);
	return at < argc ? with_image(&request, argv, argc, at, verb->act) : fault_usage("no image given to ", argv[1]);
}

static int run_command(int argc, char **argv)
{
	struct request request = new_request();
	const struct option options[] = {
		{"--fill", &request.fill, NULL}, {"--store", &request.store, NULL}, {"--verify", NULL, &request.verify},
	};
	for (int i = 2; i < argc && argv[i][0] == '-'; i++)
		if (strcmp(argv[i], "--help") == 0)
			return -1;
	int at = take_options(argv, 2, options, COUNT(options));
	if (at < 0)
		return EXIT_FAILED;
	return at < argc ? with_image(&request, argv, argc, at, start) : fault_usage("run needs an image to run", "");
}

static int command_line(char **argv)
{
	struct fault fault = {0};
	python_become((const char *const *)argv + 1, &fault);
	return fault_report(&fault);
}

static bool for_python(const char *word)
{
	if (word[0] == '-')
		return true;
	for (size_t i = 0; i < COUNT(python_commands); i++)
		if (strcmp(word, python_commands[i]) == 0)
			return true;
	return false;
}

int main(int argc, char **argv)
{
	foreign_codecs();
	struct request request = new_request();
	char *target = getenv("TARGET_APPIMAGE");
	if (argc < 2) {
		/* A launcher starts us as the runtime of that file. */
		char *named[] = {argv[0], target, NULL};
		return target && *target ? with_image(&request, named, 2, 1, start) : command_line(argv);
	}
	if (strcmp(argv[1], "run") == 0) {
		int status = run_command(argc, argv);
		return status < 0 ? command_line(argv) : status;
	}
	if (argv[1][0] == '@' && verb_find(argv[1] + 1))
		return engine(argc, argv);
	return for_python(argv[1]) ? command_line(argv) : with_image(&request, argv, argc, 1, start);
}
