/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/ruleset.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "edge/marks.h"
#include "synmoat/packet.h"

/* Places among the kernel's own (linux/netfilter_ipv4.h): -400 defragmentation, -300 raw, -200 conntrack, -150 mangle,
 * -100 destination NAT. */
enum {
	PRIORITY_BEFORE_RAW = -310,
	PRIORITY_UNTRACK = -305,
	PRIORITY_AFTER_CONNTRACK = -140,
	PRIORITY_AFTER_FILTER = 50,
};

enum {
	PROTOCOL_ICMP = 1,
	PROTOCOL_TCP = 6,
	PROTOCOL_ICMPV6 = 58,
};

#define FLOWS_MAX 262144
#define WATCHED_MAX 131072   /* beyond that a first ACK is not seen, and the half-open entry ends by its timeout */
#define WATCHED_TIMEOUT_S 60 /* the kernel's own patience with a half-open connection */
#define LEARN_MAX 4096
#define LEARN_TIMEOUT_S 2
#define FLOWS_TIMEOUT_S 60                /* since the flow's last packet while armed; then it is asked for once more */
#define FLOWS_KNOWN_TIMEOUT_S (7 * 86400) /* of those entered by ruleset_know_flows(): idle ones among them */
#define TOO_BIG_PER_S 1000                /* path-MTU errors beyond that pass untranslated */
#define FLOW_KEY_V4_BYTES 16              /* address, port, address, port, each padded to words */
#define FLOW_KEY_V6_BYTES 40
#define FLOWS_PER_MESSAGE 512 /* with timeout 64 bytes each: a netlink attribute's length has 16 bits */

#define TYPE_ADDR_PORT(ip) ((uint32_t)(ip) << 6 | NFT_TYPE_PORT)
#define TYPE_FLOW(ip) (TYPE_ADDR_PORT(ip) << 12 | TYPE_ADDR_PORT(ip))

struct payload_field {
	enum nft_payload_bases base;
	uint8_t offset;
	uint8_t bytes;
	uint8_t word;
};

static const struct payload_field destination_v4[] = {{NFT_PAYLOAD_NETWORK_HEADER, 16, 4, 0},
						      {NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, 1}};
static const struct payload_field destination_v6[] = {{NFT_PAYLOAD_NETWORK_HEADER, 24, 16, 0},
						      {NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, 4}};
static const struct payload_field destination_port[] = {{NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, 0}};
static const struct payload_field flow_v4[] = {{NFT_PAYLOAD_NETWORK_HEADER, 12, 4, 0},
					       {NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2, 1},
					       {NFT_PAYLOAD_NETWORK_HEADER, 16, 4, 2},
					       {NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, 3}};
static const struct payload_field flow_v6[] = {{NFT_PAYLOAD_NETWORK_HEADER, 8, 16, 0},
					       {NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2, 4},
					       {NFT_PAYLOAD_NETWORK_HEADER, 24, 16, 5},
					       {NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, 9}};

static const struct payload_field reply_v4[] = {{NFT_PAYLOAD_NETWORK_HEADER, 16, 4, 0},
						{NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, 1},
						{NFT_PAYLOAD_NETWORK_HEADER, 12, 4, 2},
						{NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2, 3}};
static const struct payload_field reply_v6[] = {{NFT_PAYLOAD_NETWORK_HEADER, 24, 16, 0},
						{NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, 4},
						{NFT_PAYLOAD_NETWORK_HEADER, 8, 16, 5},
						{NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2, 9}};

#define LOAD(rule, fields) load_fields(rule, fields, sizeof(fields) / sizeof((fields)[0]))

static void load_fields(struct nftnl_rule *rule, const struct payload_field *fields, size_t count)
{
	for (size_t i = 0; i < count; i++)
		nft_load_payload(rule, fields[i].base, fields[i].offset, fields[i].bytes, fields[i].word);
}

static void jump(struct nft *nft, struct nftnl_rule *rule, const char *chain)
{
	nft_verdict(rule, NFT_JUMP, chain);
	nft_rule_end(nft, rule);
}

/* ---- rules, chain by chain, in a packet's order ---- */

