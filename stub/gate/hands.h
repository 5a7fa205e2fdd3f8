/* The threads that fill: what somebody waits for first, then what the app will need soon, then the rest. They are for speed alone:
 * the main thread can do everything. */
#ifndef TMPRUN_GATE_HANDS_H
#define TMPRUN_GATE_HANDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fault.h"
#include "gate/state.h"

/* Have all the memory that they will need. */
int hands_prepare(struct filler *filler, struct fault *fault);

/* As the mode says: how much of what the app is known to need soon is filled before it asks. */
void hands_look_ahead(struct filler *filler);

/* Another process was at work with it. */
void hands_begin_anew(struct filler *filler);

/* Have the threads: false when not even one can be had. They do nothing before hands_begin: the processors are for who is to say
 * go, and to go. */
bool hands_start(struct filler *filler);
void hands_begin(struct filler *filler);

/* In the main thread, as long as there are no others: serve one piece that is waited for; false when there is none. */
bool hands_do_one(struct filler *filler);

/* Whether nobody stands in open(2) of a gated file that somebody has asked for: whoever waits there has the file open already, as the
 * kernel counts, and so long there is no new lease on it. Then whoever broke ours has not waited (O_NONBLOCK), or has been killed. */
bool nobody_waits(const struct gate *gate, uint32_t number);

/* Fill everything, as if all of it was waited for. */
void hands_hurry(struct filler *filler);

/* No hand writes between the two. */
void hands_hold(struct filler *filler);
void hands_let_go(struct filler *filler);

/* Let openers through to the gated file `number`. */
void hands_release(struct filler *filler, uint32_t number);

/* The file that somebody waits for cannot be filled: the main thread is told. */
void hands_report(struct filler *filler, uint32_t number, const char *why);

/* Nothing of the file is written: it is another one now. Only while hands are held, or before there are any. */
void hands_forget(struct filler *filler, uint32_t number);

#endif
