/* The front door, `tmprun` on PATH: starts images by itself, and passes everything else to the Python command line. */
#define _GNU_SOURCE
#include "door_python.h"
#include "door_texts.h"
#include "door_verify.h"
#include "extract.h"
#include "launch.h"
#include "start.h"
#include "version.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const python_commands[] = {"pack", "convert", "info", "extract", "cache", "doctor", "bench", "help"};

/* Options of `run` and of the verbs for Python, and where their values go. */
struct option {
	const char *name;
	const char **value;
	bool *set;
};

static bool same_tree(const struct image *image, const char *tree)
{
	struct fault ignored = {0};
	return verify_tree(image, tree, true, &ignored) == 0;
}

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

static int verb_build(struct request *request)
{
	struct fault fault = {0};
	CLEANUP(image_close) struct image image = {.fd = -1};
	CLEANUP(entry_release) struct entry entry = {.lease = -1};
	request->fill = "eager"; /* nobody runs in it yet: of a tree that is filled on demand nothing would stay */
	if (start_provide(request, &image, &entry, &fault) < 0)
		return start_report(request, &fault);
	size_t length = strlen(entry.tree);
	entry.tree[length] = '\n';
	return write(STDOUT_FILENO, entry.tree, length + 1) < 0 ? EXIT_FAILED : 0;
}

static int verb_extract(struct request *request)
{
	struct fault fault = {0};
	const char *directory = request->directory ? request->directory : "squashfs-root";
	return extract(request, directory, request->arguments, request->count, &fault) < 0 ? start_report(request, &fault) : 0;
}

static int verb_verify(struct request *request)
{
	struct fault fault = {0};
	CLEANUP(image_close) struct image image = {.fd = -1};
	int differences = start_load(request, &image, &fault);
	if (differences == 0)
		differences = verify_tree(&image, request->directory ? request->directory : ".", false, &fault);
	return differences < 0 ? start_report(request, &fault) : differences > 0;
}

static int verb_roots(struct request *request)
{
	struct roots roots;
	roots_list(&roots, request->store, request->extract_and_run);
	for (unsigned i = 0; i < roots.count; i++) {
		const struct root *root = &roots.list[i];
		struct fault reason = {0};
		struct stat before;
		bool made = lstat(root->path, &before) < 0;
		CLEANUP(close_fd) int fd = root_open(root, true, &reason);
		bool fine = fd >= 0 && root_has_room(root, fd, 0, 0, &reason) == 0;
		char line[PATH_MAX + sizeof reason.text + 32];
		join(line, sizeof line, root->path, "\t", fd < 0 ? "" : root_is_tmpfs(fd) ? "tmpfs" : "disk", "\t", fine ? "ok" : "refused", "\t",
		     reason.text, "\n", (char *)NULL);
		if (made && !fine)
			rmdir(root->path); /* of no use to anybody */
		if (write(STDOUT_FILENO, line, strlen(line)) < 0)
			return EXIT_FAILED;
	}
	return 0;
}

static const struct verb {
	const char *name;
	int (*act)(struct request *request);
} verbs[] = {{"run", start}, {"build", verb_build}, {"extract", verb_extract}, {"verify", verb_verify}, {"roots", verb_roots}};

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < COUNT(verbs); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

static struct request new_request(void)
{
	return (struct request){.index_fd = -1, .foreign = python_foreign, .section = python_section, .same = same_tree, .verb = "run"};
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
	const struct verb *verb = find_verb(argv[1] + 1);
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
	if (verb->act == verb_roots)
		return verb_roots(&request);
	return at < argc ? with_image(&request, argv, argc, at, verb->act) : fault_usage("no image given to ", argv[1]);
}

static int run_command(int argc, char **argv)
{
	struct request request = new_request();
	const struct option options[] = {
		{"--fill", &request.fill, NULL}, {"--store", &request.store, NULL}, {"--verify", NULL, &request.verify},
	};
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

static bool asks_for_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* `tmprun --version`, `tmprun [COMMAND...] --help` and `tmprun help [COMMAND...]`: what they print, or NULL. */
static const char *known_answer(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return "tmprun " TMPRUN_VERSION "\n";
	if (strcmp(argv[1], "help") == 0 && !(argv[2] && asks_for_help(argv[2])))
		return help_page(argv + 2, argc - 2);
	int words = 0;
	while (argv[1 + words] && argv[1 + words][0] != '-')
		words++;
	/* What stands behind the name of an app is the app's: help_page knows commands only, so it is none of those. */
	return argv[1 + words] && asks_for_help(argv[1 + words]) ? help_page(argv + 1, words) : NULL;
}

static int say(const char *text)
{
	struct fault fault = {0};
	return print(text, &fault) < 0 ? fault_report(&fault) : 0;
}

static int nothing_to_do(void)
{
	const char *page = help_page(NULL, 0);
	ssize_t put = write(STDERR_FILENO, page, strlen(page));
	(void)put; /* the exit status says it as well */
	return EXIT_FAILED;
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
	struct request request = new_request();
	char *target = getenv("TARGET_APPIMAGE");
	if (argc < 2) {
		/* A launcher starts us as the runtime of that file. */
		char *named[] = {argv[0], target, NULL};
		if (target && *target)
			return with_image(&request, named, 2, 1, start);
		return nothing_to_do();
	}
	const char *answer = known_answer(argc, argv);
	if (answer)
		return say(answer);
	if (strcmp(argv[1], "run") == 0)
		return run_command(argc, argv);
	if (argv[1][0] == '@' && find_verb(argv[1] + 1))
		return engine(argc, argv);
	return for_python(argv[1]) ? command_line(argv) : with_image(&request, argv, argc, 1, start);
}
