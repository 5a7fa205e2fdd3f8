/* The start-up trace: which gated files a start opened, in which order. An array of node numbers in a file named by the key;
 * TURNED_AWAY, which is no node's, comes first where an open without waiting has failed. */
#ifndef TMPRUN_GATE_TRACE_H
#define TMPRUN_GATE_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "image/index.h"

/* The files to fill first: the trace in `path`, else the index's own hot list. Fills `hot`, which has room for every node; returns how
 * many. What the file says of other nodes than files is left out. */
uint32_t trace_load(const char *path, const struct index *index, uint32_t *hot);

/* Whether the trace in `path` says that a start met files that it would not wait for. */
bool trace_turned_away(const char *path);

/* Keep in `path` what was filled ahead of its time (`hot`), whose opening nobody could notice, and then what was opened. */
void trace_save(const char *path, const struct index *index, const uint32_t *opened, uint32_t opened_count, const uint32_t *hot,
		uint32_t hot_count, bool turned_away);

/* Beside it, why the app had to be ended: kept for the next start, which says it, once, on its own stderr. */
void trace_keep_end(const char *path, const char *why);
void trace_say_end(const char *path);

#endif
