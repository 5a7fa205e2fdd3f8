/* Text that somebody else made, as it may stand on a terminal. */
#ifndef TMPRUN_BASE_PRINTABLE_H
#define TMPRUN_BASE_PRINTABLE_H

#include <stddef.h>

/* Room for what `length` bytes of text become at most, and a NUL. */
#define PRINTABLE_SIZE(length) (4 * (size_t)(length) + 1)

/* `text` with everything escaped that a terminal might obey, or that shows as nothing, or as something else: \n, \t, \r, \xNN,
 * \uNNNN. Bytes that are no UTF-8 become \xNN. Like tmprun/human.py's one_line, but for the many rare characters that only
 * Python's tables know. Cut where `out` is full, and never within a character. */
void printable(char *out, size_t size, const char *text);

#endif
