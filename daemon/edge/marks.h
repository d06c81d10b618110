/* SPDX-License-Identifier: GPL-2.0-or-later */
/* marks: the ten bits of packet mark and conntrack mark by which rules and daemon understand each other.
 *
 *     31      26 25    22 21                     0
 *    +----------+--------+------------------------+
 *    |  shard   |  kind  |  left as they are      |
 *    +----------+--------+------------------------+
 *
 * A packet's kind lives from the verdict to the rule that reads it. A connection's kind is the packet kind of its SYN
 * until the server or the client answered. Documented in synmoatd(8): change both. */
#ifndef SYNMOAT_MARKS_H
#define SYNMOAT_MARKS_H

#include "synmoat/guard.h"

#define MARK_KIND_SHIFT 22
#define MARK_KIND_BITS (0xfU << MARK_KIND_SHIFT)
#define MARK_SHARD_SHIFT 26
#define MARK_SHARDS_MAX 64
#define MARK_SHARD_BITS (0x3fU << MARK_SHARD_SHIFT)
#define MARK_BITS (MARK_SHARD_BITS | MARK_KIND_BITS)

#define MARK_KIND(number) ((uint32_t)(number) << MARK_KIND_SHIFT)

enum {
	MARK_NONE = 0,
	MARK_HALF_OPEN = MARK_KIND(TREAT_HALF_OPEN), /* packet and connection */
	MARK_LEARN = MARK_KIND(TREAT_LEARN),         /* packet and connection */
	MARK_HANDOVER = MARK_KIND(TREAT_HANDOVER),   /* packet and connection */
	MARK_UNPROVEN = MARK_KIND(TREAT_UNPROVEN),   /* packet */
	MARK_UNTRACKED = MARK_KIND(5),               /* packet of our own */
	MARK_FIRST_ACK = MARK_KIND(6),               /* packet, on its way into the queue */
	MARK_HANDED_OVER = MARK_KIND(7),             /* connection, for its lifetime */
};
_Static_assert(MARK_UNTRACKED == 0x01400000, "synmoatd(8) names this mark to administrators");

/* What a packet with `mark` is marked with in its verdict. */
static inline uint32_t mark_treated(uint32_t mark, enum treatment treatment, unsigned shard)
{
	return (mark & ~MARK_BITS) | MARK_KIND(treatment) |
	       (treatment == TREAT_PLAIN ? 0 : (uint32_t)shard << MARK_SHARD_SHIFT);
}

#endif
