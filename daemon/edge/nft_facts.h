/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nft_facts: what a rule of somebody else does, as far as it touches us. Rules of nftables, and of iptables-nft, whose
 * matches and targets are those of xtables. What is not understood counts as a condition. */
#ifndef SYNMOAT_NFT_FACTS_H
#define SYNMOAT_NFT_FACTS_H

#include <libnftnl/rule.h>
#include <stdbool.h>
#include <stdint.h>

struct nft_facts {
	/* conditions */
	bool conditional; /* there is any */
	bool not_tcp;
	bool source_port;               /* one is asked for */
	bool rate;                      /* beyond or below a limit */
	bool mark;                      /* packets with some mark alone: those with mark & mark_mask == mark_value */
	bool state;                     /* connections in some state alone */
	bool untracked;                 /* which includes those that are not tracked */
	uint16_t port_first, port_last; /* destination ports, at most; host order */
	uint32_t mark_mask, mark_value;

	/* what it does */
	bool accepts, drops;
	bool notrack, synproxy, zone;
	bool queues;
	uint16_t queue_first, queue_last;
	uint32_t mark_bits, ct_mark_bits; /* that it may change */
};

void nft_facts_read(const struct nftnl_rule *rule, struct nft_facts *facts);

#endif
