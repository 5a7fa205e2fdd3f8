/* How a tree is filled: everything first, or behind leases; and whether those can be had here. */
#ifndef TMPRUN_GATE_MODE_H
#define TMPRUN_GATE_MODE_H

#include <stdbool.h>

#include "image/index.h"

enum fill_mode { FILL_AUTO, FILL_EAGER, FILL_BACKGROUND, FILL_DEMAND };

/* "eager", "background", "demand", "auto" or NULL; -1 for anything else. */
int gate_mode(const char *name);

/* The mode to use for this image here: `asked`, or the best; FILL_EAGER wherever gating cannot work, with the reason in the
 * debug log. `root` is a descriptor in the store; `turned_away`: an earlier start met files that it would not wait for. */
enum fill_mode gate_choose(enum fill_mode asked, const struct index *index, int root, bool turned_away);

/* Whether an image with that head of an index is small enough to be filled first, when nobody says how. */
bool gate_is_small(const struct index_head *head);

/* How long the kernel keeps an opener waiting, in seconds: then it lets it through, whatever is in the file. */
long gate_break_time(void);

#endif
