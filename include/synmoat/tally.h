/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tally: what one shard has seen of one service: SYNs and unanswered cookies by second, how many distinct sources, and
 * which of them sends most. Fixed in size, O(1) per SYN. */
#ifndef SYNMOAT_TALLY_H
#define SYNMOAT_TALLY_H

#include <stdint.h>

#include "synmoat/addr.h"

#define TALLY_SECONDS 304   /* more than the longest handshake timeout, 300 s */
#define TALLY_REGISTERS 256 /* HyperLogLog (Flajolet et al. 2007): 6.5 % standard error */
#define TALLY_TOP 8         /* space-saving (Metwally et al. 2005): finds every source above 1/8 of the SYNs */

struct tally_second {
	uint32_t second;
	uint32_t syns;
	int32_t unanswered; /* cookies sent minus cookies returned */
};

struct tally_top {
	struct addr net;
	uint32_t syns; /* at most */
	uint32_t over; /* by so much that may be too high: `syns - over` are certain */
};

/* Of a span of time: since its last reset. */
struct tally_sketch {
	uint64_t since_ns;
	uint64_t syns;
	uint8_t registers[TALLY_REGISTERS];
	struct tally_top top[TALLY_TOP];
};

struct tally {
	struct tally_second seconds[TALLY_SECONDS];
	struct tally_sketch sketch;
};

/* A SYN from `net`, whose keyed hash is `hash`. */
void tally_syn(struct tally *tally, const struct addr *net, uint64_t hash, uint64_t now_ns);

void tally_cookie_sent(struct tally *tally, uint64_t now_ns);
void tally_cookie_returned(struct tally *tally, uint64_t now_ns);

/* Cookies without an answer in the last `window_s` seconds (at most TALLY_SECONDS - 2). */
uint32_t tally_unanswered(const struct tally *tally, unsigned window_s, uint64_t now_ns);

/* SYNs in the last full second, and in this one so far. */
uint32_t tally_rate_pps(const struct tally *tally, uint64_t now_ns);
uint32_t tally_this_second(const struct tally *tally, uint64_t now_ns);

void tally_sketch_reset(struct tally_sketch *sketch, uint64_t now_ns);

/* Adds one shard's sketch to another's. */
void tally_sketch_merge(struct tally_sketch *into, const struct tally_sketch *from);

/* Estimated number of distinct sources. */
uint32_t tally_distinct(const struct tally_sketch *sketch);

/* The source with the most certain SYNs, or NULL if there was none. */
const struct tally_top *tally_heaviest(const struct tally_sketch *sketch);

#endif
