/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nft_others: chains and rules of others that we cannot work with, or that work against us. */
#ifndef SYNMOAT_NFT_OTHERS_H
#define SYNMOAT_NFT_OTHERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edge/nft.h"

/* Looks for a rule, of any table of any family, that puts connections in a conntrack zone. Returns 1 and writes whose it
 * is, 0, or -errno: -EPERM without CAP_NET_ADMIN. */
int nft_zone_find(struct nft *nft, char *where, size_t where_bytes);

enum nft_other_kind {
	NFT_OTHER_SYNPROXY, /* the kernel's own answers SYNs, too */
	NFT_OTHER_QUEUE,    /* to a queue of ours */
	NFT_OTHER_NOTRACK,  /* of a protected port */
	NFT_OTHER_OUTPUT,   /* what goes out is dropped, unless a rule accepts it, and none accepts our mark */
	NFT_OTHER_MARK,     /* our bits of a packet's or connection's mark are changed */
	NFT_OTHER_LIMIT,    /* SYNs are dropped by rate before we see them */
	NFT_OTHER_KINDS,
};

struct nft_other {
	unsigned count;  /* of such rules or chains */
	char chain[192]; /* the first one's: "ip filter OUTPUT", as the nft tool takes it */
};

struct nft_others_wanted {
	const char *const *ours; /* tables of family inet, of which nothing is told; NULL ends them */
	uint16_t queue_first, queue_last;
	const uint8_t *ports; /* protected: a bit each, of 65536 */
	uint32_t mark_bits;   /* that are ours */
	uint32_t mark_out;    /* what our packets have in them on their way out */
	int32_t priority;     /* of our first hook before routing */
};

/* 0, or -errno: -EPERM without CAP_NET_ADMIN, -EINTR if others change nftables faster than it can be read. */
int nft_others_find(struct nft *nft, const struct nft_others_wanted *wanted, struct nft_other found[NFT_OTHER_KINDS]);

#endif
