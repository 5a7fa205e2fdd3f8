/* The interpreters that an index names, and what this machine has in their place (docs/elf.md). */
#ifndef TMPRUN_TREE_INTERPRETERS_H
#define TMPRUN_TREE_INTERPRETERS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "image/index.h"

const struct interpreter *interpreter_at(const struct index *index, uint32_t number);
/* The path that programs ask for, as a string. */
void interpreter_path(const struct index *index, const struct interpreter *interpreter, char out[MAX_INTERPRETER + 1]);
/* Whether what lies at that path on this machine will do. */
bool interpreter_is_here(const struct index *index, const struct interpreter *interpreter);

/* Stamps: what this machine's interpreters are, as lines "\nCTIME PATH"; "" when the index names none. */
enum { STAMPS_SIZE = INTERPRETERS_MAX * (MAX_INTERPRETER + 24) + PATH_MAX };
void stamps_take(const struct index *index, char out[STAMPS_SIZE]);
/* One line more. */
void stamps_add(char stamps[STAMPS_SIZE], const char *path);
/* Whether they still are; cuts the text up. */
bool stamps_hold(char *stamps);
/* Whether there was none at some of the paths. */
bool stamps_lack(const char *stamps);

#endif
