/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cookie: the ISN that stands for a half-open connection nobody stores.
 *
 *     31                              8 7     5 4     2  1    0
 *    +---------------------------------+-------+-------+----+-----+
 *    |    MAC, upper 24 of 32 bits     |  MSS  |wscale |SACK|epoch|   low byte, XORed with the MAC's
 *    +---------------------------------+-------+-------+----+-----+   upper byte so that it looks random
 *
 * The MAC is SipHash-2-4 over both addresses, both ports, the client's ISN, the epoch and the low byte, under a secret
 * that changes with every epoch. A cookie is good in its epoch and in the next. A guess is right once in 2^24. The layout
 * follows FreeBSD's (sys/netinet/tcp_syncache.c): it needs no timestamps. */
#ifndef SYNMOAT_COOKIE_H
#define SYNMOAT_COOKIE_H

#include <stdbool.h>
#include <stdint.h>

#include "synmoat/addr.h"
#include "synmoat/siphash.h"

#define COOKIE_EPOCH_S 64

/* The secrets of the current epoch and the one before, by the epoch's lowest bit. Both must be random from the start. */
struct cookie_secret {
	uint32_t epoch;
	struct siphash_key keys[2];
};

/* What a client's SYN offered, as far as a cookie can carry it: the MSS rounded down to the table's next, the window
 * scale rounded down too, which is safe (RFC 7323 2.3: the shift is the sender's own choice; a smaller one announces less). */
struct cookie_options {
	uint16_t mss;  /* bytes */
	int8_t wscale; /* -1 = option absent */
	bool sack;
};

/* The ISN that answers a SYN of `flow` with `client_isn` in the current epoch. */
uint32_t cookie_make(const struct cookie_secret *secret, const struct flow *flow, uint32_t client_isn,
		     const struct cookie_options *options);

/* Whether `cookie` answered such a SYN in this epoch or the last. Only then `options` is set. */
bool cookie_check(const struct cookie_secret *secret, const struct flow *flow, uint32_t client_isn, uint32_t cookie,
		  struct cookie_options *options);

/* Enters the next epoch: `fresh` replaces the older secret. */
void cookie_rotate(struct cookie_secret *secret, const struct siphash_key *fresh);

#endif
