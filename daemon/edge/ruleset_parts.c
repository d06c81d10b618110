/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/ruleset_parts.h"

#include <linux/netfilter.h>

#include "synmoat/packet.h"

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
static const struct payload_field endpoint_source_v4[] = {{NFT_PAYLOAD_NETWORK_HEADER, 12, 4, 0},
							  {NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2, 1}};
static const struct payload_field endpoint_source_v6[] = {{NFT_PAYLOAD_NETWORK_HEADER, 8, 16, 0},
							  {NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2, 4}};
static const struct payload_field source_v4[] = {{NFT_PAYLOAD_NETWORK_HEADER, 12, 4, 0}};
static const struct payload_field source_v6[] = {{NFT_PAYLOAD_NETWORK_HEADER, 8, 16, 0}};
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

static void load(struct nftnl_rule *rule, const struct payload_field *fields, size_t count)
{
	for (size_t i = 0; i < count; i++)
		nft_load_payload(rule, fields[i].base, fields[i].offset, fields[i].bytes, fields[i].word);
}

#define LOAD(rule, fields) load(rule, fields, sizeof(fields) / sizeof((fields)[0]))

void rules_load_source(struct nftnl_rule *rule, bool v6)
{
	if (v6)
		LOAD(rule, source_v6);
	else
		LOAD(rule, source_v4);
}

void rules_load_flow(struct nftnl_rule *rule, bool v6, bool outgoing)
{
	if (v6 && outgoing)
		LOAD(rule, reply_v6);
	else if (v6)
		LOAD(rule, flow_v6);
	else if (outgoing)
		LOAD(rule, reply_v4);
	else
		LOAD(rule, flow_v4);
}

struct nftnl_rule *rules_family(struct ruleset *ruleset, const char *chain, bool v6)
{
	struct nftnl_rule *rule = nft_rule(&ruleset->nft, chain);

	nft_match_family(rule, v6 ? NFPROTO_IPV6 : NFPROTO_IPV4);
	return rule;
}

void rules_jump(struct ruleset *ruleset, struct nftnl_rule *rule, const char *chain)
{
	nft_verdict(rule, NFT_JUMP, chain);
	nft_rule_end(&ruleset->nft, rule);
}

void rules_queue_flow(struct ruleset *ruleset, struct nftnl_rule *rule)
{
	nft_queue(&ruleset->nft, rule, ruleset->setup.flow_first, ruleset->setup.shards, true);
	nft_rule_end(&ruleset->nft, rule);
}

static void rule_for_set(struct ruleset *ruleset, const char *chain, bool v6, bool outgoing, const struct nft_set *set,
			 const char *target)
{
	struct nftnl_rule *rule = rules_family(ruleset, chain, v6);

	if (v6 && outgoing)
		LOAD(rule, endpoint_source_v6);
	else if (v6)
		LOAD(rule, destination_v6);
	else if (outgoing)
		LOAD(rule, endpoint_source_v4);
	else
		LOAD(rule, destination_v4);
	nft_lookup(rule, set, false);
	nft_verdict(rule, NFT_GOTO, target);
	nft_rule_end(&ruleset->nft, rule);
}

static void rules_for_sets(struct ruleset *ruleset, const char *chain, bool outgoing,
			   const struct ruleset_bindings *bindings, const char *target)
{
	rule_for_set(ruleset, chain, false, outgoing, &bindings->v4, target);
	rule_for_set(ruleset, chain, true, outgoing, &bindings->v6, target);
	if (bindings_want_nets(bindings, false))
		rule_for_set(ruleset, chain, false, outgoing, &bindings->nets_v4, target);
	if (bindings_want_nets(bindings, true))
		rule_for_set(ruleset, chain, true, outgoing, &bindings->nets_v6, target);
}

void rules_for_ports(struct ruleset *ruleset, const char *chain, const struct ruleset_bindings *bindings,
		     const char *target)
{
	struct nftnl_rule *rule = nft_rule(&ruleset->nft, chain);

	LOAD(rule, destination_port);
	nft_lookup(rule, &bindings->port, false);
	nft_verdict(rule, NFT_GOTO, target);
	nft_rule_end(&ruleset->nft, rule);
}

void rules_for_addresses(struct ruleset *ruleset, const char *chain, const struct ruleset_bindings *bindings,
			 const char *target)
{
	rules_for_sets(ruleset, chain, false, bindings, target);
}

void rules_for_bindings(struct ruleset *ruleset, const char *chain, const struct ruleset_bindings *bindings,
			const char *target)
{
	struct nft *nft = &ruleset->nft;

	if (!ruleset->setup.gateway) { /* which knows the addresses of all its services */
		struct nftnl_rule *rule = nft_rule(nft, chain);

		LOAD(rule, destination_port);
		nft_lookup(rule, &bindings->port, false);
		nft_match_local_destination(rule); /* what this host forwards is not for its listeners */
		nft_verdict(rule, NFT_GOTO, target);
		nft_rule_end(nft, rule);
	}
	rules_for_sets(ruleset, chain, false, bindings, target);
}

