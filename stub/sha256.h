/* SHA-256 (FIPS 180-4) of one buffer, with the processor's own instructions where it has them. */
#ifndef TMPRUN_SHA256_H
#define TMPRUN_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_SIZE = 32 };

void sha256(const void *bytes, size_t size, uint8_t digest[SHA256_SIZE]);

#endif
