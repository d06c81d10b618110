/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/ruleset_parts.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>

#include "edge/marks.h"
#include "synmoat/packet.h"

#define UNASKED_PER_S 20
#define FLOWS_PER_MESSAGE 512 /* with timeout 64 bytes each: a netlink attribute's length has 16 bits */

void rules_armed_syn(struct ruleset *ruleset, const char *screen)
{
	struct nftnl_rule *rule;

	rules_for_bindings(ruleset, "syn", &ruleset->armed, "syn_armed");
	if (screen)
		rules_jump(ruleset, nft_rule(&ruleset->nft, "syn_armed"), screen);
	rule = nft_rule(&ruleset->nft, "syn_armed");
	nft_match_odd_source(rule); /* not to be answered, and the kernel may take room for them */
	rules_count(ruleset, rule, RULESET_ODD_SOURCE);
	nft_verdict(rule, NF_DROP, NULL);
	nft_rule_end(&ruleset->nft, rule);
	rule = nft_rule(&ruleset->nft, "syn_armed");
	nft_verdict(rule, NFT_GOTO, "queue_syn_armed");
	nft_rule_end(&ruleset->nft, rule);
}

/* A connection that is known need not be asked about: whether the packet is for this host, say. */
static void rules_known(struct ruleset *ruleset, const char *chain)
{
	const struct nft_set *const sets[] = {&ruleset->flows_v4, &ruleset->flows_v6};

	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct nftnl_rule *rule = rules_family(ruleset, chain, v6);

		rules_load_flow(rule, v6, false);
		nft_lookup(rule, sets[v6], false);
		nft_verdict(rule, NF_ACCEPT, NULL);
		nft_rule_end(&ruleset->nft, rule);
	}
}

/* An ACK to an armed service goes up unless its connection is known. Who is allowed never got a cookie. */
static void rules_ack(struct ruleset *ruleset, const struct ruleset_wanted *wanted)
{
	const struct ruleset_bindings *honoured = rules_honoured(ruleset, wanted);
	struct nftnl_rule *rule;

	if (!ruleset->setup.gateway) {
		rules_for_ports(ruleset, "ack", honoured, "ack_port");
		rules_known(ruleset, "ack_port");
		rules_for_bindings(ruleset, "ack_port", honoured, "ack_armed");
	}
	rules_for_addresses(ruleset, "ack", honoured, "ack_armed");

	rule = nft_rule(&ruleset->nft, "ack_armed");
	nft_match_incoming_loopback(rule);
	nft_verdict(rule, NFT_RETURN, NULL);
	nft_rule_end(&ruleset->nft, rule);
	for (unsigned v6 = 0; v6 < 2; v6++) {
		rule = rules_family(ruleset, "ack_armed", v6);
		rules_load_flow(rule, v6, false);
		nft_lookup(rule, v6 ? &ruleset->flows_v6 : &ruleset->flows_v4, true);
		if (lists_hold(wanted->allow, v6)) {
			rules_load_source(rule, v6);
			nft_lookup(rule, &ruleset->allow.sets[v6], true);
		}
		rules_queue_flow(ruleset, rule);
	}
}

/* Conntrack must not see what the daemon marked so: its own SYN-ACKs, translated path-MTU errors; nor a RST that is not to
 * be, which it would take for the end. */
static void rules_untrack(struct ruleset *ruleset)
{
	struct nft *nft = &ruleset->nft;
	struct nftnl_rule *rule = nft_rule(nft, "untrack");

	nft_match_mark(rule, MARK_BITS, MARK_UNTRACKED, true);
	nft_notrack(rule);
	nft_rule_end(nft, rule);
	rules_untimely(ruleset, "untrack");
}

