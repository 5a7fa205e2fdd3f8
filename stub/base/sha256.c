#define _GNU_SOURCE
#include "base/sha256.h"

#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#include <sys/auxv.h>
#endif

enum { BLOCK = 64 };

/* clang-format off */
static const uint32_t round_constants[64] __attribute__((aligned(16))) = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};
/* clang-format on */

static uint32_t rotate(uint32_t x, int n)
{
	return x >> n | x << (32 - n);
}

static void blocks_portable(uint32_t state[8], const uint8_t *in, size_t count)
{
	for (; count; count--, in += BLOCK) {
		uint32_t w[64];
		for (int i = 0; i < 16; i++)
			w[i] = (uint32_t)in[4 * i] << 24 | (uint32_t)in[4 * i + 1] << 16 | (uint32_t)in[4 * i + 2] << 8 | in[4 * i + 3];
		for (int i = 16; i < 64; i++) {
			uint32_t a = w[i - 15], b = w[i - 2];
			w[i] = w[i - 16] + w[i - 7] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) + (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
		}
		uint32_t s[8];
		memcpy(s, state, sizeof s);
		for (int i = 0; i < 64; i++) {
			uint32_t e = s[4], a = s[0];
			uint32_t t1 = s[7] + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & s[5]) ^ (~e & s[6])) +
				      round_constants[i] + w[i];
			uint32_t t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
			memmove(s + 1, s, 7 * sizeof *s);
			s[4] += t1;
			s[0] = t1 + t2;
		}
		for (int i = 0; i < 8; i++)
			state[i] += s[i];
	}
}

#if defined(__x86_64__)

static bool has_instructions(void)
{
	unsigned a, b, c, d;
	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSSE3) || !(c & bit_SSE4_1))
		return false;
	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && b & (1u << 29);
}

#define SHA __attribute__((target("sha,sse4.1,ssse3")))

/* The state as the instructions want it: ABEF and CDGH. */
struct lane {
	__m128i abef, cdgh, abef_before, cdgh_before, w[4];
};

SHA static inline void lane_load(struct lane *lane, const uint32_t state[8])
{
	__m128i low = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0xB1);
	__m128i high = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(state + 4)), 0x1B);
	lane->abef = _mm_alignr_epi8(low, high, 8);
	lane->cdgh = _mm_blend_epi16(high, low, 0xF0);
}

SHA static inline void lane_store(const struct lane *lane, uint32_t state[8])
{
	__m128i feba = _mm_shuffle_epi32(lane->abef, 0x1B);
	__m128i dchg = _mm_shuffle_epi32(lane->cdgh, 0xB1);
	_mm_storeu_si128((__m128i *)state, _mm_blend_epi16(feba, dchg, 0xF0));
	_mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

SHA static inline void lane_begin(struct lane *lane, const uint8_t *in)
{
	const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
	lane->abef_before = lane->abef;
	lane->cdgh_before = lane->cdgh;
#pragma GCC unroll 4
	for (int i = 0; i < 4; i++)
		lane->w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)in + i), swap);
}

SHA static inline void lane_rounds(struct lane *lane, int i, __m128i constants)
{
	__m128i sum = _mm_add_epi32(lane->w[i], constants);
	lane->cdgh = _mm_sha256rnds2_epu32(lane->cdgh, lane->abef, sum);
	lane->abef = _mm_sha256rnds2_epu32(lane->abef, lane->cdgh, _mm_shuffle_epi32(sum, 0x0E));
}

SHA static inline void lane_next_words(struct lane *lane, int i)
{
	__m128i *w = lane->w;
	__m128i mixed = _mm_add_epi32(_mm_sha256msg1_epu32(w[i], w[(i + 1) & 3]), _mm_alignr_epi8(w[(i + 3) & 3], w[(i + 2) & 3], 4));
	w[i] = _mm_sha256msg2_epu32(mixed, w[(i + 3) & 3]);
}

SHA static inline void lane_end(struct lane *lane)
{
	lane->abef = _mm_add_epi32(lane->abef, lane->abef_before);
	lane->cdgh = _mm_add_epi32(lane->cdgh, lane->cdgh_before);
}

/* Intel SHA extensions: two rounds an instruction, the schedule four words at a time. `lanes` is a constant, 1 or 2. */
SHA static inline __attribute__((always_inline)) void blocks_lanes(int lanes, uint32_t state[][8], const uint8_t *const *in, size_t count)
{
	struct lane lane[2];
	for (int l = 0; l < lanes; l++)
		lane_load(&lane[l], state[l]);
	for (size_t at = 0; at < count * BLOCK; at += BLOCK) {
		for (int l = 0; l < lanes; l++)
			lane_begin(&lane[l], in[l] + at);
		/* Sixteen rounds, then the next sixteen words; unrolled only so far, for size. */
#pragma GCC unroll 1
		for (const __m128i *k = (const __m128i *)round_constants; k < (const __m128i *)(round_constants + 64); k += 4) {
#pragma GCC unroll 4
			for (int i = 0; i < 4; i++)
				for (int l = 0; l < lanes; l++)
					lane_rounds(&lane[l], i, _mm_load_si128(k + i));
#pragma GCC unroll 4
			for (int i = 0; i < 4; i++)
				for (int l = 0; l < lanes; l++)
					lane_next_words(&lane[l], i);
		}
		for (int l = 0; l < lanes; l++)
			lane_end(&lane[l]);
	}
	for (int l = 0; l < lanes; l++)
		lane_store(&lane[l], state[l]);
}

SHA static void blocks_instructions(uint32_t state[8], const uint8_t *in, size_t count)
{
	blocks_lanes(1, (uint32_t (*)[8])state, &in, count);
}

