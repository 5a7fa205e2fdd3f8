/* Removing a tree, or what is left of one. */
#ifndef TMPRUN_TREE_REMOVE_H
#define TMPRUN_TREE_REMOVE_H

/* Remove `name` in `dir`, and everything below it when it is a directory, following nothing. 0, or -1 with errno. */
int tree_remove(int dir, const char *name);

#endif
