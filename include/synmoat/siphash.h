/* SPDX-License-Identifier: GPL-2.0-or-later */
/* siphash: SipHash-2-4 over whole 64-bit words (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012).
 *
 * Only whole words: everything hashed here (addresses, ports, cookies) is a multiple of eight bytes, and the loop then
 * has no tail. On a little-endian machine the result equals the reference code's over the same bytes. Needs no library. */
#ifndef SYNMOAT_SIPHASH_H
#define SYNMOAT_SIPHASH_H

#include <stdint.h>

struct siphash_key {
	uint64_t words[2];
};

static inline uint64_t siphash_rotate(uint64_t word, unsigned bits)
{
	return word << bits | word >> (64 - bits);
}

static inline void siphash_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = siphash_rotate(v[1], 13) ^ v[0];
	v[0] = siphash_rotate(v[0], 32);
	v[2] += v[3];
	v[3] = siphash_rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = siphash_rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = siphash_rotate(v[1], 17) ^ v[2];
	v[2] = siphash_rotate(v[2], 32);
}

static inline void siphash_absorb(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	siphash_round(v);
	siphash_round(v);
	v[0] ^= word;
}

static inline uint64_t siphash(const struct siphash_key *key, const uint64_t *words, unsigned count)
{
	uint64_t v[4] = {
		key->words[0] ^ 0x736f6d6570736575ULL,
		key->words[1] ^ 0x646f72616e646f6dULL,
		key->words[0] ^ 0x6c7967656e657261ULL,
		key->words[1] ^ 0x7465646279746573ULL,
	};

	for (unsigned i = 0; i < count; i++)
		siphash_absorb(v, words[i]);
	siphash_absorb(v, (uint64_t)count * 8 << 56);
	v[2] ^= 0xff;
	for (unsigned i = 0; i < 4; i++)
		siphash_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

#endif
