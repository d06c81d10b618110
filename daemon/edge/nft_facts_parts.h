/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nft_facts_parts: between nft_facts.c, which reads nftables' own expressions, and nft_facts_xt.c, which reads those of
 * xtables. */
#ifndef SYNMOAT_NFT_FACTS_PARTS_H
#define SYNMOAT_NFT_FACTS_PARTS_H

#include <stdio.h> /* libnftnl/expr.h does without */

#include <libnftnl/expr.h>

#include "edge/nft_facts.h"

/* What `match` and `target` wrap. */
void nft_facts_match(struct nft_facts *facts, const struct nftnl_expr *expression);
void nft_facts_target(struct nft_facts *facts, const struct nftnl_expr *expression);

/* Destination ports from `first` to `last` alone. */
void nft_facts_ports(struct nft_facts *facts, uint16_t first, uint16_t last);

/* To `count` queues, or one if that is 0. */
void nft_facts_queues(struct nft_facts *facts, uint16_t first, uint16_t count);

#endif
