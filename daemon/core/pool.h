/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pool: what the bounded tables share: hash chains, a free list and FIFO lists over an array, by 32-bit index.
 *
 * Index 0 is "none"; entries are 1..capacity. Memory is zero-filled and untouched until an index is first taken. */
#ifndef SYNMOAT_POOL_H
#define SYNMOAT_POOL_H

#include <stdint.h>

#include "synmoat/addr.h"
#include "synmoat/siphash.h"

/* Hands out indices: released ones first (the last one first: its memory is warm), then fresh ones. `next` is the
 * entries' own link field, free for this use while an entry is not in use. */
struct pool {
	uint32_t capacity;
	uint32_t used;     /* now */
	uint32_t touched;  /* ever */
	uint32_t released; /* head of the free list */
};

/* The power of two at or above `count`: the number of hash buckets for that many entries. */
static inline uint32_t pool_buckets(uint32_t count)
{
	uint32_t buckets = 1;
	while (buckets < count)
		buckets *= 2;
	return buckets;
}

static inline uint64_t flow_hash(const struct siphash_key *key, const struct flow *flow)
{
	uint64_t words[5] = {0};
	memcpy(words, flow, sizeof(*flow));
	return siphash(key, words, 5);
}

#endif
