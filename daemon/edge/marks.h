/* SPDX-License-Identifier: GPL-2.0-or-later */
/* marks: the four bits of packet mark and conntrack mark, 22 to 25, by which rules and daemon understand each other.
 *
 * A packet's kind lives from the verdict to the rule that reads it. A connection's kind is the packet kind of its SYN
 * until the server or the client answered. Documented in synmoatd(8): change both. */
#ifndef SYNMOAT_MARKS_H
#define SYNMOAT_MARKS_H

#include "synmoat/guard.h"

#define MARK_KIND(number) ((uint32_t)(number) << 22)
#define MARK_BITS MARK_KIND(15)
#define MARK_WATCHED_BITS MARK_KIND(3) /* of a connection: set until its handshake is done, and not later */

enum {
	MARK_NONE = 0,
	MARK_HALF_OPEN = MARK_KIND(TREAT_HALF_OPEN), /* packet and connection */
	MARK_LEARN = MARK_KIND(TREAT_LEARN),         /* packet and connection */
	MARK_HANDOVER = MARK_KIND(TREAT_HANDOVER),   /* packet and connection */
	MARK_UNPROVEN = MARK_KIND(TREAT_UNPROVEN),   /* packet */
	MARK_UNTRACKED = MARK_KIND(5),               /* packet of our own */
	MARK_FIRST_ACK = MARK_KIND(6),               /* packet, on its way into the queue */
	MARK_AGAIN = MARK_KIND(7),                   /* packet: a SYN that goes through the rules once more */
	MARK_HANDED_OVER = MARK_KIND(12),            /* connection, for its lifetime */
	MARK_SEEN = MARK_KIND(TREAT_SEEN),           /* packet: a SYN that somebody has decided about */
	MARK_STRAY = MARK_KIND(TREAT_STRAY),         /* packet */
};
_Static_assert(MARK_UNTRACKED == 0x01400000 && MARK_BITS == 0x03c00000, "synmoatd(8) names these to administrators");
_Static_assert(!(MARK_HANDED_OVER & MARK_WATCHED_BITS), "packets of such a connection pass few rules");

/* What a packet with `mark` is marked with in its verdict. */
static inline uint32_t mark_treated(uint32_t mark, enum treatment treatment)
{
	return (mark & ~MARK_BITS) | MARK_KIND(treatment);
}

#endif
