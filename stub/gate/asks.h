/* What is asked for: opens that wait. For the main thread alone. */
#ifndef TMPRUN_GATE_ASKS_H
#define TMPRUN_GATE_ASKS_H

#include <stdint.h>

#include "gate/state.h"

/* Somebody waits for file `number`. */
void ask(struct filler *filler, uint32_t number);

/* Anything but a write lease means that an opener waits: its notice was lost, or went to a filler that is no more. */
void ask_all_broken(struct filler *filler);

/* Nobody waits for it any more, though it is not complete. */
void ask_no_more(struct filler *filler, uint32_t number);

/* Refuse a file when the kernel is about to let an opener through to it. */
void mind_the_time(struct filler *filler);

#endif
