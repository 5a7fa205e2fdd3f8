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
	bool handed_on;  /* whoever reads the image in our place has to give it back to us */
};

static const struct option options[] = {
	{"--store", TEXT, offsetof(struct request, store), true, true},
	{"--fill", TEXT, offsetof(struct request, fill), true, true},
	{"--verify", FLAG, offsetof(struct request, verify), true, true},
	{"--entry", TEXT, offsetof(struct request, entry), true, true},
	{"--typed", TEXT, offsetof(struct request, executed), false, true},
	{"--into", TEXT, offsetof(struct request, directory), false, true},
	{"--tree", TEXT, offsetof(struct request, directory), false, false}, /* --into, as verify calls it */
	{"--index-fd", NUMBER, offsetof(struct request, index_fd), false, false},
	{"--image-fd", NUMBER, offsetof(struct request, image_fd), false, false},
	{"--read-as", TEXT, offsetof(struct request, read_as), false, false},
	{"--force", FLAG, offsetof(struct request, force), false, true},
	{"--nul", FLAG, offsetof(struct request, nul), false, false},
	{"--signals", TEXT, offsetof(struct request, signals), false, false},
	{"--again", FLAG, offsetof(struct request, again), false, false},
};
_Static_assert(2 * COUNT(options) <= OPTION_WORDS_MAX, "room for all");

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

size_t options_hand_on(const struct request *request, const char **out)
{
	size_t used = 0;
	for (size_t i = 0; i < COUNT(options); i++) {
		const void *place = (const char *)request + options[i].at;
		const char *text = options[i].kind == TEXT ? *(const char *const *)place : NULL;
		if (!options[i].handed_on || (options[i].kind == TEXT ? !text : !*(const bool *)place))
			continue;
		out[used++] = options[i].name;
		if (text)
			out[used++] = text;
	}
	return used;
}
