/* Texts that are files of their own, and are linked into the front door as they are (door_texts.S). */
#ifndef TMPRUN_DOOR_TEXTS_H
#define TMPRUN_DOOR_TEXTS_H

#include <stdbool.h>

/* What Python runs first: stub/boot.py. */
extern const char door_boot[] __attribute__((visibility("hidden")));

/* The help page of the command that the `count` words behind `tmprun` name, none for all of it; or NULL. */
const char *help_page(char *const *words, int count);

#endif