/* Three rules of `chain` that go to `target` with packets to a binding in the given sets. */
static void rules_for_bindings(struct ruleset *ruleset, const char *chain, const struct nft_set *port,
			       const struct nft_set *v4, const struct nft_set *v6, const char *target)
{
	struct nft *nft = &ruleset->nft;
	struct nftnl_rule *rule = nft_rule(nft, chain);

	LOAD(rule, destination_port);
	nft_lookup(rule, port, false);
	nft_match_local_destination(rule); /* what this host forwards is not for its listeners */
	nft_verdict(rule, NFT_GOTO, target);
	nft_rule_end(nft, rule);

	rule = nft_rule(nft, chain);
	nft_match_family(rule, NFPROTO_IPV4);
	LOAD(rule, destination_v4);
	nft_lookup(rule, v4, false);
	nft_verdict(rule, NFT_GOTO, target);
	nft_rule_end(nft, rule);

	rule = nft_rule(nft, chain);
	nft_match_family(rule, NFPROTO_IPV6);
	LOAD(rule, destination_v6);
	nft_lookup(rule, v6, false);
	nft_verdict(rule, NFT_GOTO, target);
	nft_rule_end(nft, rule);
}

/* An update or removal of the packet's own flow, in both families. */
static void rules_flow_change(struct ruleset *ruleset, const char *chain, const struct nft_set *v4,
			      const struct nft_set *v6, uint32_t operation)
{
	struct nft *nft = &ruleset->nft;
	struct nftnl_rule *rule = nft_rule(nft, chain);

	nft_match_family(rule, NFPROTO_IPV4);
	LOAD(rule, flow_v4);
	nft_set_change(rule, v4, operation);
	nft_rule_end(nft, rule);

	rule = nft_rule(nft, chain);
	nft_match_family(rule, NFPROTO_IPV6);
	LOAD(rule, flow_v6);
	nft_set_change(rule, v6, operation);
	nft_rule_end(nft, rule);
}

/* Packets whose flow, as the client sees it, is in the sets go to `target`. */
static void rules_for_flows(struct ruleset *ruleset, const char *chain, bool outgoing, const struct nft_set *v4,
			    const struct nft_set *v6, const char *target)
{
	struct nft *nft = &ruleset->nft;
	struct nftnl_rule *rule = nft_rule(nft, chain);

	nft_match_family(rule, NFPROTO_IPV4);
	if (outgoing)
		LOAD(rule, reply_v4);
	else
		LOAD(rule, flow_v4);
	nft_lookup(rule, v4, false);
	nft_verdict(rule, NFT_GOTO, target);
	nft_rule_end(nft, rule);

	rule = nft_rule(nft, chain);
	nft_match_family(rule, NFPROTO_IPV6);
	if (outgoing)
		LOAD(rule, reply_v6);
	else
		LOAD(rule, flow_v6);
	nft_lookup(rule, v6, false);
	nft_verdict(rule, NFT_GOTO, target);
	nft_rule_end(nft, rule);
}

static void queue_flow(struct ruleset *ruleset, struct nftnl_rule *rule)
{
	nft_queue(&ruleset->nft, rule, ruleset->queues.flow_first, ruleset->queues.shards);
	nft_rule_end(&ruleset->nft, rule);
}

/* ---- before the first arming, without conntrack: a set remembers whose first ACK is wanted ---- */

static void rules_light_first_ack(struct ruleset *ruleset)
{
	struct nft *nft = &ruleset->nft;
	struct nftnl_rule *rule;

	rules_for_flows(ruleset, "incoming_tcp", false, &ruleset->watched_v4, &ruleset->watched_v6, "watched");
	rules_flow_change(ruleset, "watched", &ruleset->watched_v4, &ruleset->watched_v6, NFT_DYNSET_OP_DELETE);
	rule = nft_rule(nft, "watched");
	nft_set_mark(rule, MARK_BITS, MARK_FIRST_ACK);
	queue_flow(ruleset, rule);
}

/* What the daemon's verdict said about a SYN: which answer to learn from. */
static void rules_light_tracked_incoming(struct ruleset *ruleset)
{
	struct nft *nft = &ruleset->nft;
	struct nftnl_rule *rule = nft_rule(nft, "tracked_incoming");

	nft_match_mark(rule, MARK_KIND_BITS, 0, false);
	jump(nft, rule, "marked");

	rule = nft_rule(nft, "marked");
	nft_match_mark(rule, MARK_KIND_BITS, MARK_LEARN, true);
	jump(nft, rule, "know");
	rules_flow_change(ruleset, "know", &ruleset->learn_v4, &ruleset->learn_v6, NFT_DYNSET_OP_UPDATE);
	rule = nft_rule(nft, "marked");
	nft_set_mark(rule, MARK_BITS, 0);
	nft_rule_end(nft, rule);
}

