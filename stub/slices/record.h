/* What an image's programs ask for, as bytes. */
#ifndef TMPRUN_SLICES_RECORD_H
#define TMPRUN_SLICES_RECORD_H

#include "slices/programs.h"

/* Those bytes, if they are a record that can be of that index. Free it with programs_free. */
bool record_read(const struct index *index, const void *bytes, size_t size, struct programs *programs);
/* The size of `*bytes`, to be freed; 0 when there is no memory. */
size_t record_write(const struct programs *programs, void **bytes);

#endif
