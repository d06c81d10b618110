/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/ruleset_parts.h"

#include "edge/marks.h"
#include "synmoat/packet.h"

void rules_light_first_ack(struct ruleset *ruleset)
{
	struct nft *nft = &ruleset->nft;
	struct nftnl_rule *rule;

	rules_for_flows(ruleset, "incoming_tcp", false, &ruleset->watched_v4, &ruleset->watched_v6, "watched");
	rule = nft_rule(nft, "watched");
	nft_match_tcp_flags(rule, TCP_SYN, TCP_SYN); /* and ACK, or FIN: no answer to the server's */
	nft_verdict(rule, NFT_RETURN, NULL);
	nft_rule_end(nft, rule);
	rules_flow_change(ruleset, "watched", &ruleset->watched_v4, &ruleset->watched_v6, NFT_DYNSET_OP_DELETE);
	rule = nft_rule(nft, "watched");
	nft_set_mark(rule, MARK_BITS, MARK_FIRST_ACK);
	nft_verdict(rule, NFT_GOTO, "first_ack");
	nft_rule_end(nft, rule);
}

/* What the daemon's verdict said about a SYN: which answer to learn from. */
static void rules_light_tracked_incoming(struct ruleset *ruleset)
{
	struct nft *nft = &ruleset->nft;
	struct nftnl_rule *rule = nft_rule(nft, "tracked_incoming");

	nft_match_mark(rule, MARK_BITS, 0, false);
	rules_jump(ruleset, rule, "marked");

	rule = nft_rule(nft, "marked");
	nft_match_mark(rule, MARK_BITS, MARK_LEARN, true);
	rules_jump(ruleset, rule, "know"); /* the others, MARK_SEEN among them, have done their duty */
	rules_flow_change(ruleset, "know", &ruleset->learn_v4, &ruleset->learn_v6, NFT_DYNSET_OP_UPDATE);
	rule = nft_rule(nft, "marked");
	nft_set_mark(rule, MARK_BITS, 0);
	nft_rule_end(nft, rule);
}

/* The server's SYN-ACK to learn from, and its RST to a handshake under watch. */
static void rules_light_answers(struct ruleset *ruleset)
{
	struct nft *nft = &ruleset->nft;
	struct nftnl_rule *rule;

	rules_untimely(ruleset, "answers_out");
	rule = nft_rule(nft, "answers_out");
	nft_match_protocol(rule, PROTOCOL_TCP);
	nft_match_tcp_flags(rule, TCP_SYN | TCP_ACK, TCP_SYN | TCP_ACK);
	rules_jump(ruleset, rule, "answers");
	rules_for_flows(ruleset, "answers", true, &ruleset->learn_v4, &ruleset->learn_v6, "queue_answer");

	rule = nft_rule(nft, "answers_out");
	nft_match_protocol(rule, PROTOCOL_TCP);
	nft_match_tcp_flags(rule, TCP_RST | TCP_ACK, TCP_RST | TCP_ACK);
	rules_jump(ruleset, rule, "resets");
	rules_for_flows(ruleset, "resets", true, &ruleset->watched_v4, &ruleset->watched_v6, "queue_answer");

	rule = nft_rule(nft, "queue_answer");
	rules_queue_flow(ruleset, rule);
}

void rules_light_tracked(struct ruleset *ruleset)
{
	rules_light_tracked_incoming(ruleset);
	rules_light_answers(ruleset);
}