/* The server's SYN-ACK to learn from, and its RST to a handshake under watch. */
static void rules_light_answers(struct ruleset *ruleset)
{
	struct nft *nft = &ruleset->nft;
	struct nftnl_rule *rule = nft_rule(nft, "tracked_outgoing");

	nft_match_protocol(rule, PROTOCOL_TCP);
	nft_match_tcp_flags(rule, TCP_SYN | TCP_ACK, TCP_SYN | TCP_ACK);
	jump(nft, rule, "answers");
	rules_for_flows(ruleset, "answers", true, &ruleset->learn_v4, &ruleset->learn_v6, "queue_answer");

	rule = nft_rule(nft, "tracked_outgoing");
	nft_match_protocol(rule, PROTOCOL_TCP);
	nft_match_tcp_flags(rule, TCP_RST, TCP_RST);
	jump(nft, rule, "resets");
	rules_for_flows(ruleset, "resets", true, &ruleset->watched_v4, &ruleset->watched_v6, "queue_answer");

	rule = nft_rule(nft, "queue_answer");
	queue_flow(ruleset, rule);
}

/* ---- from the first arming on, with conntrack ---- */

/* SYNs to armed services. When SYNs are not ours to answer any more, they fall through to the kernel. */
static void rules_armed_syn(struct ruleset *ruleset)
{
	struct nftnl_rule *rule;

	rules_for_bindings(ruleset, "syn", &ruleset->armed_port, &ruleset->armed_v4, &ruleset->armed_v6, "syn_armed");
	rule = nft_rule(&ruleset->nft, "syn_armed");
	nft_match_odd_source(rule); /* not to be answered, and the kernel may take room for them */
	nft_verdict(rule, NF_DROP, NULL);
	nft_rule_end(&ruleset->nft, rule);
	rule = nft_rule(&ruleset->nft, "syn_armed");
	nft_verdict(rule, NFT_GOTO, "queue_syn");
	nft_rule_end(&ruleset->nft, rule);
}

/* Before conntrack: SYNs to protected services, third ACKs to armed ones. */
static void rules_incoming(struct ruleset *ruleset, bool serving, bool armed, bool tracking)
{
	struct nft *nft = &ruleset->nft;
	struct nftnl_rule *rule = nft_rule(nft, "incoming");

	nft_match_incoming_loopback(rule);
	nft_verdict(rule, NFT_RETURN, NULL);
	nft_rule_end(nft, rule);

	rule = nft_rule(nft, "incoming");
	nft_match_protocol(rule, PROTOCOL_TCP);
	jump(nft, rule, "incoming_tcp");

	rule = nft_rule(nft, "incoming_tcp");
	nft_match_tcp_flags(rule, TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK, TCP_SYN);
	nft_verdict(rule, NFT_GOTO, "syn");
	nft_rule_end(nft, rule);
	if (!tracking)
		rules_light_first_ack(ruleset);
	if (armed) {
		rule = nft_rule(nft, "incoming_tcp");
		nft_match_tcp_flags(rule, TCP_SYN | TCP_RST | TCP_ACK, TCP_ACK);
		jump(nft, rule, "ack");
		rules_flow_change(ruleset, "syn", &ruleset->flows_v4, &ruleset->flows_v6, NFT_DYNSET_OP_DELETE);
	}
	if (armed && serving)
		rules_armed_syn(ruleset);
	rules_for_bindings(ruleset, "syn", &ruleset->service_port, &ruleset->service_v4, &ruleset->service_v6,
			   "queue_syn");
	if (!tracking)
		rules_flow_change(ruleset, "queue_syn", &ruleset->watched_v4, &ruleset->watched_v6,
				  NFT_DYNSET_OP_UPDATE);
	rule = nft_rule(nft, "queue_syn");
	nft_queue(nft, rule, ruleset->queues.syn_first, ruleset->queues.shards);
	nft_rule_end(nft, rule);
}

/* An ACK to an armed service goes up unless its connection is known. */
static void rules_ack(struct ruleset *ruleset)
{
	struct nft *nft = &ruleset->nft;
	struct nftnl_rule *rule;

	rules_for_bindings(ruleset, "ack", &ruleset->armed_port, &ruleset->armed_v4, &ruleset->armed_v6, "ack_armed");

	rule = nft_rule(nft, "ack_armed");
	nft_match_family(rule, NFPROTO_IPV4);
	LOAD(rule, flow_v4);
	nft_lookup(rule, &ruleset->flows_v4, true);
	queue_flow(ruleset, rule);

	rule = nft_rule(nft, "ack_armed");
	nft_match_family(rule, NFPROTO_IPV6);
	LOAD(rule, flow_v6);
	nft_lookup(rule, &ruleset->flows_v6, true);
	queue_flow(ruleset, rule);
}

/* Conntrack must not see what the daemon marked so: its own SYN-ACKs, translated path-MTU errors. */
static void rules_untrack(struct nft *nft)
{
	struct nftnl_rule *rule = nft_rule(nft, "untrack");

	nft_match_mark(rule, MARK_KIND_BITS, MARK_UNTRACKED, true);
	nft_notrack(rule);
	nft_rule_end(nft, rule);
}

