/* What the front door answers by itself when it is asked about itself. */
#ifndef TMPRUN_DOOR_HELP_H
#define TMPRUN_DOOR_HELP_H

/* The help page of the command that the `count` words behind `tmprun` name, none for all of it; or NULL. */
const char *help_page(char *const *words, int count);

/* What `tmprun --version`, `tmprun [COMMAND...] --help` and `tmprun help [COMMAND...]` print; NULL for all else. */
const char *help_answer(int argc, char **argv);

#endif
