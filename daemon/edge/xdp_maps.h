/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xdp_maps: what edge/xdp.c and bpf/synmoat.bpf.c have in common: their maps' keys and values, and the memory that both see.
 * Included by both, so it needs what a compiler has without a C library. `_be`: as on the wire. An address is its 16
 * bytes (addr.h), two words as they lie in memory. */
#ifndef SYNMOAT_XDP_MAPS_H
#define SYNMOAT_XDP_MAPS_H

#include <stdbool.h>
#include <stdint.h>

#include "synmoat/cookie_code.h"

#define XDP_SERVICES 1024 /* SERVICES_MAX */
#define XDP_INTERFACES_MAX 64

struct xdp_service_key {
	uint64_t address[2];
	uint16_t port_be;
	uint16_t zero[3];
};

/* The packet that answers a SYN, as segment_write() made it, with zero where the client's address and port, ISN and ACK
 * number, the TSecr and the checksums belong. */
struct xdp_answer {
	uint32_t words[20];
	uint32_t ip_sum;   /* RFC 1071 of the IPv4 header; in words as they lie in memory, which the result does, too */
	uint32_t tcp_sum;  /* and of the rest, with the pseudo header */
	uint8_t count;     /* of the words */
	uint8_t tsecr_at;  /* which of them, 0 = none */
	bool wscale, sack; /* the cookie carries what the SYN offers of it */
	uint8_t zero[4];
};

/* By what the SYN offers. */
enum {
	XDP_OFFER_WSCALE = 1,
	XDP_OFFER_SACK = 2,
	XDP_OFFER_TIMESTAMPS = 4,
	XDP_OFFERS = 8,
};

struct xdp_service {
	uint32_t index;
	uint32_t zero;
	struct xdp_answer answers[XDP_OFFERS];
};

/* The client's ports and addresses; hashed as five words. */
struct xdp_flow {
	uint64_t client[2];
	uint64_t server[2];
	uint64_t ports; /* cookie_ports_isn() with an ISN of 0 */
};

/* Of a prefix in the lists. A family of its own for each, so that ::/0 holds no IPv4 address. */
struct xdp_prefix {
	uint32_t bits;  /* the family's among them */
	uint8_t family; /* 4, 6 */
	uint8_t address[16];
	uint8_t zero[3];
};
#define XDP_FAMILY_BITS 8
#define XDP_LISTINGS_MAX 12288

enum xdp_listed {
	XDP_UNLISTED,
	XDP_ALLOWED,
	XDP_DENIED,
};

enum xdp_counter {
	XDP_ANSWERED,
	XDP_CAPPED,
	XDP_DENIED_SYN,
	XDP_BANNED,
	XDP_BAD_ACK,
	XDP_PASSED_UP,
	XDP_FAILED,
	XDP_COUNTERS,
};

struct xdp_counters {
	uint64_t of[XDP_COUNTERS];
};

/* ---- token buckets: as core/cap.h has them, by another unit of time, which takes no division ---- */

#define XDP_TICK_SHIFT 20 /* a tick is 2^20 ns */
#define XDP_TOKEN 954     /* ticks in a second: a tick brings a rate of one per second one of these */
#define XDP_RATE_MAX 4000000U
#define XDP_BACKWARDS 0xffff0000U /* ticks since then: another CPU's clock is ahead of ours */

struct xdp_bucket {
	uint32_t tokens; /* by XDP_TOKEN */
	uint32_t filled; /* ticks */
};

/* A second's worth at the most; all of it in a bucket that is all zero. */
static inline bool xdp_take(struct xdp_bucket *bucket, uint32_t per_s, uint32_t now)
{
	uint32_t elapsed = now - bucket->filled;
	uint64_t tokens = bucket->tokens;
	uint64_t most = (uint64_t)per_s * XDP_TOKEN;

	if (elapsed < XDP_BACKWARDS) {
		tokens += (uint64_t)elapsed * per_s;
		bucket->filled = now;
	}
	if (tokens > most)
		tokens = most;
	bucket->tokens = (uint32_t)(tokens < XDP_TOKEN ? tokens : tokens - XDP_TOKEN);
	return tokens >= XDP_TOKEN;
}

/* ---- memory ---- */

#define XDP_SECRETS 4
#define XDP_CAP_BUCKETS 16384

/* One bit of so many, for each of a set's members: what has none is not in the set, without a look-up. */
#define XDP_MARKS (1U << 21)
#define XDP_MARK_KEYS 5

struct xdp_marks {
	uint64_t words[XDP_MARKS / 64];
};

/* Of the connections that the rules know: the younger and the older generation, and those that they know for long. */
enum {
	XDP_LASTING = 2,
	XDP_KNOWN,
};

struct xdp_config {
	uint32_t secret; /* which of the secrets counts: written after the secret is, into a place out of use */
	uint32_t cap_per_s;
	uint32_t sample_per_s;
	uint32_t known;    /* the younger generation: 0, 1 */
	uint32_t begun;    /* connections that are marked */
	uint32_t listed;   /* single addresses */
	uint32_t prefixes; /* in the lists */
	uint32_t banned;
	struct siphash_key cap_key;
	uint64_t mark_keys[XDP_MARK_KEYS];
	struct cookie_secret secrets[XDP_SECRETS];
	uint64_t ports[65536 / 64]; /* which are some service's: of others nothing is looked up */
};

/* Multiply and add, under random odd keys. It is no MAC: who finds out of two that have the same bit has gained a
 * look-up, or a SYN that goes up. */
static inline uint32_t xdp_mark_of(const uint64_t *keys, const uint64_t *words, unsigned count)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < count; i++)
		sum += (words[i] ^ words[i] >> 32) * keys[i];
	return (uint32_t)(sum >> 43);
}
_Static_assert(XDP_MARKS == 1U << (64 - 43), "the upper bits are taken");

static inline bool xdp_marked(const struct xdp_marks *marks, uint32_t mark)
{
	return marks->words[mark / 64 % (XDP_MARKS / 64)] >> mark % 64 & 1;
}

#endif
