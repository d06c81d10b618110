/* SPDX-License-Identifier: GPL-2.0-or-later */
/* source: who sends SYNs: one entry per client network (IPv4 /32, IPv6 /64), least recently seen evicted first.
 *
 * Bounded. A flood of invented sources brings one-shot entries; they go before entries that hold half-open connections:
 * a holder found at the end of the list is put back to its head, a few at a time so that eviction stays O(1).
 * Owned by one shard. */
#ifndef SYNMOAT_SOURCE_H
#define SYNMOAT_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "synmoat/addr.h"
#include "synmoat/siphash.h"

#define SOURCE_PREFIX_V6_BITS 64

struct source {
	struct addr net;              /* the address, or the IPv6 /64 */
	uint32_t half_open;           /* entries now */
	uint32_t syns;                /* all SYNs, saturating */
	uint32_t challenged;          /* those answered with a cookie */
	uint32_t completed;           /* handshakes */
	uint32_t chain, newer, older; /* the table's own */
	uint32_t last_s;              /* seconds of the monotonic clock */
};

struct source_table;

/* Memory for `capacity` entries is reserved, and touched as it is used. NULL when there is none. */
struct source_table *source_new(uint32_t capacity, const struct siphash_key *key);
void source_free(struct source_table *table);

/* The network under which an address is counted. */
struct addr source_net(const struct addr *addr);

/* The address's entry, made if need be, and moved to the head of the list. `evicted` tells whether another gave way. */
struct source *source_touch(struct source_table *table, const struct addr *addr, uint64_t now_ns, bool *evicted);

/* The address's entry or NULL; nothing moves. Valid until the next source_touch(). */
struct source *source_find(struct source_table *table, const struct addr *addr);

/* Copies the `most` entries with the most half-open connections (then SYNs), heaviest first; returns their number.
 * Walks the whole table: for reports. */
unsigned source_top(const struct source_table *table, struct source *out, unsigned most);

uint32_t source_count(const struct source_table *table);

#endif
