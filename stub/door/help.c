#include "door/help.h"

#include "start/version.h"

#include <stdbool.h>
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
