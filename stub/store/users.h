/* Who uses a tree: processes that run, map, hold open or stand in something of it. */
#ifndef TMPRUN_STORE_USERS_H
#define TMPRUN_STORE_USERS_H

#include <sys/types.h>

/* What our own processes behind an app are called; they are users of nothing. */
#define FILLER_NAME "tmprun-filler"
#define GUARD_NAME "tmprun-guard"

/* Call `act` for each process with `text`, part of the tree's path, in /proc/PID/{exe,cwd,root,fd/N,maps}, but for those in
 * `except`, which ends with 0. How many there were; -1 when /proc cannot be read. */
int users_each(const char *text, const pid_t *except, void (*act)(pid_t pid, void *context), void *context);

#endif