#ifndef TMPRUN_SMALL /* in the stub, whose frames are large and come one by one, it is not worth its kilobyte */
#define TWO_AT_ONCE
SHA static void two_instructions(uint32_t state[2][8], const uint8_t *const in[2], size_t count)
{
	blocks_lanes(2, state, in, count);
}
#endif

#elif defined(__aarch64__)

static bool has_instructions(void)
{
	return getauxval(AT_HWCAP) & (1ul << 6); /* HWCAP_SHA2 */
}

__attribute__((target("+crypto"))) static void blocks_instructions(uint32_t state[8], const uint8_t *in, size_t count)
{
	uint32x4_t abcd = vld1q_u32(state), efgh = vld1q_u32(state + 4);
	for (; count; count--, in += BLOCK) {
		uint32x4_t abcd_before = abcd, efgh_before = efgh;
		uint32x4_t w[4];
		for (int i = 0; i < 4; i++)
			w[i] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(in + 16 * i)));
		for (int i = 0; i < 16; i++) {
			if (i >= 4)
				w[i & 3] = vsha256su1q_u32(vsha256su0q_u32(w[i & 3], w[(i + 1) & 3]), w[(i + 2) & 3], w[(i + 3) & 3]);
			uint32x4_t sum = vaddq_u32(w[i & 3], vld1q_u32(round_constants + 4 * i));
			uint32x4_t kept = abcd;
			abcd = vsha256hq_u32(abcd, efgh, sum);
			efgh = vsha256h2q_u32(efgh, kept, sum);
		}
		abcd = vaddq_u32(abcd, abcd_before);
		efgh = vaddq_u32(efgh, efgh_before);
	}
	vst1q_u32(state, abcd);
	vst1q_u32(state + 4, efgh);
}

#else

static bool has_instructions(void)
{
	return false;
}

static void blocks_instructions(uint32_t state[8], const uint8_t *in, size_t count)
{
	blocks_portable(state, in, count);
}

#endif

static bool use_instructions(void)
{
	/* Asked once: in a virtual machine each CPUID costs a trip to the hypervisor, 20 us and more. */
	static _Atomic int known;
	if (!known)
		known = has_instructions() ? 1 : -1;
	return known > 0;
}

static const uint32_t first_state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

static void add_blocks(uint32_t state[8], const uint8_t *in, size_t count)
{
	if (use_instructions())
		blocks_instructions(state, in, count);
	else
		blocks_portable(state, in, count);
}

/* The last `left` bytes of `size`; what is before them, a multiple of BLOCK, is in the state already. */
static void finish(uint32_t state[8], const uint8_t *in, size_t left, uint64_t size, uint8_t digest[SHA256_SIZE])
{
	add_blocks(state, in, left / BLOCK);
	uint8_t last[2 * BLOCK] = {0};
	size_t rest = left % BLOCK;
	memcpy(last, in + left - rest, rest);
	last[rest] = 0x80;
	size_t end = rest < BLOCK - 8 ? BLOCK : 2 * BLOCK;
	uint64_t bits = size * 8;
	for (int i = 0; i < 8; i++)
		last[end - 1 - (size_t)i] = (uint8_t)(bits >> (8 * i));
	add_blocks(state, last, end / BLOCK);
	for (int i = 0; i < 8; i++)
		for (int j = 0; j < 4; j++)
			digest[4 * i + j] = (uint8_t)(state[i] >> (24 - 8 * j));
}

void sha256(const void *bytes, size_t size, uint8_t digest[SHA256_SIZE])
{
	uint32_t state[8];
	memcpy(state, first_state, sizeof state);
	finish(state, bytes, size, size, digest);
}

void sha256_two(const void *const bytes[2], const size_t size[2], uint8_t digest[2][SHA256_SIZE])
{
	const uint8_t *const in[2] = {bytes[0], bytes[1]};
	uint32_t state[2][8];
	memcpy(state[0], first_state, sizeof first_state);
	memcpy(state[1], first_state, sizeof first_state);
	size_t both = 0;
#ifdef TWO_AT_ONCE
	if (use_instructions())
		both = (size[0] < size[1] ? size[0] : size[1]) / BLOCK;
	if (both)
		two_instructions(state, in, both);
#endif
	for (int i = 0; i < 2; i++)
		finish(state[i], in[i] + both * BLOCK, size[i] - both * BLOCK, size[i], digest[i]);
}

void sha256_begin(struct sha256 *hash)
{
	*hash = (struct sha256){.size = 0};
	memcpy(hash->state, first_state, sizeof first_state);
}

/* Fill up the block that is begun, if there is one: how many of the bytes that takes. */
static size_t fill_up(struct sha256 *hash, const uint8_t *in, size_t size)
{
	size_t begun = hash->size % BLOCK, take = BLOCK - begun < size ? BLOCK - begun : size;
	if (!begun)
		return 0;
	memcpy(hash->begun + begun, in, take);
	if (begun + take == BLOCK)
		add_blocks(hash->state, hash->begun, 1);
	return take;
}

void sha256_add(struct sha256 *hash, const void *bytes, size_t size)
{
	const uint8_t *in = bytes;
	size_t taken = fill_up(hash, in, size), whole = (size - taken) / BLOCK;
	add_blocks(hash->state, in + taken, whole);
	hash->size += size;
	taken += whole * BLOCK;
	if (taken < size)
		memcpy(hash->begun, in + taken, size - taken);
}

void sha256_end(struct sha256 *hash, uint8_t digest[SHA256_SIZE])
{
	finish(hash->state, hash->begun, hash->size % BLOCK, hash->size, digest);
}
