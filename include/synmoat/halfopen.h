/* SPDX-License-Identifier: GPL-2.0-or-later */
/* halfopen: the handshakes under way, as far as we let them through: one entry per SYN_RECV of the kernel.
 *
 * Bounded. Entries live equally long, so the list by age is the list by expiry. When the table is full the oldest entry
 * gives way: it is the likeliest to be spoofed. Everything is O(1). Owned by one shard. */
#ifndef SYNMOAT_HALFOPEN_H
#define SYNMOAT_HALFOPEN_H

#include <stdbool.h>
#include <stdint.h>

#include "synmoat/addr.h"
#include "synmoat/siphash.h"

struct halfopen_entry {
	struct flow flow;
	uint16_t service;
	uint8_t offered;              /* LEARNED_* bits of the SYN's options */
	uint32_t chain, newer, older; /* the table's own */
	uint32_t client_isn;
	uint64_t since_ns;
};

struct halfopen_table;

enum halfopen_added {
	HALFOPEN_NEW,
	HALFOPEN_KNOWN,       /* a retransmitted SYN: nothing changed */
	HALFOPEN_NEW_EVICTED, /* as NEW, and the oldest entry, now in `ended`, gave way */
};

/* Memory for `capacity` entries is reserved, and touched as it is used. NULL when there is none. */
struct halfopen_table *halfopen_new(uint32_t capacity, const struct siphash_key *key);
void halfopen_free(struct halfopen_table *table);

/* What is noted of a SYN. */
struct halfopen_syn {
	uint16_t service;
	uint8_t offered;
	uint32_t client_isn;
};

enum halfopen_added halfopen_add(struct halfopen_table *table, const struct flow *flow, const struct halfopen_syn *syn,
				 uint64_t now_ns, struct halfopen_entry *ended);

/* The flow's entry or NULL. Valid until the next change. */
const struct halfopen_entry *halfopen_find(struct halfopen_table *table, const struct flow *flow);

/* Removes the flow's entry into `ended`; false if there is none. */
bool halfopen_end(struct halfopen_table *table, const struct flow *flow, struct halfopen_entry *ended);

/* Removes the oldest entry into `ended` if it began at or before `deadline_ns`. Call until false. */
bool halfopen_expire(struct halfopen_table *table, uint64_t deadline_ns, struct halfopen_entry *ended);

/* All of them, the newest first: NULL ends them. Valid until the next change. */
const struct halfopen_entry *halfopen_newest(const struct halfopen_table *table);
const struct halfopen_entry *halfopen_older(const struct halfopen_table *table, const struct halfopen_entry *entry);

uint32_t halfopen_count(const struct halfopen_table *table);

#endif
