#include "door/help.h"

#include "start/version.h"

#include <stddef.h>
#include <string.h>

extern const char help_pages[] __attribute__((visibility("hidden")));
extern const char help_pages_end[] __attribute__((visibility("hidden")));

/* Whether `name` is the words with a space between each two. */
static bool named(const char *name, char *const *words, int count)
{
	for (int i = 0; i < count; i++) {
		size_t length = strlen(words[i]);
		if (strncmp(name, words[i], length) != 0 || name[length] != (i + 1 < count ? ' ' : '\0'))
			return false;
		name += length + (i + 1 < count);
	}
	return *name == '\0';
}

const char *help_page(char *const *words, int count)
{
	for (const char *name = help_pages; name < help_pages_end;) {
		const char *page = name + strlen(name) + 1;
		if (named(name, words, count))
			return page;
		name = page + strlen(page) + 1;
	}
	return NULL;
}

static bool asks(const char *word)
{
	return word && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0);
}

/* How many letters have to be changed, added, left out or swapped with the next to make one word of the other; 99 for long ones. */
static int distance(const char *one, const char *other)
{
	enum { LONGEST = 15 };
	int cost[LONGEST + 1][LONGEST + 1];
	int rows = (int)strnlen(one, LONGEST + 1), columns = (int)strnlen(other, LONGEST + 1);
	if (rows > LONGEST || columns > LONGEST)
		return 99;
	for (int i = 0; i <= rows; i++)
		for (int j = 0; j <= columns; j++) {
			if (i == 0 || j == 0) {
				cost[i][j] = i + j;
				continue;
			}
			int best = cost[i - 1][j - 1] + (one[i - 1] != other[j - 1]);
			best = best < cost[i - 1][j] + 1 ? best : cost[i - 1][j] + 1;
			best = best < cost[i][j - 1] + 1 ? best : cost[i][j - 1] + 1;
			if (i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] && cost[i - 2][j - 2] + 1 < best)
				best = cost[i - 2][j - 2] + 1;
			cost[i][j] = best;
		}
	return cost[rows][columns];
}

const char *help_nearest(const char *word)
{
	const char *found = NULL;
	int best = strlen(word) < 4 ? 2 : 3; /* what is as far away as that is another word */
	for (const char *name = help_pages; name < help_pages_end;) {
		int far = *name && *name != '-' && !strchr(name, ' ') ? distance(word, name) : 99;
		if (far < best) {
			best = far;
			found = name;
		}
		name += strlen(name) + 1;
		name += strlen(name) + 1;
	}
	return found;
}

bool help_option(const char *command, const char *word, struct help_option *found)
{
	char *words[] = {(char *)command};
	const char *page = help_page(words, 1);
	int best = 3;
	*found = (struct help_option){0};
	/* Each option begins a line of the page; what it wants stands behind one space, and what it does behind more. */
	while (page && (page = strstr(page, "\n  --"))) {
		page += sizeof "\n  " - 1;
		size_t length = strcspn(page, " \n");
		if (length >= sizeof found->name)
			continue;
		char name[sizeof found->name] = {0};
		memcpy(name, page, length);
		int far = distance(word + 2, name + 2);
		if (far < best) {
			best = far;
			memcpy(found->name, name, sizeof name);
			found->wants_value = page[length] == ' ' && page[length + 1] != ' ';
		}
	}
	return best == 0;
}

const char *help_answer(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return "tmprun " TMPRUN_VERSION "\n";
	if (strcmp(argv[1], "help") == 0 && !asks(argv[2]))
		return help_page(argv + 2, argc - 2);
	int words = 0;
	while (argv[1 + words] && argv[1 + words][0] != '-')
		words++;
	/* What stands behind the name of an app is the app's; there is no page of that name. */
	return asks(argv[1 + words]) ? help_page(argv + 1, words) : NULL;
}
