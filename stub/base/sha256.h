/* SHA-256 (FIPS 180-4), with the processor's own instructions where it has them. */
#ifndef TMPRUN_BASE_SHA256_H
#define TMPRUN_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_SIZE = 32 };

void sha256(const void *bytes, size_t size, uint8_t digest[SHA256_SIZE]);

/* Of two buffers at once: the instructions of one fill the waiting times of the other, which takes a third less time. */
void sha256_two(const void *const bytes[2], const size_t size[2], uint8_t digest[2][SHA256_SIZE]);

/* Of bytes that come one piece after the other. */
struct sha256 {
	uint32_t state[8];
	uint64_t size;
	uint8_t begun[64]; /* a block that is not full yet: size % 64 bytes */
};
void sha256_begin(struct sha256 *hash);
void sha256_add(struct sha256 *hash, const void *bytes, size_t size);
void sha256_end(struct sha256 *hash, uint8_t digest[SHA256_SIZE]);

#endif
