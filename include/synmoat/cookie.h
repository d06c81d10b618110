/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cookie: the ISN that stands for a half-open connection nobody stores.
 *
 *     31                              8 7     5 4     2  1    0
 *    +---------------------------------+-------+-------+----+-----+
 *    |    MAC, upper 24 of 32 bits     |  MSS  |wscale |SACK|epoch|   low byte, XORed with the MAC's
 *    +---------------------------------+-------+-------+----+-----+   upper byte so that it looks random
 *
 * The MAC is SipHash-2-4 over both addresses, both ports, the client's ISN, the epoch and the low byte, under a secret
 * that changes with every epoch. A cookie is good in its epoch and in the next. Of all 2^32 cookies 256
 * are right for a connection, one for each low byte: a guess is right once in 2^24 (in the last seconds of an epoch of a
 * shared secret 384 are, as odd ones may be of the last or the next: 1.5 in 2^24). The layout follows FreeBSD's (sys/netinet/tcp_syncache.c): it needs
 * no timestamps. */
#ifndef SYNMOAT_COOKIE_H
#define SYNMOAT_COOKIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "synmoat/addr.h"
#include "synmoat/cookie_code.h"
#include "synmoat/siphash.h"

#define COOKIE_EPOCH_S 64

/* The ISN that answers a SYN of `flow` with `client_isn` in the current epoch. */
uint32_t cookie_make(const struct cookie_secret *secret, const struct flow *flow, uint32_t client_isn,
		     const struct cookie_options *options);

/* Whether `cookie` answered such a SYN in this epoch or the last; or in the next, if the secret has it. Only then
 * `options` is set. */
bool cookie_check(const struct cookie_secret *secret, const struct flow *flow, uint32_t client_isn, uint32_t cookie,
		  struct cookie_options *options);

/* Enters the next epoch: `fresh` replaces the older secret. */
void cookie_rotate(struct cookie_secret *secret, const struct siphash_key *fresh);

/* ---- secrets that several hosts share ---- */

/* How far their clocks may differ, and how late each may be to make its secret anew. */
#define COOKIE_SKEW_MS 2000
#define COOKIE_RENEWAL_MS 500

/* From epoch `from` on: an epoch is unix time by COOKIE_EPOCH_S. */
struct cookie_master {
	uint32_t from;
	struct siphash_key key;
};

static inline uint32_t cookie_epoch_at(uint64_t unix_ms)
{
	return (uint32_t)(unix_ms / 1000 / COOKIE_EPOCH_S);
}

/* The secret that all who have these masters (at least one, ascending by `from`; the first counts before it, too) use at
 * `unix_ms`. An epoch's key is SipHash of its number under the master in force. The next epoch's is there from
 * COOKIE_SKEW_MS + COOKIE_RENEWAL_MS before it on. */
struct cookie_secret cookie_shared(const struct cookie_master *masters, size_t count, uint64_t unix_ms);

/* 32 bits by which two hosts tell that they have the same secret in an epoch, and nobody else learns anything. */
uint32_t cookie_fingerprint(const struct cookie_secret *secret);

#endif