/* Behind the administrator's filter, which may want to see them RELATED: path-MTU errors of handed-over connections.
 * Conntrack would next translate them as if they were TCP themselves. */
static void rules_too_big(struct ruleset *ruleset)
{
	static const struct {
		uint8_t nfproto, protocol, type;
		int code;
	} errors[] = {{NFPROTO_IPV4, PROTOCOL_ICMP, 3, 4}, {NFPROTO_IPV6, PROTOCOL_ICMPV6, 2, -1}};

	struct nftnl_rule *rule = nft_rule(&ruleset->nft, "errors");

	nft_match_incoming_loopback(rule); /* the translated copy */
	nft_verdict(rule, NFT_RETURN, NULL);
	nft_rule_end(&ruleset->nft, rule);
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		rule = nft_rule(&ruleset->nft, "errors");

		nft_match_ct_mark(rule, MARK_KIND_BITS, MARK_HANDED_OVER, true);
		nft_match_family(rule, errors[i].nfproto);
		nft_match_protocol(rule, errors[i].protocol);
		nft_match_icmp(rule, errors[i].type, errors[i].code);
		nft_limit_per_second(rule, TOO_BIG_PER_S, TOO_BIG_PER_S);
		queue_flow(ruleset, rule);
	}
}

/* After conntrack, on the way in: what the daemon's verdict said about the packet. */
static void rules_marked(struct ruleset *ruleset)
{
	struct nft *nft = &ruleset->nft;
	struct nftnl_rule *rule = nft_rule(nft, "marked");

	nft_match_mark(rule, MARK_KIND_BITS, MARK_UNTRACKED, true); /* our own, over lo */
	nft_set_mark(rule, MARK_BITS, 0);
	nft_verdict(rule, NFT_RETURN, NULL);
	nft_rule_end(nft, rule);

	rule = nft_rule(nft, "marked");
	nft_match_mark(rule, MARK_KIND_BITS, MARK_UNPROVEN, true);
	nft_match_ct_state(rule, NF_CT_STATE_INVALID_BIT | NF_CT_STATE_BIT(IP_CT_NEW));
	nft_counter(rule);
	nft_verdict(rule, NF_DROP, NULL);
	nft_rule_end(nft, rule);

	rule = nft_rule(nft, "marked");
	nft_match_mark(rule, MARK_KIND_BITS, MARK_UNPROVEN, true);
	nft_set_mark(rule, MARK_BITS, 0);
	nft_verdict(rule, NFT_RETURN, NULL);
	nft_rule_end(nft, rule);

	/* A SYN that conntrack was told not to see: without it there will be no first ACK, and no translation. */
	rule = nft_rule(nft, "marked");
	nft_match_ct_state(rule, NF_CT_STATE_UNTRACKED_BIT);
	nft_set_mark(rule, MARK_BITS, MARK_FIRST_ACK);
	queue_flow(ruleset, rule);

	/* A SYN in the middle of a connection, perhaps forged, does not change what that connection is. */
	rule = nft_rule(nft, "marked");
	nft_match_mark(rule, MARK_KIND_BITS, MARK_HANDOVER, false);
	nft_match_ct_state(rule, ~NF_CT_STATE_BIT(IP_CT_NEW));
	nft_set_mark(rule, MARK_BITS, 0);
	nft_verdict(rule, NFT_RETURN, NULL);
	nft_rule_end(nft, rule);

	/* The mark of a SYN becomes its connection's, bit by bit: nft before 6.13 knows no `or` of two registers. */
	rule = nft_rule(nft, "marked");
	nft_set_ct_mark(rule, MARK_BITS, 0);
	nft_rule_end(nft, rule);
	for (uint32_t bit = 1; bit; bit <<= 1) {
		if (!(bit & MARK_BITS))
			continue;
		rule = nft_rule(nft, "marked");
		nft_match_mark(rule, bit, 0, false);
		nft_set_ct_mark(rule, 0, bit);
		nft_rule_end(nft, rule);
	}
	rule = nft_rule(nft, "marked");
	nft_set_mark(rule, MARK_BITS, 0);
	nft_rule_end(nft, rule);
}

/* The client's first packet after the SYN of a connection that is watched: an ACK or a RST. */
static void rules_first_ack(struct ruleset *ruleset)
{
	static const uint32_t kinds[] = {MARK_HALF_OPEN, MARK_LEARN};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct nftnl_rule *rule = nft_rule(&ruleset->nft, "watched");

		nft_match_ct_mark(rule, MARK_KIND_BITS, kinds[i], true);
		nft_match_tcp_flags(rule, TCP_SYN, 0);
		nft_match_ct_direction(rule, IP_CT_DIR_ORIGINAL);
		nft_set_ct_mark(rule, MARK_BITS, 0);
		nft_set_mark(rule, MARK_BITS, MARK_FIRST_ACK);
		queue_flow(ruleset, rule);
	}
}

