#include "door_texts.h"

#include <string.h>

extern const char door_pages[] __attribute__((visibility("hidden")));
extern const char door_pages_end[] __attribute__((visibility("hidden")));

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
	for (const char *name = door_pages; name < door_pages_end;) {
		const char *page = name + strlen(name) + 1;
		if (named(name, words, count))
			return page;
		name = page + strlen(page) + 1;
	}
	return NULL;
}