/* After conntrack, on the way in: what the daemon's verdict said about the packet. */
static void rules_marked(struct ruleset *ruleset)
{
	static const uint32_t unproven[] = {MARK_UNPROVEN, MARK_STRAY};
	static const uint32_t connections[] = {MARK_HANDOVER, MARK_HALF_OPEN, MARK_LEARN};
	struct nft *nft = &ruleset->nft;
	struct nftnl_rule *rule = nft_rule(nft, "marked");

	nft_match_mark(rule, MARK_BITS, MARK_UNTRACKED, true); /* our own, over lo */
	nft_set_mark(rule, MARK_BITS, 0);
	nft_verdict(rule, NFT_RETURN, NULL);
	nft_rule_end(nft, rule);

	rule = nft_rule(nft, "marked");
	nft_match_mark(rule, MARK_BITS, MARK_SEEN, true); /* has done its duty by now */
	nft_set_mark(rule, MARK_BITS, 0);
	nft_verdict(rule, NFT_RETURN, NULL);
	nft_rule_end(nft, rule);

	for (size_t i = 0; i < sizeof(unproven) / sizeof(unproven[0]); i++) {
		rule = nft_rule(nft, "marked");
		nft_match_mark(rule, MARK_BITS, unproven[i], true);
		nft_match_ct_state(rule, NF_CT_STATE_INVALID_BIT | NF_CT_STATE_BIT(IP_CT_NEW));
		nft_verdict(rule, NFT_GOTO, "unproven");
		nft_rule_end(nft, rule);

		rule = nft_rule(nft, "marked");
		nft_match_mark(rule, MARK_BITS, unproven[i], true);
		nft_set_mark(rule, MARK_BITS, 0);
		nft_verdict(rule, NFT_GOTO, "asked");
		nft_rule_end(nft, rule);
	}

	/* A SYN that conntrack was told not to see: without it there will be no first ACK, and no translation. */
	rule = nft_rule(nft, "marked");
	nft_match_ct_state(rule, NF_CT_STATE_UNTRACKED_BIT);
	nft_set_mark(rule, MARK_BITS, MARK_FIRST_ACK);
	rules_queue_flow(ruleset, rule);

	/* A SYN in the middle of a connection, perhaps forged, does not change what that connection is. */
	rule = nft_rule(nft, "marked");
	nft_match_mark(rule, MARK_BITS, MARK_HANDOVER, false);
	nft_match_ct_state(rule, ~NF_CT_STATE_BIT(IP_CT_NEW));
	nft_set_mark(rule, MARK_BITS, 0);
	nft_verdict(rule, NFT_RETURN, NULL);
	nft_rule_end(nft, rule);

	/* The mark of a SYN becomes its connection's. */
	for (size_t i = 0; i < sizeof(connections) / sizeof(connections[0]); i++) {
		rule = nft_rule(nft, "marked");
		nft_match_mark(rule, MARK_BITS, connections[i], true);
		nft_set_ct_mark(rule, MARK_BITS, connections[i]);
		nft_set_mark(rule, MARK_BITS, 0);
		nft_verdict(rule, NFT_RETURN, NULL);
		nft_rule_end(nft, rule);
	}
	rule = nft_rule(nft, "marked");
	nft_set_mark(rule, MARK_BITS, 0);
	nft_rule_end(nft, rule);
}

/* The client's first packet after the SYN of a connection that is watched: a RST, or an ACK that conntrack has found to
 * be the right one. (One with a number too low it lets pass as perhaps delayed, but the handshake is not done by it:
 * nf_conntrack_tcp_packet(), net/netfilter/nf_conntrack_proto_tcp.c.) */
static void match_first_packet(struct nftnl_rule *rule, uint32_t kind, uint8_t flags)
{
	nft_match_ct_mark(rule, MARK_BITS, kind, true);
	nft_match_tcp_flags(rule, TCP_SYN | TCP_RST, flags);
	nft_match_ct_direction(rule, IP_CT_DIR_ORIGINAL);
	if (!flags)
		nft_match_ct_assured(rule);
}

/* While cookies are honoured the connection is known from here on: should conntrack be flushed now, its next packet is not
 * taken for one that brings a forged cookie. */
static void rules_first_ack(struct ruleset *ruleset, bool honoured)
{
	static const struct {
		uint32_t kind;
		uint8_t flags; /* of TCP_SYN and TCP_RST */
	} kinds[] = {{MARK_HALF_OPEN, 0}, {MARK_HALF_OPEN, TCP_RST}, {MARK_LEARN, 0}, {MARK_LEARN, TCP_RST}};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct nftnl_rule *rule;

		if (honoured && !kinds[i].flags) {
			rule = nft_rule(&ruleset->nft, "watched");
			match_first_packet(rule, kinds[i].kind, 0);
			rules_jump(ruleset, rule, "know");
		}
		rule = nft_rule(&ruleset->nft, "watched");
		match_first_packet(rule, kinds[i].kind, kinds[i].flags);
		nft_set_ct_mark(rule, MARK_BITS, 0);
		nft_set_mark(rule, MARK_BITS, MARK_FIRST_ACK);
		nft_verdict(rule, NFT_GOTO, "first_ack");
		nft_rule_end(&ruleset->nft, rule);
	}
}

