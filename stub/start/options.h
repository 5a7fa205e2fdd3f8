/* The options that stand before an image: one table for `tmprun run` and for the engine's verbs. */
#ifndef TMPRUN_START_OPTIONS_H
#define TMPRUN_START_OPTIONS_H

#include "start/request.h"

/* Who may give an option: whoever types `tmprun run`; with OF_THE_ENGINE also the Python command line, which knows them all. */
enum option_giver { OF_RUN, OF_THE_ENGINE };

/* Take the options at argv[at] and behind it into the request, up to what is none, or behind a `--`: its index; or -1 when one is
 * wrong, which has been said. */
int options_take(struct request *request, char **argv, int at, enum option_giver giver);

/* Say on stderr that the command line is wrong; returns the exit status. */
int fault_usage(const char *what, const char *about);

#endif
