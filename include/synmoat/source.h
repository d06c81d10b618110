/* SPDX-License-Identifier: GPL-2.0-or-later */
/* source: who sends SYNs: one entry per client network, in a bounded table that a flood of invented sources cannot empty.
 *
 * Two lists, each in order of last sight (segmented LRU: Karedla, Love, Wherry, "Caching strategies to improve disk
 * system performance", IEEE Computer 27(3), 1994). `once` holds who has shown nothing; all that is invented stays there
 * and gives way first. `kept` holds who has completed a handshake, or was seen again while it held SOURCE_HEAVY
 * half-open connections. It takes at most 3/4 of the table; beyond that its oldest entry goes back to the head of `once`.
 * So one-shot sources go first, then proven ones not seen for long; those that hold many stay longest: a holder at the
 * end of its list is put back to the head, a few per eviction, so that every operation is O(1). Owned by one shard. */
#ifndef SYNMOAT_SOURCE_H
#define SYNMOAT_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "synmoat/addr.h"
#include "synmoat/siphash.h"

#define SOURCE_PREFIX_V4_BITS 32 /* the defaults */
#define SOURCE_PREFIX_V6_BITS 64
#define SOURCE_HEAVY 2        /* half-open connections that make a source one to keep */
#define SOURCE_OWED_MAX 32767 /* `owed` goes no further */

/* How much of an address counts: all addresses with these leading bits are one source. */
struct source_prefixes {
	uint8_t v4_bits; /* 1..32 */
	uint8_t v6_bits; /* 1..128 */
};

struct source {
	struct addr net;              /* rest of the bits zero */
	uint32_t half_open;           /* entries now; the caller's to change */
	uint32_t syns;                /* all SYNs; saturating, as the next two */
	uint32_t challenged;          /* those answered with a cookie */
	uint32_t completed;           /* handshakes */
	uint32_t chain, newer, older; /* the table's own */
	uint32_t last_s;              /* when it was last touched: seconds of the monotonic clock, as all below */
	uint32_t proven_s;            /* when its last handshake completed; 0 = never */
	uint32_t wary_since_s;        /* the policy's: challenged on its own account since; 0 = not */
	uint64_t due : 48;            /* the policy's: when it may connect if it has no burst left */
	uint64_t owed : 15;           /* the policy's: cookies of this span that were not returned; saturating */
	uint64_t kept : 1;            /* the table's own: which list */
};
_Static_assert(sizeof(struct source) == 64, "a source is one cache line");

enum source_order {
	SOURCE_BY_HALF_OPEN,
	SOURCE_BY_CHALLENGED
};

struct source_table;

/* Memory for `capacity` entries, 1 or more, is reserved, and touched as it is used. NULL when there is none. */
struct source_table *source_new(uint32_t capacity, const struct source_prefixes *prefixes,
				const struct siphash_key *key);
void source_free(struct source_table *table);

/* The network under which an address is counted. */
struct addr source_net(const struct source_table *table, const struct addr *addr);

/* The address's entry, made if need be, and moved to the head of its list; one in `kept` that has nothing left to show
 * stays in its place, to be the sooner out of it. `evicted` tells whether another gave way. */
struct source *source_touch(struct source_table *table, const struct addr *addr, uint64_t now_ns, bool *evicted);

/* The address's entry or NULL; nothing moves. Valid until the next source_touch(). */
struct source *source_find(struct source_table *table, const struct addr *addr);

/* It is to be looked for shortly: fetches what that takes into the CPU's cache. */
void source_soon(struct source_table *table, const struct addr *addr);

/* It has completed a handshake, and is to be kept. Evicts nobody: all entries stay valid. */
void source_completed(struct source_table *table, struct source *source, uint64_t now_ns);

/* Copies the `most` entries that come first in `order` (then by SYNs), heaviest first; returns their number. Walks the
 * whole table: for reports. */
unsigned source_top(const struct source_table *table, struct source *out, unsigned most, enum source_order order);

/* The same order for copies of several tables. */
void source_sort(struct source *sources, unsigned count, enum source_order order);

uint32_t source_count(const struct source_table *table);

/* Seconds from one of an entry's times to `now_ns`; 0 if that is not past it (the reader's `now_ns` may be older than
 * what a shard has noted since). */
static inline uint32_t source_age_s(uint32_t then_s, uint64_t now_ns)
{
	uint64_t now_s = now_ns / 1000000000ULL;

	return now_s > then_s ? (uint32_t)(now_s - then_s) : 0;
}

#endif
