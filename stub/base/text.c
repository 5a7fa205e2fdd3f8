#define _GNU_SOURCE
#include "base/text.h"

#include <string.h>

bool join_list(char *out, size_t size, const char *first, va_list rest)
{
	size_t used = 0;
	bool fits = true;
	for (const char *text = first; text; text = va_arg(rest, const char *)) {
		size_t length = strlen(text);
		if (length > size - 1 - used) {
			length = size - 1 - used;
			fits = false;
		}
		memcpy(out + used, text, length);
		used += length;
	}
	out[used] = '\0';
	return fits;
}

bool join(char *out, size_t size, ...)
{
	va_list rest;
	va_start(rest, size);
	const char *first = va_arg(rest, const char *);
	bool fits = join_list(out, size, first, rest);
	va_end(rest);
	return fits;
}

static char *digits(char out[24], uint64_t value, unsigned base)
{
	char reversed[24];
	size_t count = 0;
	do {
		reversed[count++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	for (size_t i = 0; i < count; i++)
		out[i] = reversed[count - 1 - i];
	out[count] = '\0';
	return out;
}

char *decimal(char out[24], uint64_t value)
{
	return digits(out, value, 10);
}

char *hexadecimal(char out[24], uint64_t value)
{
	return digits(out, value, 16);
}

void hex_bytes(char *out, const uint8_t *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		out[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
		out[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
	}
	out[2 * count] = '\0';
}

uint64_t parse_decimal(const char *text)
{
	uint64_t value = 0;
	if (*text < '0' || *text > '9')
		return UINT64_MAX;
	for (; *text >= '0' && *text <= '9'; text++)
		if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
			return UINT64_MAX;
	return value;
}

const char *find_text(const char *bytes, size_t size, const char *text)
{
	size_t length = strlen(text);
	for (size_t at = 0; at + length <= size; at++)
		if (bytes[at] == text[0] && memcmp(bytes + at, text, length) == 0)
			return bytes + at;
	return NULL;
}