/* While cookies are honoured: packets of the client in a connection that works make its flow known: each that had to be
 * asked about, and of others as many (`some`) as keep it known while it is in use. One of which too few are among those is
 * asked about again every FLOWS_TIMEOUT_S. Our final ACK of a
 * handover comes by on its way out; there, as on the way in, before any destination NAT. Not a rewritten SYN: what a
 * connection of the same tuple has left in conntrack may take it for one of its own, and data right behind it would be
 * translated by the offset of that one. Nor our RST to what the server has left of that one: what the client says next is
 * to be the SYN once more. */
static void rules_know(struct ruleset *ruleset, const char *chain, bool asked, bool some)
{
	struct nft *nft = &ruleset->nft;
	struct nftnl_rule *rule = nft_rule(nft, chain);

	if (!asked)
		nft_match_ct_direction(rule, IP_CT_DIR_ORIGINAL);
	if (some)
		nft_match_tcp_sample(rule);
	nft_match_protocol(rule, PROTOCOL_TCP);
	nft_match_ct_state(rule, NF_CT_STATE_BIT(IP_CT_ESTABLISHED));
	nft_match_tcp_flags(rule, TCP_SYN | TCP_RST, 0);
	rules_jump(ruleset, rule, "know");
}

/* Ours is the only one that leaves this host: connections from here are not handed over. */
static void rules_final_ack(struct ruleset *ruleset)
{
	struct nftnl_rule *rule = nft_rule(&ruleset->nft, "tracked_outgoing");

	nft_match_ct_direction(rule, IP_CT_DIR_REPLY); /* nearly all that leaves a host with servers */
	nft_verdict(rule, NF_ACCEPT, NULL);
	nft_rule_end(&ruleset->nft, rule);

	rule = nft_rule(&ruleset->nft, "tracked_outgoing");
	nft_match_ct_mark(rule, MARK_BITS, MARK_HANDED_OVER, true);
	nft_match_protocol(rule, PROTOCOL_TCP);
	rules_jump(ruleset, rule, "fresh");
}

static void rules_tracked_incoming(struct ruleset *ruleset)
{
	struct nft *nft = &ruleset->nft;
	struct nftnl_rule *rule = nft_rule(nft, "tracked_incoming");

	nft_match_mark(rule, MARK_BITS, 0, false);
	rules_jump(ruleset, rule, "marked");

	rule = nft_rule(nft, "tracked_incoming");
	nft_match_ct_mark(rule, MARK_WATCHED_BITS, 0, false);
	nft_match_protocol(rule, PROTOCOL_TCP); /* and not an ICMP error about it */
	rules_jump(ruleset, rule, "watched");
}

/* Some of the other SYN-ACKs of servers behind us, so that one whose backlog was full before we came is known to be there.
 * Not our own. */
static void rules_unasked(struct ruleset *ruleset)
{
	struct nft *nft = &ruleset->nft;
	struct nftnl_rule *rule = nft_rule(nft, "answers_tcp");

	nft_match_tcp_flags(rule, TCP_SYN | TCP_ACK | TCP_RST, TCP_SYN | TCP_ACK);
	nft_match_mark(rule, MARK_BITS, MARK_UNTRACKED, false);
	rules_jump(ruleset, rule, "unasked");
	rules_from_bindings(ruleset, "unasked", &ruleset->services, "unasked_answer");
	rule = nft_rule(nft, "unasked_answer");
	nft_limit_per_second(rule, UNASKED_PER_S, UNASKED_PER_S);
	nft_verdict(rule, NFT_GOTO, "queue_answer");
	nft_rule_end(nft, rule);
}

/* The server's answers on the way out: to a rewritten SYN all, to a SYN to learn from the SYN-ACK, to others a RST.
 * Behind all NAT: there their addresses are those that the client knows, wherever the server is. */
