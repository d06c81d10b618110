/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "synmoat/cap.h"

#include <stddef.h>

#define NSEC_PER_MSEC 1000000ULL
#define TOKEN 1000U

/* In bits of the v4-mapped form: /24 and /48. */
#define PREFIX_V4_BITS (96 + 24)
#define PREFIX_V6_BITS 48

void cap_init(struct cap *cap, uint32_t per_s, const struct siphash_key *key, uint64_t now_ns)
{
	cap->key = *key;
	cap->per_s = per_s;
	for (unsigned i = 0; i < CAP_BUCKETS; i++)
		cap->buckets[i] = (struct cap_bucket){per_s * TOKEN, (uint32_t)(now_ns / NSEC_PER_MSEC)};
}

static size_t index_of(const struct cap *cap, const struct addr *addr)
{
	struct addr net = addr_masked(addr, addr_is_v4(addr) ? PREFIX_V4_BITS : PREFIX_V6_BITS);
	uint64_t words[2];

	memcpy(words, &net, sizeof(words));
	return siphash(&cap->key, words, 2) % CAP_BUCKETS;
}

/* A thousandth of a token for each token per second and millisecond; what is more than a second's worth is lost. */
static void refill(const struct cap *cap, struct cap_bucket *bucket, uint64_t now_ns)
{
	uint32_t now_ms = (uint32_t)(now_ns / NSEC_PER_MSEC);
	uint64_t tokens = bucket->tokens + (uint64_t)(now_ms - bucket->filled_ms) * cap->per_s;

	bucket->tokens = tokens < cap->per_s * TOKEN ? (uint32_t)tokens : cap->per_s * TOKEN;
	bucket->filled_ms = now_ms;
}

bool cap_take(struct cap *cap, const struct addr *addr, uint64_t now_ns)
{
	struct cap_bucket *bucket;

	if (!cap->per_s)
		return true;
	bucket = &cap->buckets[index_of(cap, addr)];
	refill(cap, bucket, now_ns);
	if (bucket->tokens < TOKEN)
		return false;
	bucket->tokens -= TOKEN;
	return true;
}

void cap_soon(const struct cap *cap, const struct addr *addr)
{
	__builtin_prefetch(&cap->buckets[index_of(cap, addr)], 1);
}

bool cap_has(const struct cap *cap, const struct addr *addr, uint64_t now_ns)
{
	struct cap_bucket bucket = cap->buckets[index_of(cap, addr)];

	refill(cap, &bucket, now_ns);
	return !cap->per_s || bucket.tokens >= TOKEN;
}

void cap_return(struct cap *cap, const struct addr *addr)
{
	struct cap_bucket *bucket = &cap->buckets[index_of(cap, addr)];

	if (bucket->tokens + TOKEN <= cap->per_s * TOKEN)
		bucket->tokens += TOKEN;
}
