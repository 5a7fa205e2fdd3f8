/* A timer of the kernel's that ends a helper which does not run: frozen with the app, it must not wake later than the kernel's patience
 * with those who wait. Each process has one of its own. */
#ifndef TMPRUN_GATE_DEADLINE_H
#define TMPRUN_GATE_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

/* Have it, not running. */
bool deadline_make(void);

/* It ends us at that moment of now_us(); 0: never. */
void deadline_set(uint64_t at);

#endif
