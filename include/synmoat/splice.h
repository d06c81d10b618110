/* SPDX-License-Identifier: GPL-2.0-or-later */
/* splice: the handovers in flight: one entry from a valid third ACK until shortly after the kernel took over.
 *
 *  valid third ACK          server's SYN-ACK                     linger
 *  ---------------> SYN_SENT ---------------> ESTABLISHED ---------------> gone
 *                      |    server's RST, or no answer in all the time
 *                      +--------------------> REFUSED -----------------> gone
 *
 * The rewritten SYN is repeated after SPLICE_RETRY_S: not by us, for only a packet that comes in on the client's
 * interface meets the admin's rules for it. We send the client a keepalive probe (RFC 9293 3.8.4), and its answer is
 * rewritten into the SYN again. ESTABLISHED and REFUSED linger so that a duplicate of the third ACK, still queued, is
 * not taken for a new connection.
 *
 * Bounded; when full, the entry that has lingered longest gives way, and if none lingers the newcomer is refused.
 * Entries of one stage live equally long, so each stage's list is ordered by deadline. Owned by one shard. */
#ifndef SYNMOAT_SPLICE_H
#define SYNMOAT_SPLICE_H

#include <stdbool.h>
#include <stdint.h>

#include "synmoat/addr.h"
#include "synmoat/cookie.h"
#include "synmoat/siphash.h"

#define SPLICE_HELD_MAX 16        /* packets of one client held: more than an initial window (RFC 6928: ten) */
#define SPLICE_PAYLOAD_BYTES 9216 /* of the third ACK: one jumbo frame */

enum splice_state {
	SPLICE_SYN_SENT,
	SPLICE_ESTABLISHED,
	SPLICE_REFUSED,
};

/* Stages of SYN_SENT, one per try, then lingering: a list each. */
enum {
	SPLICE_TRIES = 4,
	SPLICE_LINGER = SPLICE_TRIES,
	SPLICE_STAGES,
};
extern const uint8_t splice_stage_s[SPLICE_STAGES]; /* how long each lasts */

struct splice {
	struct flow flow;
	uint16_t service;
	uint8_t state; /* enum splice_state */
	uint8_t stage;
	bool retry_due; /* the client's next bare ACK becomes the SYN again */
	uint8_t flags;  /* of the third ACK: it may carry PSH or FIN */
	uint8_t hops, tos;
	bool data_sent; /* by the client, whether there was room for it or not */
	bool heard;     /* the server has sent something, whatever it was */
	bool timestamps;
	struct cookie_options options;
	uint16_t window; /* of the third ACK, scaled by the client */
	uint16_t urgent; /* its urgent pointer */
	uint32_t cookie;
	uint32_t client_isn;
	uint32_t tsval;         /* of the third ACK */
	uint32_t interface;     /* index of the one the client came in on */
	uint16_t payload_bytes; /* of the third ACK, in splice_payload() */
	uint16_t held_count;
	uint32_t chain, newer, older; /* the table's own */
	uint64_t deadline_ns;
	uint64_t begun_ns;              /* when the third ACK came */
	uint32_t held[SPLICE_HELD_MAX]; /* ids of packets that wait in the queue */
};

struct splice_table;

/* Memory for `capacity` entries is reserved, and touched as it is used. NULL when there is none. */
struct splice_table *splice_new(uint32_t capacity, const struct siphash_key *key);
void splice_free(struct splice_table *table);

struct splice *splice_find(struct splice_table *table, const struct flow *flow);

/* A zeroed entry in the first stage of SYN_SENT; the flow must have none. NULL when the table is full of handovers. */
struct splice *splice_add(struct splice_table *table, const struct flow *flow, uint64_t now_ns);

/* Moves an entry to another stage, whose time starts now. */
void splice_enter(struct splice_table *table, struct splice *splice, unsigned stage, uint64_t now_ns);

void splice_remove(struct splice_table *table, struct splice *splice);

/* An entry whose stage is over, or NULL. */
struct splice *splice_due(struct splice_table *table, uint64_t now_ns);

/* How many are in SYN_SENT, and of those asked for again the one that has waited longest, or NULL. */
uint32_t splice_waiting(const struct splice_table *table);
struct splice *splice_longest_waiting(struct splice_table *table);

/* Any entry, or NULL: for shutting down. */
struct splice *splice_any(struct splice_table *table);

/* Room of SPLICE_PAYLOAD_BYTES for the third ACK's payload. */
uint8_t *splice_payload(struct splice_table *table, const struct splice *splice);

uint32_t splice_count(const struct splice_table *table);

#endif