/* While armed: packets of the client in a connection that works make its flow known. */
static void rules_know(struct ruleset *ruleset, const char *chain)
{
	struct nft *nft = &ruleset->nft;
	struct nftnl_rule *rule = nft_rule(nft, chain);

	nft_match_protocol(rule, PROTOCOL_TCP);
	nft_match_ct_direction(rule, IP_CT_DIR_ORIGINAL);
	nft_match_ct_state(rule, NF_CT_STATE_BIT(IP_CT_ESTABLISHED));
	jump(nft, rule, "know");
}

static void rules_tracked_incoming(struct ruleset *ruleset, bool armed)
{
	struct nft *nft = &ruleset->nft;
	struct nftnl_rule *rule = nft_rule(nft, "tracked_incoming");

	nft_match_mark(rule, MARK_KIND_BITS, 0, false);
	jump(nft, rule, "marked");

	rule = nft_rule(nft, "tracked_incoming");
	nft_match_ct_mark(rule, MARK_KIND_BITS, 0, false);
	jump(nft, rule, "watched");

	if (armed)
		rules_know(ruleset, "tracked_incoming");
}

/* The server's answers on the way out: to a rewritten SYN all, to a SYN to learn from the SYN-ACK, to others a RST. */
static void rules_answers(struct ruleset *ruleset)
{
	struct nft *nft = &ruleset->nft;
	struct nftnl_rule *rule = nft_rule(nft, "answers");

	nft_match_ct_direction(rule, IP_CT_DIR_ORIGINAL);
	nft_verdict(rule, NFT_RETURN, NULL);
	nft_rule_end(nft, rule);

	rule = nft_rule(nft, "answers");
	nft_match_ct_mark(rule, MARK_KIND_BITS, MARK_HANDOVER, true);
	nft_verdict(rule, NFT_GOTO, "queue_answer");
	nft_rule_end(nft, rule);

	rule = nft_rule(nft, "answers");
	nft_match_ct_mark(rule, MARK_KIND_BITS, MARK_LEARN, true);
	nft_set_ct_mark(rule, MARK_KIND_BITS, MARK_HALF_OPEN);
	nft_verdict(rule, NFT_GOTO, "queue_answer");
	nft_rule_end(nft, rule);

	rule = nft_rule(nft, "answers");
	nft_match_ct_mark(rule, MARK_KIND_BITS, MARK_HALF_OPEN, true);
	nft_match_tcp_flags(rule, TCP_RST, TCP_RST);
	nft_set_ct_mark(rule, MARK_KIND_BITS, 0);
	nft_verdict(rule, NFT_GOTO, "queue_answer");
	nft_rule_end(nft, rule);

	/* Behind NAT the addresses' hash would lead to another shard than the SYN's; the connection's mark does not. */
	for (uint32_t shard = 0; shard < ruleset->queues.shards; shard++) {
		rule = nft_rule(nft, "queue_answer");
		nft_match_ct_mark(rule, MARK_SHARD_BITS, shard << MARK_SHARD_SHIFT, true);
		nft_queue(nft, rule, (uint16_t)(ruleset->queues.flow_first + shard), 1);
		nft_rule_end(nft, rule);
	}
}

/* A server in a container behind this host's destination NAT answers through FORWARD. */
static void rules_tracked_outgoing(struct ruleset *ruleset, bool armed)
{
	static const char *const ways[] = {"tracked_outgoing", "tracked_forward"};
	struct nft *nft = &ruleset->nft;

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct nftnl_rule *rule = nft_rule(nft, ways[i]);

		nft_match_ct_mark(rule, MARK_KIND_BITS, 0, false);
		jump(nft, rule, "answers");
	}
	if (armed)
		rules_know(ruleset, "tracked_outgoing");
}

static const char *const chains[] = {"incoming_tcp", "syn",         "syn_armed",   "ack",     "ack_armed",
				     "queue_syn",    "marked",      "watched",     "answers", "know",
				     "resets",       "established", "queue_answer"};
static const struct {
	const char *name;
	uint32_t hook;
	int32_t priority;
	bool from_first_arming; /* not before: each hook costs every packet; nor taken away again: see ruleset_quiet() */
} base_chains[] = {
	{"incoming", NF_INET_PRE_ROUTING, PRIORITY_BEFORE_RAW, false},
	{"tracked_incoming", NF_INET_PRE_ROUTING, PRIORITY_AFTER_CONNTRACK, false},
	{"untrack", NF_INET_LOCAL_OUT, PRIORITY_UNTRACK, true},
	{"errors", NF_INET_LOCAL_IN, PRIORITY_AFTER_FILTER, true},
	{"tracked_outgoing", NF_INET_LOCAL_OUT, PRIORITY_AFTER_CONNTRACK, false},
	{"tracked_forward", NF_INET_FORWARD, PRIORITY_AFTER_CONNTRACK, false},
};

