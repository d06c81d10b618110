/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ruleset_parts: what the files of ruleset share.
 *
 * ruleset.c           the frame: tables, hooks and sets; where SYNs go; life and death
 * ruleset_parts.c     rules that several chains are made of
 * ruleset_light.c     before the first arming, without conntrack
 * ruleset_tracking.c  from the first arming on, with conntrack
 * ruleset_lists.c     who is let past and who is refused: allow, deny, bans
 *
 * rules_*() append to a transaction that the caller began. */
#ifndef SYNMOAT_RULESET_PARTS_H
#define SYNMOAT_RULESET_PARTS_H

#include "edge/ruleset.h"

enum {
	PROTOCOL_ICMP = 1,
	PROTOCOL_TCP = 6,
	PROTOCOL_ICMPV6 = 58,
};

/* Keys of sets: address, port, address, port, each padded to words. */
#define FLOW_KEY_V4_BYTES 16
#define FLOW_KEY_V6_BYTES 40

/* ---- ruleset_parts.c ---- */

/* Into the registers that a lookup takes: the packet's source address, or its flow as the client sees it. */
void rules_load_source(struct nftnl_rule *rule, bool v6);
void rules_load_flow(struct nftnl_rule *rule, bool v6, bool outgoing);

/* One rule of `chain`, begun with the match of a family. */
struct nftnl_rule *rules_family(struct ruleset *ruleset, const char *chain, bool v6);

/* These end the rule. */
void rules_jump(struct ruleset *ruleset, struct nftnl_rule *rule, const char *chain);
void rules_queue_flow(struct ruleset *ruleset, struct nftnl_rule *rule);

/* Go to `target` with packets to a binding in the given sets. */
void rules_for_bindings(struct ruleset *ruleset, const char *chain, const struct nft_set *port,
			const struct nft_set *v4, const struct nft_set *v6, const char *target);

/* Go to `target` with packets whose flow, as the client sees it, is in the sets. */
void rules_for_flows(struct ruleset *ruleset, const char *chain, bool outgoing, const struct nft_set *v4,
		     const struct nft_set *v6, const char *target);

/* An update or removal (NFT_DYNSET_OP_*) of the packet's own flow. */
void rules_flow_change(struct ruleset *ruleset, const char *chain, const struct nft_set *v4, const struct nft_set *v6,
		       uint32_t operation);

/* ---- ruleset_light.c ---- */

/* The client's first ACK: a set remembers whose is wanted. */
void rules_light_first_ack(struct ruleset *ruleset);
void rules_light_tracked(struct ruleset *ruleset);

/* ---- ruleset_tracking.c ---- */

/* SYNs to armed services, those that pass `screen` (NULL = none). */
void rules_armed_syn(struct ruleset *ruleset, const char *screen);
/* Everything that makes conntrack register. */
void rules_tracking(struct ruleset *ruleset, const struct ruleset_wanted *wanted);

/* ---- ruleset_lists.c ---- */

void lists_init(struct ruleset *ruleset);
/* The sets and counters. They stay when the rules are made anew: nothing that was counted or banned is forgotten. */
void lists_build(struct ruleset *ruleset);
void lists_put(struct ruleset *ruleset, const struct ruleset_wanted *wanted);
/* The transaction with lists_put() took effect. */
void lists_are_put(struct ruleset *ruleset, const struct ruleset_wanted *wanted);

/* Whether a list has a network of the family: NULL has none. */
bool lists_hold(const struct cidr_list *list, bool v6);

/* The chain that lets pass who is allowed and refuses who is denied or banned; everybody else returns from it. NULL if
 * there is nobody of either kind: then there is no such rule. */
const char *rules_screen(struct ruleset *ruleset, const struct ruleset_wanted *wanted);

#endif
