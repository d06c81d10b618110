/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/ruleset_parts.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>

#include "edge/marks.h"
#include "synmoat/packet.h"

#define STRAYS_PASS_PER_S 100
#define STRAYS_RESET_PER_S 1000
#define ERRORS_PER_S 5000 /* of each kind; those beyond that are dropped: untranslated they are worth nothing */

static void rule_reset(struct ruleset *ruleset, const char *chain)
{
	struct nftnl_rule *rule = nft_rule(&ruleset->nft, chain);

	nft_limit_per_second(rule, STRAYS_RESET_PER_S, STRAYS_RESET_PER_S);
	rules_count(ruleset, rule, RULESET_STRAY_RESET);
	nft_reset(&ruleset->nft, rule);
	nft_rule_end(&ruleset->nft, rule);
}

void rules_unproven(struct ruleset *ruleset, enum ruleset_strays strays)
{
	struct nft *nft = &ruleset->nft;
	struct nftnl_rule *rule;

	if (strays == RULESET_STRAYS_PASS) {
		rule = nft_rule(nft, "unproven");
		nft_match_mark(rule, MARK_BITS, MARK_STRAY, true);
		nft_limit_per_second(rule, STRAYS_PASS_PER_S, STRAYS_PASS_PER_S);
		nft_set_mark(rule, MARK_BITS, 0);
		nft_verdict(rule, NFT_RETURN, NULL);
		nft_rule_end(nft, rule);
	}
	if (strays == RULESET_STRAYS_RESET && nft->reject) {
		rule = nft_rule(nft, "unproven");
		nft_match_mark(rule, MARK_BITS, MARK_STRAY, true);
		nft_verdict(rule, NFT_GOTO, "stray");
		nft_rule_end(nft, rule);
		rule_reset(ruleset, "stray");
		rule = nft_rule(nft, "stray");
		nft_verdict(rule, NF_DROP, NULL);
		nft_rule_end(nft, rule);
	}
	rule = nft_rule(nft, "unproven");
	nft_counter(rule);
	nft_verdict(rule, NF_DROP, NULL);
	nft_rule_end(nft, rule);
}

/* So that a server whose client was told so ends, too. One whose address is translated is not found: before conntrack
 * knows the connection nothing tells what the client calls it. Conntrack calls packets outside of a window INVALID, too:
 * those of a connection that its client has used lately are left alone. */
void rules_strays_forward(struct ruleset *ruleset, const struct ruleset_wanted *wanted)
{
	struct nft *nft = &ruleset->nft;
	uint32_t strange = NF_CT_STATE_BIT(IP_CT_NEW);
	struct nftnl_rule *rule;
	bool known;

	if (!ruleset->setup.gateway || wanted->strays != RULESET_STRAYS_RESET || !nft->reject)
		return;
	known = rules_honoured(ruleset, wanted); /* else nobody enters flows */
	if (known)
		strange |= NF_CT_STATE_INVALID_BIT;
	rule = nft_rule(nft, "strays_forward");
	nft_match_ct_state(rule, strange);
	nft_match_protocol(rule, PROTOCOL_TCP);
	nft_match_tcp_flags(rule, TCP_SYN | TCP_RST | TCP_ACK, TCP_ACK);
	rules_jump(ruleset, rule, "server_strays");
	rules_from_bindings(ruleset, "server_strays", &ruleset->services, "server_stray");
	if (known)
		rules_for_flows(ruleset, "server_stray", true, &ruleset->flows_v4, &ruleset->flows_v6, "known_stray");
	rule_reset(ruleset, "server_stray");
}

/* Conntrack would next translate them as if they were TCP themselves (nf_confirm() in
 * net/netfilter/nf_conntrack_proto.c). On this host behind the administrator's filter, which may want to see them RELATED;
 * of those for others behind all NAT, where what they quote is as its sender knows it. */
void rules_errors(struct ruleset *ruleset, const char *chain)
{
	static const uint8_t protocols[] = {PROTOCOL_ICMP, PROTOCOL_ICMPV6};

	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
		struct nftnl_rule *rule = nft_rule(&ruleset->nft, chain);

		nft_match_protocol(rule, protocols[i]);
		nft_match_ct_mark(rule, MARK_BITS, MARK_HANDED_OVER, true);
		nft_verdict(rule, NFT_GOTO, "errors");
		nft_rule_end(&ruleset->nft, rule);
	}
}

struct error_kind {
	uint8_t nfproto, protocol, type;
	int code; /* -1 = any */
};

static struct nftnl_rule *rule_error(struct ruleset *ruleset, const struct error_kind *kind)
{
	struct nftnl_rule *rule = nft_rule(&ruleset->nft, "errors");

	nft_match_family(rule, kind->nfproto);
	nft_match_protocol(rule, kind->protocol);
	nft_match_icmp(rule, kind->type, kind->code);
	return rule;
}

void rules_errors_in(struct ruleset *ruleset)
{
	static const struct error_kind errors[] = {
		{NFPROTO_IPV4, PROTOCOL_ICMP, 3, 4},    {NFPROTO_IPV4, PROTOCOL_ICMP, 3, -1},
		{NFPROTO_IPV4, PROTOCOL_ICMP, 11, -1},  {NFPROTO_IPV4, PROTOCOL_ICMP, 12, -1},
		{NFPROTO_IPV6, PROTOCOL_ICMPV6, 2, -1}, {NFPROTO_IPV6, PROTOCOL_ICMPV6, 1, -1},
		{NFPROTO_IPV6, PROTOCOL_ICMPV6, 3, -1}, {NFPROTO_IPV6, PROTOCOL_ICMPV6, 4, -1},
	};
	struct nft *nft = &ruleset->nft;
	struct nftnl_rule *rule = nft_rule(nft, "errors_in");

	nft_match_protocol(rule, PROTOCOL_TCP);
	nft_verdict(rule, NF_ACCEPT, NULL);
	nft_rule_end(nft, rule);

	rule = nft_rule(nft, "errors_in");
	nft_match_incoming_loopback(rule); /* the translated copy */
	nft_verdict(rule, NFT_RETURN, NULL);
	nft_rule_end(nft, rule);
	rules_errors(ruleset, "errors_in");
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		rule = rule_error(ruleset, &errors[i]);
		nft_limit_per_second(rule, ERRORS_PER_S, ERRORS_PER_S);
		rules_queue_flow(ruleset, rule);

		rule = rule_error(ruleset, &errors[i]);
		nft_verdict(rule, NF_DROP, NULL);
		nft_rule_end(nft, rule);
	}
}