static void rules_answers(struct ruleset *ruleset, bool unasked)
{
	struct nft *nft = &ruleset->nft;
	struct nftnl_rule *rule;

	rule = nft_rule(nft, "answers_out");
	nft_match_protocol(rule, PROTOCOL_TCP);
	nft_verdict(rule, NFT_GOTO, "answers_tcp");
	nft_rule_end(nft, rule);
	rules_errors(ruleset, "answers_out");

	rules_untimely(ruleset, "answers_tcp");
	rule = nft_rule(nft, "answers_tcp");
	nft_match_ct_mark(rule, MARK_WATCHED_BITS, 0, false);
	rules_jump(ruleset, rule, "answers");
	if (unasked)
		rules_unasked(ruleset);

	rule = nft_rule(nft, "answers");
	nft_match_ct_direction(rule, IP_CT_DIR_ORIGINAL);
	nft_verdict(rule, NFT_RETURN, NULL);
	nft_rule_end(nft, rule);

	rule = nft_rule(nft, "answers");
	nft_match_ct_mark(rule, MARK_BITS, MARK_HANDOVER, true);
	nft_verdict(rule, NFT_GOTO, "queue_answer");
	nft_rule_end(nft, rule);

	rule = nft_rule(nft, "answers");
	nft_match_ct_mark(rule, MARK_BITS, MARK_LEARN, true);
	nft_set_ct_mark(rule, MARK_BITS, MARK_HALF_OPEN);
	nft_verdict(rule, NFT_GOTO, "queue_answer");
	nft_rule_end(nft, rule);

	rule = nft_rule(nft, "answers");
	nft_match_ct_mark(rule, MARK_BITS, MARK_HALF_OPEN, true);
	nft_match_tcp_flags(rule, TCP_RST | TCP_ACK, TCP_RST | TCP_ACK);
	nft_set_ct_mark(rule, MARK_BITS, 0);
	nft_verdict(rule, NFT_GOTO, "queue_answer");
	nft_rule_end(nft, rule);

	rule = nft_rule(nft, "queue_answer"); /* of the SYN's shard: the hash is that of the same two addresses */
	rules_queue_flow(ruleset, rule);
}

void rules_tracking(struct ruleset *ruleset, const struct ruleset_wanted *wanted)
{
	const struct ruleset_bindings *honoured = rules_honoured(ruleset, wanted);

	rules_untrack(ruleset);
	rules_marked(ruleset);
	rules_unproven(ruleset, wanted->strays);
	rules_first_ack(ruleset, honoured != NULL);
	rules_tracked_incoming(ruleset);
	rules_answers(ruleset, wanted->unasked);
	rules_errors_in(ruleset);
	rules_strays_forward(ruleset, wanted);
	if (!honoured)
		return;
	rules_ack(ruleset, wanted);
	rules_know(ruleset, "asked", true, false);
	rules_know(ruleset, "tracked_incoming", false, true);
	rules_final_ack(ruleset);
	rules_know(ruleset, "tracked_outgoing", false, false);
	rules_for_bindings(ruleset, "know", honoured, "established");
	rules_flow_change(ruleset, "established", &ruleset->flows_v4, &ruleset->flows_v6, NFT_DYNSET_OP_UPDATE);
}

/* ---- connections that are known without a packet of theirs ---- */

static void flow_key(const struct flow *flow, uint8_t *key)
{
	unsigned address_bytes = addr_wire_bytes(&flow->client);

	memset(key, 0, 2U * (address_bytes + 4));
	memcpy(key, addr_wire(&flow->client), address_bytes);
	store_be16(key + address_bytes, flow->client_port);
	memcpy(key + address_bytes + 4, addr_wire(&flow->server), address_bytes);
	store_be16(key + 2 * address_bytes + 4, flow->server_port);
}

/* Those of one family among `flows`, one transaction per FLOWS_PER_MESSAGE. */
static int know_flows_of(struct ruleset *ruleset, const struct nft_set *set, bool v4, const struct flow *flows,
			 size_t count)
{
	static uint8_t keys[FLOWS_PER_MESSAGE * FLOW_KEY_V6_BYTES];
	size_t used = 0;
	int first = 0;

	for (size_t i = 0; i <= count; i++) {
		if (used && (used == FLOWS_PER_MESSAGE || i == count)) {
			nft_begin(&ruleset->nft);
			nft_elements_add(&ruleset->nft, set, keys, used, RULESET_KNOWN_S);
			int error = nft_commit(&ruleset->nft);
			first = first ? first : error;
			used = 0;
		}
		if (i < count && addr_is_v4(&flows[i].client) == v4)
			flow_key(&flows[i], keys + used++ * set->key_bytes);
	}
	return first;
}

int ruleset_know_flows(struct ruleset *ruleset, const struct flow *flows, size_t count)
{
	int v4 = know_flows_of(ruleset, &ruleset->flows_v4, true, flows, count);
	int v6 = know_flows_of(ruleset, &ruleset->flows_v6, false, flows, count);

	return v4 ? v4 : v6;
}