static void build_hooks(struct ruleset *ruleset, bool from_first_arming)
{
	for (size_t i = 0; i < sizeof(base_chains) / sizeof(base_chains[0]); i++)
		if (base_chains[i].from_first_arming == from_first_arming)
			nft_base_chain_add(&ruleset->nft, base_chains[i].name, base_chains[i].hook,
					   base_chains[i].priority);
}

static void build_frame(struct ruleset *ruleset)
{
	struct nft *nft = &ruleset->nft;

	nft_table_add(nft, RULESET_TABLE, NFT_TABLE_F_OWNER, true);
	nft_set_add(nft, &ruleset->service_port, 0, 0, 0);
	nft_set_add(nft, &ruleset->service_v4, 0, 0, 0);
	nft_set_add(nft, &ruleset->service_v6, 0, 0, 0);
	nft_set_add(nft, &ruleset->armed_port, 0, 0, 0);
	nft_set_add(nft, &ruleset->armed_v4, 0, 0, 0);
	nft_set_add(nft, &ruleset->armed_v6, 0, 0, 0);
	nft_set_add(nft, &ruleset->flows_v4, NFT_SET_EVAL | NFT_SET_TIMEOUT, FLOWS_MAX, FLOWS_TIMEOUT_S);
	nft_set_add(nft, &ruleset->watched_v4, NFT_SET_EVAL | NFT_SET_TIMEOUT, WATCHED_MAX, WATCHED_TIMEOUT_S);
	nft_set_add(nft, &ruleset->watched_v6, NFT_SET_EVAL | NFT_SET_TIMEOUT, WATCHED_MAX, WATCHED_TIMEOUT_S);
	nft_set_add(nft, &ruleset->learn_v4, NFT_SET_EVAL | NFT_SET_TIMEOUT, LEARN_MAX, LEARN_TIMEOUT_S);
	nft_set_add(nft, &ruleset->learn_v6, NFT_SET_EVAL | NFT_SET_TIMEOUT, LEARN_MAX, LEARN_TIMEOUT_S);
	nft_set_add(nft, &ruleset->flows_v6, NFT_SET_EVAL | NFT_SET_TIMEOUT, FLOWS_MAX, FLOWS_TIMEOUT_S);
	for (size_t i = 0; i < sizeof(chains) / sizeof(chains[0]); i++)
		nft_chain_add(nft, chains[i]);
	build_hooks(ruleset, false);
}

static void flush_frame(struct ruleset *ruleset)
{
	struct nft *nft = &ruleset->nft;

	for (size_t i = 0; i < sizeof(chains) / sizeof(chains[0]); i++)
		nft_rules_flush(nft, chains[i]);
	for (size_t i = 0; i < sizeof(base_chains) / sizeof(base_chains[0]); i++)
		if (ruleset->armed_before || !base_chains[i].from_first_arming)
			nft_rules_flush(nft, base_chains[i].name);
	nft_set_flush(nft, &ruleset->service_port);
	nft_set_flush(nft, &ruleset->service_v4);
	nft_set_flush(nft, &ruleset->service_v6);
	nft_set_flush(nft, &ruleset->armed_port);
	nft_set_flush(nft, &ruleset->armed_v4);
	nft_set_flush(nft, &ruleset->armed_v6);
}

static void put_bindings(struct nft *nft, const struct service_binding *bindings, size_t count,
			 const struct nft_set *port, const struct nft_set *v4, const struct nft_set *v6)
{
	static uint8_t keys[3][NFT_ELEMENTS_MAX * 20];
	const struct nft_set *sets[3] = {port, v4, v6};
	size_t used[3] = {0};

	for (size_t i = 0; i < count; i++) {
		const struct addr *address = &bindings[i].address;
		bool v4_address = addr_is_v4(address);
		struct addr unspecified = addr_unspecified(!v4_address);
		unsigned which = addr_equal(address, &unspecified) ? 0 : v4_address ? 1 : 2;
		unsigned address_bytes = which == 0 ? 0 : addr_wire_bytes(address);
		uint8_t *key = keys[which] + used[which]++ * sets[which]->key_bytes;

		memset(key, 0, sets[which]->key_bytes);
		memcpy(key, addr_wire(address), address_bytes);
		store_be16(key + address_bytes, bindings[i].port);
	}
	for (unsigned which = 0; which < 3; which++)
		if (used[which])
			nft_elements_add(nft, sets[which], keys[which], used[which], 0);
}

