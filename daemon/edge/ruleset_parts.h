/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ruleset_parts: what the files of ruleset share.
 *
 * ruleset.c           the frame: hooks and sets; where SYNs go; life and death
 * ruleset_stay.c      the tables that outlive us, and what others do to them
 * ruleset_bindings.c  sets of addresses, ports and networks
 * ruleset_parts.c     rules that several chains are made of
 * ruleset_light.c     before the first arming, without conntrack
 * ruleset_tracking.c  from the first arming on, and in front of servers always, with conntrack
 * ruleset_strays.c    segments without a connection; ICMP errors of translated ones
 * ruleset_spill.c     SYNs beyond what a queue takes
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

#define TYPE_ADDR_PORT(ip) ((uint32_t)(ip) << 6 | NFT_TYPE_PORT)

/* Keys of sets: address, port, address, port, each padded to words. */
#define FLOW_KEY_V4_BYTES 16
#define FLOW_KEY_V6_BYTES 40

/* The services whose third ACKs are wanted; NULL = nobody's. */
static inline const struct ruleset_bindings *rules_honoured(const struct ruleset *ruleset,
							    const struct ruleset_wanted *wanted)
{
	if (wanted->honour_all && wanted->service_count)
		return &ruleset->services;
	return wanted->armed_count ? &ruleset->armed : NULL;
}

/* ---- ruleset_stay.c ---- */

int watch_open(struct ruleset *ruleset);
void closed_init(struct ruleset *ruleset);
enum ruleset_closed closed_wanted(const struct ruleset *ruleset, const struct ruleset_wanted *wanted);
void closed_put(struct ruleset *ruleset, const struct ruleset_wanted *wanted);
/* The transaction with closed_put() took effect. */
void closed_is_put(struct ruleset *ruleset, const struct ruleset_wanted *wanted);

/* ---- ruleset_bindings.c ---- */

#define BINDINGS_SETS 5 /* ports, IPv4, IPv6, IPv4 networks, IPv6 networks */

void bindings_init(struct ruleset_bindings *bindings, const char *const names[BINDINGS_SETS]);
void bindings_build(struct ruleset *ruleset, struct ruleset_bindings *bindings);

/* Before the rules that ask bindings_want_nets(), and bindings_put(). */
void bindings_want(struct ruleset_bindings *bindings, const struct service_binding *list, size_t count);
bool bindings_want_nets(const struct ruleset_bindings *bindings, bool v6);
void bindings_put(struct nft *nft, const struct ruleset_bindings *bindings, const struct service_binding *list,
		  size_t count);
/* The transaction with bindings_put() took effect. */
void bindings_are_put(struct ruleset_bindings *bindings);

/* ---- ruleset_parts.c ---- */

/* Into the registers that a lookup takes: the packet's source address, or its flow as the client sees it. */
void rules_load_source(struct nftnl_rule *rule, bool v6);
void rules_load_flow(struct nftnl_rule *rule, bool v6, bool outgoing);

/* One rule of `chain`, begun with the match of a family. */
struct nftnl_rule *rules_family(struct ruleset *ruleset, const char *chain, bool v6);

/* These end the rule. */
void rules_jump(struct ruleset *ruleset, struct nftnl_rule *rule, const char *chain);
void rules_queue_flow(struct ruleset *ruleset, struct nftnl_rule *rule);

/* Go to `target` with packets to one of the bindings, or with those from one that is not on this host. */
void rules_for_bindings(struct ruleset *ruleset, const char *chain, const struct ruleset_bindings *bindings,
			const char *target);
void rules_from_bindings(struct ruleset *ruleset, const char *chain, const struct ruleset_bindings *bindings,
			 const char *target);
/* The two halves of rules_for_bindings(). A port alone does not tell that the packet is for this host. */
void rules_for_ports(struct ruleset *ruleset, const char *chain, const struct ruleset_bindings *bindings,
		     const char *target);
void rules_for_addresses(struct ruleset *ruleset, const char *chain, const struct ruleset_bindings *bindings,
			 const char *target);

/* Segments to one of the bindings that would begin a connection at some servers, although they carry a FIN, are dropped. */
void rules_syn_fin(struct ruleset *ruleset, const char *chain, const struct ruleset_bindings *bindings);