void rules_syn_fin(struct ruleset *ruleset, const char *chain, const struct ruleset_bindings *bindings)
{
	struct nft *nft = &ruleset->nft;
	struct nftnl_rule *rule = nft_rule(nft, chain);

	nft_match_protocol(rule, PROTOCOL_TCP);
	nft_match_tcp_flags(rule, TCP_SYN | TCP_FIN, TCP_SYN | TCP_FIN);
	rules_jump(ruleset, rule, "syn_fin");
	rules_for_bindings(ruleset, "syn_fin", bindings, "syn_fin_drop");
	rule = nft_rule(nft, "syn_fin_drop");
	nft_verdict(rule, NF_DROP, NULL);
	nft_rule_end(nft, rule);
}

void rules_from_bindings(struct ruleset *ruleset, const char *chain, const struct ruleset_bindings *bindings,
			 const char *target)
{
	rules_for_sets(ruleset, chain, true, bindings, target);
}

void rules_for_flows(struct ruleset *ruleset, const char *chain, bool outgoing, const struct nft_set *v4,
		     const struct nft_set *v6, const char *target)
{
	const struct nft_set *const sets[] = {v4, v6};

	for (unsigned family = 0; family < 2; family++) {
		struct nftnl_rule *rule = rules_family(ruleset, chain, family);

		rules_load_flow(rule, family, outgoing);
		nft_lookup(rule, sets[family], false);
		nft_verdict(rule, NFT_GOTO, target);
		nft_rule_end(&ruleset->nft, rule);
	}
}

void rules_flow_change(struct ruleset *ruleset, const char *chain, const struct nft_set *v4, const struct nft_set *v6,
		       uint32_t operation)
{
	const struct nft_set *const sets[] = {v4, v6};

	for (unsigned family = 0; family < 2; family++) {
		struct nftnl_rule *rule = rules_family(ruleset, chain, family);

		rules_load_flow(rule, family, false);
		nft_set_change(rule, sets[family], operation);
		nft_rule_end(&ruleset->nft, rule);
	}
}

/* As data is, but for the first parts of what does not fit into one segment. */
static void rules_if_pushed(struct ruleset *ruleset, const char *chain, const char *target)
{
	struct nftnl_rule *rule = nft_rule(&ruleset->nft, chain);

	nft_match_tcp_flags(rule, TCP_SYN | TCP_RST | TCP_PSH, TCP_PSH);
	rules_jump(ruleset, rule, target);
}

/* A first ACK that was queued goes on from the CPU that our verdict came from, and so does a handover's final ACK, while
 * what the client sends behind it comes on another. There the kernel may look for the connection just when it puts it in
 * the place of the half-open entry, finds neither (inet_ehash_insert(), net/ipv4/inet_hashtables.c), and the listener
 * answers with a RST. Such a RST, which has no ACK (tcp_v4_send_reset(), net/ipv4/tcp_ipv4.c: an application's has), does
 * not leave so early. If it was right, the client's retransmission gets another: that is why the client has to have
 * spoken. One that has sent no more than its first ACK would wait for ever, and the RST to that is always right. */
void rules_fresh(struct ruleset *ruleset)
{
	static const char *const noted[] = {"first_ack", "fresh"};
	struct nft *nft = &ruleset->nft;
	struct nftnl_rule *rule;

	for (size_t i = 0; i < sizeof(noted) / sizeof(noted[0]); i++)
		rules_flow_change(ruleset, noted[i], &ruleset->fresh_v4, &ruleset->fresh_v6, NFT_DYNSET_OP_UPDATE);
	rules_if_pushed(ruleset, "first_ack", "spoke"); /* data that overtook it, or comes with it */
	rules_queue_flow(ruleset, nft_rule(nft, "first_ack"));

	rules_if_pushed(ruleset, "incoming_tcp", "speaks");
	rules_for_flows(ruleset, "speaks", false, &ruleset->fresh_v4, &ruleset->fresh_v6, "spoke");
	rules_flow_change(ruleset, "spoke", &ruleset->spoke_v4, &ruleset->spoke_v6, NFT_DYNSET_OP_UPDATE);

	rules_for_flows(ruleset, "untimely", true, &ruleset->spoke_v4, &ruleset->spoke_v6, "hush");
	rule = nft_rule(nft, "hush");
	nft_counter(rule);
	nft_verdict(rule, NF_DROP, NULL);
	nft_rule_end(nft, rule);
}

void rules_untimely(struct ruleset *ruleset, const char *chain)
{
	struct nftnl_rule *rule = nft_rule(&ruleset->nft, chain);

	nft_match_protocol(rule, PROTOCOL_TCP);
	nft_match_tcp_flags(rule, TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK, TCP_RST);
	rules_jump(ruleset, rule, "untimely");
}
