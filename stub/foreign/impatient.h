/* Images whose programs open files without waiting: those are filled before the app starts (docs/how-it-works.md).
 *
 * `open(O_NONBLOCK)` of a file that has no content yet fails. Wine's server opens every file so, which is why all that brings Windows
 * programs counts, and so do GNU tar, `file` and `grep -r`. (tmprun/index/impatient.py says the same of AppDirs that are packed.)
 */
#ifndef TMPRUN_FOREIGN_IMPATIENT_H
#define TMPRUN_FOREIGN_IMPATIENT_H

#include <stdbool.h>

#include "foreign/files.h"

/* Whether an app of the image's may open files of it without waiting. A file that cannot be read says nothing: the start will, when
 * it is needed. */
bool is_impatient(struct files *files);

/* Whether a script calls a program that does not wait. Comments do not count, nor does what is only said. The text is changed. */
bool script_calls_one(char *script, size_t size);

#endif
