#include "base/printable.h"

#include "base/system.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Controls; characters without a shape; those that turn the direction of the text around them. */
static const uint32_t hidden[][2] = {
	{0x00, 0x1f},     {0x7f, 0x9f},     {0xad, 0xad},     {0x61c, 0x61c},   {0x200b, 0x200f},   {0x2028, 0x202e},
	{0x2060, 0x206f}, {0xd800, 0xdfff}, {0xfeff, 0xfeff}, {0xfff9, 0xfffb}, {0xe0000, 0xe0fff},
};

static bool is_hidden(uint32_t point)
{
	for (size_t i = 0; i < COUNT(hidden); i++)
		if (point >= hidden[i][0] && point <= hidden[i][1])
			return true;
	return false;
}

/* The character at the front of `text`: how many bytes it has, or 0 when they are no UTF-8 (RFC 3629). */
static size_t decode(const unsigned char *text, uint32_t *point)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t length = *text < 0x80 ? 1 : *text < 0xc2 ? 0 : *text < 0xe0 ? 2 : *text < 0xf0 ? 3 : *text < 0xf5 ? 4 : 0;
	*point = length == 1 ? *text : *text & (0x7fu >> length);
	for (size_t i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80) /* the NUL at the end is none of these */
			return 0;
		*point = *point << 6 | (text[i] & 0x3fu);
	}
	return length && *point >= least[length] && *point <= 0x10ffff ? length : 0;
}

/* Write the escape for a character, or with `digits` 2 for a byte: its length. */
static size_t escape(char out[12], uint32_t value, unsigned digits)
{
	static const char named[] = "\nn\tt\rr";
	size_t used = 0;
	out[used++] = '\\';
	for (size_t i = 0; i < sizeof named - 1; i += 2)
		if (value == (unsigned char)named[i]) {
			out[used++] = named[i + 1];
			return used;
		}
	out[used++] = digits == 2 ? 'x' : digits == 4 ? 'u' : 'U';
	for (unsigned shift = 4 * digits; shift; shift -= 4)
		out[used++] = "0123456789abcdef"[value >> (shift - 4) & 15];
	return used;
}

void printable(char *out, size_t size, const char *text)
{
	size_t used = 0;
	for (const unsigned char *at = (const void *)text; *at;) {
		char escaped[12];
		uint32_t point;
		size_t length = decode(at, &point), put = length;
		const char *shown = (const void *)at;
		if (!length || is_hidden(point)) {
			shown = escaped;
			put = escape(escaped, length ? point : *at, !length || point < 0x100 ? 2 : point < 0x10000 ? 4 : 8);
		}
		if (put > size - 1 - used)
			break;
		memcpy(out + used, shown, put);
		used += put;
		at += length ? length : 1;
	}
	out[used] = '\0';
}
