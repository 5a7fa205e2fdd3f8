#define _GNU_SOURCE
#include "start/options.h"

#include "base/fault.h"
#include "base/system.h"
#include "base/text.h"

#include <string.h>

/* A text goes where it is said, a number too, and a flag is set. */
enum option_kind { TEXT, NUMBER, FLAG };

struct option {
	const char *name;
	enum option_kind kind;
	size_t at;       /* what it sets, as an offset in struct request */
	bool of_run;     /* for everybody; else for the engine's verbs alone */
};

static const struct option options[] = {
	{"--store", TEXT, offsetof(struct request, store), true},
	{"--fill", TEXT, offsetof(struct request, fill), true},
	{"--verify", FLAG, offsetof(struct request, verify), true},
	{"--entry", TEXT, offsetof(struct request, program), true},
	{"--typed", TEXT, offsetof(struct request, executed), false},
	{"--into", TEXT, offsetof(struct request, directory), false},
	{"--tree", TEXT, offsetof(struct request, directory), false}, /* --into, as verify calls it */
	{"--index-fd", NUMBER, offsetof(struct request, index_fd), false},
	{"--image-fd", NUMBER, offsetof(struct request, image_fd), false},
	{"--read-as", TEXT, offsetof(struct request, read_as), false},
	{"--force", FLAG, offsetof(struct request, force), false},
	{"--nul", FLAG, offsetof(struct request, nul), false},
};

int fault_usage(const char *what, const char *about)
{
	struct fault fault = {0};
	FAILED(&fault, what, about, "; see tmprun --help");
	return fault_report(&fault);
}

static const struct option *find(const char *name, enum option_giver giver)
{
	for (size_t i = 0; i < COUNT(options); i++)
		if (strcmp(options[i].name, name) == 0 && (options[i].of_run || giver == OF_THE_ENGINE))
			return &options[i];
	return NULL;
}

static void set(struct request *request, const struct option *option, const char *value)
{
	void *place = (char *)request + option->at;
	if (option->kind == TEXT)
		*(const char **)place = value;
	else if (option->kind == NUMBER)
		*(int *)place = (int)parse_decimal(value);
	else
		*(bool *)place = true;
}

int options_take(struct request *request, char **argv, int at, enum option_giver giver)
{
	for (; argv[at] && argv[at][0] == '-'; at++) {
		if (strcmp(argv[at], "--") == 0)
			return at + 1;
		const struct option *option = find(argv[at], giver);
		bool lacks_value = option && option->kind != FLAG && !argv[at + 1];
		if (!option || lacks_value) {
			fault_usage(option ? "no value given for " : "unknown option ", argv[at]);
			return -1;
		}
		set(request, option, option->kind == FLAG ? NULL : argv[++at]);
	}
	return at;
}
