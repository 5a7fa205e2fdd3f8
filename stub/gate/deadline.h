/* A timer of the kernel's that ends a helper which does not run: frozen with the app, it must not wake later than the kernel's patience
 * with those who wait. Each process has one of its own. */
#ifndef TMPRUN_GATE_DEADLINE_H
#define TMPRUN_GATE_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

/* Have it, not running, for a kernel that has so many microseconds of patience. */
bool deadline_make(uint64_t break_time);

/* It ends us when nine tenths of that have passed since that moment of now_us(); 0: never. */
void deadline_set(uint64_t since);

#endif
