/* Whatever the words of a command line are, options_take ends within them. */
#define _GNU_SOURCE
#include "base/fault.h"
#include "start/options.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { MAX_WORDS = 64 };

/* Each wrong option is said; a fuzzer says enough. */
static int take_silently(struct request *request, char **words, enum option_giver giver)
{
	int saved = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	dup2(null, STDERR_FILENO);
	int at = options_take(request, words, 0, giver);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(null);
	return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char *words[MAX_WORDS + 1] = {0};
	struct request request = {REQUEST_OPENS};
	int count = 0;
	if (size < 2)
		return 0;
	char *text = calloc(1, size);
	memcpy(text, bytes + 1, size - 1);
	for (char *word = text; count < MAX_WORDS && word < text + size - 1; word += strlen(word) + 1)
		words[count++] = word;
	int at = take_silently(&request, words, bytes[0] & 1 ? OF_THE_ENGINE : OF_RUN);
	if (at < -1 || at > count)
		abort();
	free(text);
	return 0;
}
