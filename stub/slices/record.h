/* What an image's programs ask for, as bytes. */
#ifndef TMPRUN_SLICES_RECORD_H
#define TMPRUN_SLICES_RECORD_H

#include "base/sha256.h"
#include "slices/programs.h"

/* Where its head has the digest, and how long it is. */
enum { RECORD_DIGEST = 24, RECORD_HEAD = RECORD_DIGEST + SHA256_SIZE };

/* Those bytes, if they are a record of that index as it was written: a place that is wrong would change other bytes of a program. Free it
 * with programs_free. */
bool record_read(const struct index *index, const void *bytes, size_t size, struct programs *programs);
/* The size of `*bytes`, to be freed; 0 when there is no memory. */
size_t record_write(const struct index *index, const struct programs *programs, void **bytes);
/* What stands in its head of the rest; `size` is RECORD_HEAD at least. */
void record_digest(const struct index *index, const void *bytes, size_t size, uint8_t digest[SHA256_SIZE]);

#endif
