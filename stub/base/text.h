/* Text without the C library's printf: strings joined, numbers written and read. Nothing here allocates. */
#ifndef TMPRUN_BASE_TEXT_H
#define TMPRUN_BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Join the strings up to a NULL into `out`; false when they did not fit (out is then cut, and still a string). */
bool join(char *out, size_t size, ...) __attribute__((sentinel));

/* The same for who has taken the list himself: `first` and the strings behind it up to a NULL. */
bool join_list(char *out, size_t size, const char *first, va_list rest);

/* Decimal and lower-case hex text of `value`; returns `out`. */
char *decimal(char out[24], uint64_t value);
char *hexadecimal(char out[24], uint64_t value);
void hex_bytes(char *out, const uint8_t *bytes, size_t count);

/* The decimal number at the start of `text`, UINT64_MAX when there is none or it is too large. */
uint64_t parse_decimal(const char *text);

/* Where `text` stands first in the `size` bytes, or NULL. (The C library's strstr is large.) */
const char *find_text(const char *bytes, size_t size, const char *text);

#endif
