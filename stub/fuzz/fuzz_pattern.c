/* Any pattern against any path ends, within the bytes of both; the first NUL of the input parts them. */
#include "base/pattern.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char *text = calloc(1, size + 2);
	if (!text)
		return 0;
	memcpy(text, bytes, size);
	pattern_matches(text, text + strlen(text) + 1);
	free(text);
	return 0;
}
