/* Whatever the words of a command line are, options_take ends within them. (What it says of wrong ones, `run` closes its ears to.) */
#define _GNU_SOURCE
#include "base/fault.h"
#include "start/options.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { MAX_WORDS = 64 };

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
	int at = options_take(&request, words, 0, bytes[0] & 1 ? OF_THE_ENGINE : OF_RUN);
	if (at < -1 || at > count)
		abort();
	free(text);
	return 0;
}
