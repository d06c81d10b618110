/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/ruleset_parts.h"

#include <linux/netfilter.h>

#include "edge/marks.h"

/* SYNs to armed services that are looked at one by one, and may pass, per second and shard. Each costs three times what
 * a spilled one does. */
#define QUEUED_PER_S 16384
#define QUEUED_BURST 4096 /* fewer than fit into the queue */

void spill_init(struct ruleset *ruleset)
{
	struct nft *nft = &ruleset->nft;
	struct nftnl_rule *rule;

	rule = probe_begin(nft);
	nft_match_not_ethernet(rule);
	nft_match_cpu(rule, 0, 0);
	nft_limit_per_second(rule, QUEUED_PER_S, QUEUED_BURST);
	nft_log_to(rule, ruleset->setup.spill_first);
	ruleset->setup.spill &= probe_end(nft, rule) == 0;
	rule = probe_begin(nft);
	nft_match_ipsec(rule);
	ruleset->ipsec = probe_end(nft, rule) == 0; /* else there are no tunnels */
}

void rule_queue_syn(struct ruleset *ruleset, struct nftnl_rule *rule, bool seen, uint16_t first, bool pass_unheard)
{
	if (seen) /* it keeps this mark if it passes because the queue is full, or unheard */
		nft_set_mark(rule, MARK_BITS, MARK_SEEN);
	rules_count(ruleset, rule, first == ruleset->setup.armed_first ? RULESET_TO_ARMED : RULESET_TO_WATCHED);
	nft_queue(&ruleset->nft, rule, first, ruleset->setup.shards, pass_unheard);
	nft_rule_end(&ruleset->nft, rule);
}

/* The shard by the CPU, so that each has its own's; what no other takes is the last one's. */
static void rules_spill(struct ruleset *ruleset)
{
	struct nft *nft = &ruleset->nft;
	uint32_t mask = 0;

	while (mask + 1 < ruleset->setup.shards)
		mask = mask << 1 | 1;
	for (uint16_t shard = 0; shard < ruleset->setup.shards; shard++) {
		struct nftnl_rule *rule = nft_rule(nft, "spill");

		if (shard + 1 < ruleset->setup.shards)
			nft_match_cpu(rule, mask, shard);
		rules_count(ruleset, rule, RULESET_TO_SPILL);
		nft_log_to(rule, (uint16_t)(ruleset->setup.spill_first + shard));
		nft_verdict(rule, NF_DROP, NULL);
		nft_rule_end(nft, rule);
	}
}

/* A spilled SYN's answer goes back over the link that it came by, without routing, policies of IPsec, or rules: it has to
 * be a link that this is right of. */
void rules_queue_armed(struct ruleset *ruleset, const struct ruleset_wanted *wanted, bool seen)
{
	static const char chain[] = "queue_syn_armed";
	uint16_t first = ruleset->setup.armed_first;
	bool pass_unheard = wanted->armed_pass_unheard;
	struct nft *nft = &ruleset->nft;
	struct nftnl_rule *rule;

	if (!ruleset->setup.spill || !wanted->spill || wanted->observe) {
		rule_queue_syn(ruleset, nft_rule(nft, chain), seen, first, pass_unheard);
		return;
	}
	rule = nft_rule(nft, chain);
	nft_match_not_ethernet(rule);
	rule_queue_syn(ruleset, rule, seen, first, pass_unheard);
	if (ruleset->ipsec) {
		rule = nft_rule(nft, chain);
		nft_match_ipsec(rule);
		rule_queue_syn(ruleset, rule, seen, first, pass_unheard);
	}
	rule = nft_rule(nft, chain);
	nft_limit_per_second(rule, (uint64_t)QUEUED_PER_S * ruleset->setup.shards, QUEUED_BURST);
	rule_queue_syn(ruleset, rule, seen, first, pass_unheard);
	rule = nft_rule(nft, chain);
	nft_verdict(rule, NFT_GOTO, "spill");
	nft_rule_end(nft, rule);
	rules_spill(ruleset);
}
