/* What there is of the machine: memory, the clock, processors; and two macros of the language. */
#ifndef TMPRUN_BASE_SYSTEM_H
#define TMPRUN_BASE_SYSTEM_H

#include <stddef.h>
#include <stdint.h>

#define CLEANUP(function) __attribute__((cleanup(function)))
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* For CLEANUP: frees what the pointer points to. */
void free_pointer(void *pointer_to_pointer);

/* Zeroed room for `count` things, also for none; NULL when there is no memory. */
void *zeroed(size_t count, size_t size);

/* A limit of ours, as setrlimit(2) has it: 0, or -1 with errno. (The C library's wants all threads to stop, and is large.) */
struct rlimit;
int set_limit(int resource, const struct rlimit *limit);

enum { CLOCK_SLACK_S = 60 /* a clock that is corrected by some seconds has not been set back */ };

/* CLOCK_MONOTONIC in microseconds. */
uint64_t now_us(void);

/* How many processors this process may use, 1 at least. */
unsigned processors(void);

#endif
