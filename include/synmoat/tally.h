/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tally: what one shard has seen of one service: numbers by second, how many distinct sources there are, which of them
 * sends most, and what most of the SYNs look like. Fixed in size, O(1) per event; all zero bytes is an empty one.
 *
 *   seconds      the last TALLY_WINDOW_S seconds, one bin each, this one included: so 9 to 10 s are looked back on
 *   unanswered   cookies by second, up to the longest handshake timeout
 *   current, previous   sketches of this half-window and the one before: 5 to 10 s; all shards turn at the same second
 *   total        sketch of the half-windows before those, back to the last tally_total_reset()
 *   totals       numbers since the tally began, which only grow
 *
 * A SYN touches one bin and `current`. Time may jump. Ahead: what is too old is no longer counted, whatever the length of
 * the jump. Back: what was counted later waits until it is due again, or is forgotten. Owned by one shard; the functions
 * that take a `sum` add to it, so that one sum goes round all shards. */
#ifndef SYNMOAT_TALLY_H
#define SYNMOAT_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#include "synmoat/addr.h"
#include "synmoat/packet.h"

#define TALLY_WINDOW_S 10
#define TALLY_HALF_S (TALLY_WINDOW_S / 2)
#define TALLY_BINS 16       /* a power of two above TALLY_WINDOW_S */
#define TALLY_SECONDS 304   /* more than the longest handshake timeout, 300 s */
#define TALLY_REGISTERS 256 /* HyperLogLog (Flajolet et al. 2007): 6.5 % standard error */
#define TALLY_TOP 8         /* space-saving (Metwally et al. 2005): finds whatever is above 1/8 of the SYNs */

/* What a SYN tells about the program that made it. A flood tool has one for all its packets, or picks each field at
 * random; clients have a few. */
enum {
	TALLY_MSS = 1,
	TALLY_WSCALE = 2,
	TALLY_SACK = 4,
	TALLY_TIMESTAMPS = 8,
};

struct tally_signature {
	uint8_t hops; /* the sender's initial TTL or hop limit, as far as what is left of it tells: 32, 64, 128, 255 */
	uint8_t options; /* TALLY_* bits of those offered */
	uint16_t window;
};

/* For the longest text, and its NUL. */
#define TALLY_SIGNATURE_BYTES sizeof("ttl 255 window 65535 mss,wscale,sack,ts")

struct tally_signature tally_signature_of(const struct segment *syn);

/* "ttl 64 window 64240 mss,wscale,sack,ts"; "ttl 255 window 512 no options". */
void tally_signature_text(const struct tally_signature *signature, char text[TALLY_SIGNATURE_BYTES]);

/* A network or a signature, and its SYNs. */
struct tally_top {
	union {
		struct addr net;
		struct tally_signature signature; /* then zeros */
	};
	uint64_t syns; /* at most; 0 = no entry */
	uint64_t over; /* by so much that may be too high: `syns - over` are certain */
};

/* Of a span of time. */
struct tally_sketch {
	uint64_t since_ns; /* its first SYN */
	uint64_t syns;
	uint8_t registers[TALLY_REGISTERS];
	struct tally_top sources[TALLY_TOP];
	struct tally_top signatures[TALLY_TOP];
};

struct tally_second {
	uint32_t second;
	uint32_t syns, elsewhere;
	uint32_t begun, retransmitted, completed;
	uint32_t cookies_sent, cookies_returned;
};

struct tally_unanswered {
	uint32_t second;
	int32_t cookies; /* sent minus returned */
};

struct tally_totals {
	uint64_t syns;
	uint64_t begun, retransmitted, completed;
	uint64_t cookies_sent, cookies_returned;
};

struct tally {
	struct tally_second seconds[TALLY_BINS];
	struct tally_totals totals;
	uint32_t half; /* the number of `current`: seconds of the clock / TALLY_HALF_S */
	struct tally_sketch current, previous, total;
	struct tally_unanswered unanswered[TALLY_SECONDS];
};

/* ---- what happens ---- */

struct tally_sight {
	struct addr net; /* source_net() of its source */
	uint64_t hash;   /* keyed, of `net` */
	struct tally_signature signature;
};

/* Every SYN; besides, one of the next three may apply. */
void tally_syn(struct tally *tally, const struct tally_sight *sight, uint64_t now_ns);

/* `load`: the cookie counts as unanswered until it is returned; not so if it is its source's matter alone.
 *
 * It began a handshake, it repeated the SYN of one that is under way, or it got a cookie. */
void tally_begun(struct tally *tally, uint64_t now_ns);
void tally_retransmitted(struct tally *tally, uint64_t now_ns);
void tally_cookie_sent(struct tally *tally, bool load, uint64_t now_ns);

/* The first ACK of a handshake that began so, or the ACK that brings a cookie back. */
void tally_completed(struct tally *tally, uint64_t now_ns);
void tally_cookie_returned(struct tally *tally, bool load, uint64_t now_ns);

/* SYNs, and among them cookies sent, that others have counted: the numbers have them, the sketches don't. */
void tally_syns_elsewhere(struct tally *tally, uint32_t syns, uint32_t cookies, uint64_t now_ns);

/* ---- numbers ---- */

/* Saturating. */
struct tally_window {
	uint32_t syns;
	uint32_t elsewhere; /* of them: no sketch knows these */
	uint32_t begun, retransmitted, completed;
	uint32_t cookies_sent, cookies_returned;
	uint32_t last_second, this_second; /* SYNs in the last full second, and in this one so far */
	uint32_t seconds; /* since the first of these events, parts counted as whole: 0 (none) .. TALLY_WINDOW_S */
};

void tally_window(const struct tally *tally, uint64_t now_ns, struct tally_window *sum);

void tally_totals(const struct tally *tally, struct tally_totals *sum);

/* Cookies without an answer in the last `window_s` seconds (at most TALLY_SECONDS - 2). Less than 0 when cookies came back
 * here that are counted as sent in another's tally: of several, the sum tells. */
int64_t tally_unanswered(const struct tally *tally, unsigned window_s, uint64_t now_ns);

/* ---- sketches ---- */

/* `total` begins anew, with what the window holds: an attack is noticed a moment after it has begun. */
void tally_total_reset(struct tally *tally);

/* The window's sketch, and that of all since the last tally_total_reset(). */
void tally_sketch_window(const struct tally *tally, uint64_t now_ns, struct tally_sketch *sum);
void tally_sketch_total(const struct tally *tally, struct tally_sketch *sum);

/* Adds one sketch to another: the outcome has the error bounds of one that saw all (Agarwal et al., "Mergeable
 * Summaries", 2012). Sources are distinct by their hashes: one that comes in at two shards whose keys differ is two. */
void tally_sketch_merge(struct tally_sketch *into, const struct tally_sketch *from);

/* Estimated number of distinct sources. */
uint32_t tally_distinct(const struct tally_sketch *sketch);

/* The source, and the signature, with the most certain SYNs; NULL if there was none. */
const struct tally_top *tally_heaviest(const struct tally_sketch *sketch);
const struct tally_top *tally_commonest(const struct tally_sketch *sketch);

/* SYNs that are surely its own; of NULL, 0. */
static inline uint64_t tally_certain(const struct tally_top *top)
{
	return top ? top->syns - top->over : 0;
}

/* Rounded down, at most 100; of nothing, 0. */
static inline unsigned tally_percent(uint64_t part, uint64_t whole)
{
	return whole ? (unsigned)(part >= whole ? 100 : part * 100 / whole) : 0;
}

#endif
