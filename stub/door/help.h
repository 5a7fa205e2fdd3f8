/* What the front door answers by itself when it is asked about itself. */
#ifndef TMPRUN_DOOR_HELP_H
#define TMPRUN_DOOR_HELP_H

#include <stdbool.h>

/* The help page of the command that the `count` words behind `tmprun` name, none for all of it; or NULL. The word "-" names what
 * `tmprun` alone prints. */
const char *help_page(char *const *words, int count);

/* The command that may have been meant by a word that names none and no file; or NULL. */
const char *help_nearest(const char *word);

struct help_option {
	char name[24]; /* empty where there is nothing like it */
	bool wants_value;
};

/* Whether the command has the option `word`, which begins with `--`; `found` is that, or the one that may have been meant. */
bool help_option(const char *command, const char *word, struct help_option *found);

/* What `tmprun --version`, `tmprun [COMMAND...] --help` and `tmprun help [COMMAND...]` print; NULL for all else. */
const char *help_answer(int argc, char **argv);

#endif
