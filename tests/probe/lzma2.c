/* Decodes with the engine's decoder of LZMA2: a dictionary's byte and a room, then the data on stdin. Prints how many bytes of it were read,
 * then a newline and the plain bytes; ends with 1 when they are damaged. Both buffers are as large as they have to be. */
#include "foreign/lzma2.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	static uint8_t bytes[8 << 20];
	size_t size = fread(bytes, 1, sizeof bytes, stdin), room = argc > 2 ? strtoul(argv[2], NULL, 10) : 0, used = 0;
	uint8_t *in = malloc(size ? size : 1), *plain = malloc(room ? room : 1);
	struct lzma2 *lzma = lzma2_new();
	memcpy(in, bytes, size);
	int64_t got = lzma2_decode(lzma, (uint8_t)atoi(argv[1]), in, size, &used, plain, room);
	if (got >= 0)
		printf("%zu\n", used), fwrite(plain, 1, (size_t)got, stdout);
	free(in), free(plain), free(lzma);
	return got < 0;
}