/* Everything that makes conntrack register. */
static void rules_tracking(struct ruleset *ruleset, bool armed)
{
	if (armed) {
		rules_ack(ruleset);
		rules_for_bindings(ruleset, "know", &ruleset->armed_port, &ruleset->armed_v4, &ruleset->armed_v6,
				   "established");
		rules_flow_change(ruleset, "established", &ruleset->flows_v4, &ruleset->flows_v6, NFT_DYNSET_OP_UPDATE);
	}
	if (!ruleset->armed_before)
		build_hooks(ruleset, true);
	rules_untrack(&ruleset->nft);
	rules_too_big(ruleset);
	rules_marked(ruleset);
	rules_first_ack(ruleset);
	rules_tracked_incoming(ruleset, armed);
	rules_answers(ruleset);
	rules_tracked_outgoing(ruleset, armed);
}

int ruleset_apply(struct ruleset *ruleset, const struct service_binding *services, size_t service_count,
		  const struct service_binding *armed, size_t armed_count)
{
	struct nft *nft = &ruleset->nft;
	bool tracking = armed_count || ruleset->armed_before;
	int error;

	nft_begin(nft);
	if (ruleset->built)
		flush_frame(ruleset);
	else
		build_frame(ruleset);
	rules_incoming(ruleset, service_count > 0, armed_count > 0, tracking);
	if (tracking) {
		rules_tracking(ruleset, armed_count > 0);
	} else {
		rules_light_tracked_incoming(ruleset);
		rules_light_answers(ruleset);
	}
	put_bindings(nft, services, service_count, &ruleset->service_port, &ruleset->service_v4, &ruleset->service_v6);
	put_bindings(nft, armed, armed_count, &ruleset->armed_port, &ruleset->armed_v4, &ruleset->armed_v6);
	error = nft_commit(nft);
	ruleset->built |= error == 0;
	ruleset->armed_before |= error == 0 && armed_count;
	return error;
}

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
			nft_elements_add(&ruleset->nft, set, keys, used, FLOWS_KNOWN_TIMEOUT_S);
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

int ruleset_keep(struct ruleset *ruleset)
{
	struct nft *nft = &ruleset->nft;
	struct nftnl_rule *rule;
	int error;

	/* Made anew within one transaction: what was there, whole or not, is replaced without a gap. */
	nft_begin(nft);
	nft->table = RULESET_KEEPER;
	nft_table_add(nft, RULESET_KEEPER, 0, false);
	nft_table_delete(nft, RULESET_KEEPER);
	nft_table_add(nft, RULESET_KEEPER, 0, true);
	nft_chain_add(nft, "conntrack_stays_registered");
	rule = nft_rule(nft, "conntrack_stays_registered");
	nft_load_ct_state(rule);
	nft_counter(rule);
	nft_rule_end(nft, rule);
	error = nft_commit(nft);
	nft->table = RULESET_TABLE;
	return error;
}

/* ---- what others do ---- */

static int watch_open(struct ruleset *ruleset)
{
	int group = NFNLGRP_NFTABLES;

	ruleset->events = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (ruleset->events && mnl_socket_bind(ruleset->events, 0, MNL_SOCKET_AUTOPID) == 0 &&
	    mnl_socket_setsockopt(ruleset->events, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) == 0)
		return 0;
	return -errno;
}

int ruleset_watch_fd(const struct ruleset *ruleset)
{
	return mnl_socket_get_fd(ruleset->events);
}

static bool deletes_keeper(const struct nlmsghdr *header)
{
	const struct nlattr *attr;

	if (header->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELTABLE))
		return false;
	mnl_attr_for_each(attr, header,
			  sizeof(struct nfgenmsg)) if (mnl_attr_get_type(attr) == NFTA_TABLE_NAME &&
						       strcmp(mnl_attr_get_str(attr), RULESET_KEEPER) == 0) return true;
	return false;
}

bool ruleset_keeper_lost(struct ruleset *ruleset)
{
	char events[16384];
	bool lost = false;
	ssize_t bytes;

	while ((bytes = recv(ruleset_watch_fd(ruleset), events, sizeof(events), 0)) > 0 || errno == ENOBUFS) {
		const struct nlmsghdr *header = (const struct nlmsghdr *)events;
		int left = (int)bytes;

		if (bytes < 0) { /* events were lost: it may have been among them */
			lost = true;
			continue;
		}
		for (; mnl_nlmsg_ok(header, left); header = mnl_nlmsg_next(header, &left))
			lost |= header->nlmsg_pid != mnl_socket_get_portid(ruleset->nft.socket) &&
				deletes_keeper(header);
	}
	return lost;
}

