/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xdp_parts: what xdp.c (the program, where it is, what it answers) and xdp_lists.c (whom it refuses) share. */
#ifndef SYNMOAT_XDP_PARTS_H
#define SYNMOAT_XDP_PARTS_H

#include "edge/xdp.h"
#include "edge/xdp_maps.h"

_Static_assert(XDP_LISTINGS_MAX == 3 * CIDR_LIST_MAX,
	       "of both lists, and the new ones of one, which come before its old ones go");

struct xdp_link {
	uint32_t interface;
	int fd;
	uint64_t station; /* its hardware address; 0 if it has none */
};

struct xdp_listing {
	struct cidr cidr;
	enum xdp_listed as;
};

struct xdp {
	struct xdp_setup setup;
	void *object; /* the skeleton */
	int program, services, counters, bans, listed, prefixes, stations;
	struct xdp_config *config; /* these are the program's, too */
	struct xdp_marks *begun, *noted;
	struct xdp_marks *known; /* [XDP_KNOWN] */
	uint64_t aged_ns, lasting_until_ns;
	struct xdp_bucket *replies;
	unsigned cpus;
	unsigned links_count;
	struct xdp_link links[XDP_INTERFACES_MAX];
	uint16_t on_port[65536];     /* services */
	uint16_t on_mark[XDP_MARKS]; /* addresses in `bans` or `listed` */
	uint64_t sweep_at_ns;        /* no ban is over before */
	size_t listings_count;
	struct xdp_listing listings[XDP_LISTINGS_MAX];
};

/* An address's two words. */
static inline void xdp_words(uint64_t words[2], const struct addr *addr)
{
	memcpy(words, addr->bytes, sizeof(addr->bytes));
}

/* What a ban of the address is about. */
struct addr xdp_ban_net(const struct xdp_setup *setup, const struct addr *addr);

#endif
