/* The allocator's lock, for who makes a process without the C library's fork. */
#ifndef TMPRUN_BASE_HEAP_H
#define TMPRUN_BASE_HEAP_H

/* Between the two no other thread allocates: a copy of this process that is made there can. */
void heap_hold(void);
void heap_let_go(void);

#endif