/* Go to `target` with packets whose flow, as the client sees it, is in the sets. */
void rules_for_flows(struct ruleset *ruleset, const char *chain, bool outgoing, const struct nft_set *v4,
		     const struct nft_set *v6, const char *target);

/* An update or removal (NFT_DYNSET_OP_*) of the packet's own flow. */
void rules_flow_change(struct ruleset *ruleset, const char *chain, const struct nft_set *v4, const struct nft_set *v6,
		       uint32_t operation);

/* What the kernel answers by mistake: see there. The chains "first_ack", which queues, and "fresh", which does not, note
 * the packet's flow as one whose handshake is being done; rules_untimely() in `chain` drops. */
void rules_fresh(struct ruleset *ruleset);
void rules_untimely(struct ruleset *ruleset, const char *chain);

/* ---- ruleset_light.c ---- */

/* The client's first ACK: a set remembers whose is wanted. */
void rules_light_first_ack(struct ruleset *ruleset);
void rules_light_tracked(struct ruleset *ruleset);

/* ---- ruleset_tracking.c ---- */

/* SYNs to armed services, those that pass `screen` (NULL = none). */
void rules_armed_syn(struct ruleset *ruleset, const char *screen);
/* Everything that makes conntrack register. */
void rules_tracking(struct ruleset *ruleset, const struct ruleset_wanted *wanted);

/* ---- ruleset_strays.c ---- */

/* What conntrack does not know, and the daemon found no cookie in. */
void rules_unproven(struct ruleset *ruleset, enum ruleset_strays strays);
/* Segments of servers behind us. */
void rules_strays_forward(struct ruleset *ruleset, const struct ruleset_wanted *wanted);
/* ICMP errors about a handed-over connection: from `chain`, and on their way to this host. */
void rules_errors(struct ruleset *ruleset, const char *chain);
void rules_errors_in(struct ruleset *ruleset);

/* ---- ruleset_spill.c ---- */

/* Whether there is such a rule: the kernel is asked with tables that never come to be. */
void spill_init(struct ruleset *ruleset);
/* A packet of `chain` that is to be queued; it keeps the mark of a SYN that is `seen` if it passes nevertheless. */
void rule_queue_syn(struct ruleset *ruleset, struct nftnl_rule *rule, bool seen, uint16_t first, bool pass_unheard);
void rules_queue_armed(struct ruleset *ruleset, const struct ruleset_wanted *wanted, bool seen);

/* ---- ruleset_lists.c ---- */

void lists_init(struct ruleset *ruleset);
/* The sets and counters. They stay when the rules are made anew: nothing that was counted or banned is forgotten. */
void lists_build(struct ruleset *ruleset);
void lists_put(struct ruleset *ruleset, const struct ruleset_wanted *wanted);
/* The transaction with lists_put() took effect. */
void lists_are_put(struct ruleset *ruleset, const struct ruleset_wanted *wanted);

/* One list's networks, if they are others than those it holds; NULL = none. And that it took effect. */
void list_put(struct nft *nft, const struct ruleset_list *list, const struct cidr_list *wanted);
void list_is_put(struct ruleset_list *list, const struct cidr_list *wanted);

/* Whether a list has a network of the family: NULL has none. */
bool lists_hold(const struct cidr_list *list, bool v6);

/* Counts what ruleset_refusals() tells. */
void rules_count(struct ruleset *ruleset, struct nftnl_rule *rule, enum ruleset_refusal refusal);

/* The chain that lets pass who is allowed and refuses who is denied or banned; everybody else returns from it. NULL if
 * there is nobody of either kind: then there is no such rule. */
const char *rules_screen(struct ruleset *ruleset, const struct ruleset_wanted *wanted);

/* ---- ruleset.c ---- */

/* What a kernel may lack. Each is asked for with a table that never comes to be: 0, -ENOENT if the kernel has no such
 * expression, or another -errno. */
struct nftnl_rule *probe_begin(struct nft *nft);
int probe_end(struct nft *nft, struct nftnl_rule *rule);

/* Whether a table is there. */
bool probe_table(struct nft *nft, const char *name);

#endif
