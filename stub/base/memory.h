/* How much memory this process may still fill. */
#ifndef TMPRUN_BASE_MEMORY_H
#define TMPRUN_BASE_MEMORY_H

#include <stdint.h>

/* Bytes: the least of the machine's MemAvailable and what each memory limit of our control groups leaves, page cache that
 * can be dropped not counted as used. UINT64_MAX when nothing can be found out (no /proc). */
uint64_t memory_available(void);

/* Bytes: the machine's memory, or the least limit of our control groups, whichever is less; UINT64_MAX likewise. */
uint64_t memory_ours(void);

#endif