/* Whether a queue rule of this kind is taken: 0, -ENOENT if the kernel has no such expression, or another -errno. */
static int probe_queue(struct nft *nft, bool native)
{
	struct nftnl_rule *rule;
	int error;

	nft->native_queue = native;
	nft->table = "synmoat_probe";
	nft_begin(nft);
	nft_table_add(nft, nft->table, 0, false);
	nft_base_chain_add(nft, "probe", NF_INET_PRE_ROUTING, PRIORITY_BEFORE_RAW);
	rule = nft_rule(nft, "probe");
	nft_queue(nft, rule, 0, 1);
	nft_rule_end(nft, rule);
	error = nft_dry_run(nft);
	nft->table = RULESET_TABLE;
	return error;
}

int ruleset_open(struct ruleset *ruleset, const struct ruleset_queues *queues, char *error, size_t error_bytes)
{
	struct nft *nft = &ruleset->nft;
	int failed = nft_open(nft);

	if (!failed)
		failed = watch_open(ruleset);
	if (failed) {
		snprintf(error, error_bytes, "netlink: %s", strerror(-failed));
		return -1;
	}
	ruleset->queues = *queues;
	ruleset->built = false;
	ruleset->armed_before = false;
	ruleset->service_port = (struct nft_set){"service_port", 0, 2, NFT_TYPE_PORT};
	ruleset->service_v4 = (struct nft_set){"service_v4", 0, 8, TYPE_ADDR_PORT(NFT_TYPE_IPV4)};
	ruleset->service_v6 = (struct nft_set){"service_v6", 0, 20, TYPE_ADDR_PORT(NFT_TYPE_IPV6)};
	ruleset->armed_port = (struct nft_set){"armed_port", 0, 2, NFT_TYPE_PORT};
	ruleset->armed_v4 = (struct nft_set){"armed_v4", 0, 8, TYPE_ADDR_PORT(NFT_TYPE_IPV4)};
	ruleset->armed_v6 = (struct nft_set){"armed_v6", 0, 20, TYPE_ADDR_PORT(NFT_TYPE_IPV6)};
	ruleset->flows_v4 = (struct nft_set){"flows_v4", 0, FLOW_KEY_V4_BYTES, TYPE_FLOW(NFT_TYPE_IPV4)};
	ruleset->flows_v6 = (struct nft_set){"flows_v6", 0, FLOW_KEY_V6_BYTES, TYPE_FLOW(NFT_TYPE_IPV6)};
	ruleset->watched_v4 = (struct nft_set){"watched_v4", 0, FLOW_KEY_V4_BYTES, TYPE_FLOW(NFT_TYPE_IPV4)};
	ruleset->watched_v6 = (struct nft_set){"watched_v6", 0, FLOW_KEY_V6_BYTES, TYPE_FLOW(NFT_TYPE_IPV6)};
	ruleset->learn_v4 = (struct nft_set){"learn_v4", 0, FLOW_KEY_V4_BYTES, TYPE_FLOW(NFT_TYPE_IPV4)};
	ruleset->learn_v6 = (struct nft_set){"learn_v6", 0, FLOW_KEY_V6_BYTES, TYPE_FLOW(NFT_TYPE_IPV6)};

	failed = probe_queue(nft, true);
	if (failed == -ENOENT)
		failed = probe_queue(nft, false);
	if (!failed)
		return 0;
	if (failed == -EPERM)
		snprintf(error, error_bytes, "nftables: not permitted: CAP_NET_ADMIN is needed (run as root)");
	else
		snprintf(error, error_bytes,
			 "nftables: this kernel takes no queue rule (%s): CONFIG_NFT_QUEUE, or CONFIG_NFT_COMPAT with "
			 "CONFIG_NETFILTER_XT_TARGET_NFQUEUE, is needed",
			 strerror(-failed));
	mnl_socket_close(ruleset->events);
	nft_close(nft);
	return -1;
}

void ruleset_quiet(struct ruleset *ruleset)
{
	nft_begin(&ruleset->nft);
	flush_frame(ruleset);
	nft_commit(&ruleset->nft);
}

void ruleset_close(struct ruleset *ruleset, bool keep)
{
	struct nft *nft = &ruleset->nft;

	nft_begin(nft);
	if (ruleset->built)
		nft_table_delete(nft, RULESET_TABLE);
	nft_commit(nft);
	if (!keep) {
		nft_begin(nft);
		nft_table_delete(nft, RULESET_KEEPER);
		nft_commit(nft);
	}
	mnl_socket_close(ruleset->events);
	nft_close(nft);
}
