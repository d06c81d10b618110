/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/nft_others.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/answer.h"
#include "edge/nft_facts.h"

#define NAME_BYTES 64 /* more than NFT_NAME_MAXLEN is not kept: who has longer ones, finds them by their beginning */

static const char *family_name(uint32_t family)
{
	switch (family) {
	case NFPROTO_IPV4:
		return "ip";
	case NFPROTO_IPV6:
		return "ip6";
	case NFPROTO_INET:
		return "inet";
	case NFPROTO_BRIDGE:
		return "bridge";
	case NFPROTO_ARP:
		return "arp";
	default:
		return "netdev";
	}
}

/* ---- conntrack zones ---- */

struct zone {
	bool found;
	char *where;
	size_t where_bytes;
};

static int zone_seen(const struct nftnl_rule *rule, void *context)
{
	struct zone *zone = context;
	struct nft_facts facts = {0};

	if (zone->found)
		return 0;
	nft_facts_read(rule, &facts);
	zone->found = facts.zone;
	if (zone->found)
		snprintf(zone->where, zone->where_bytes, "table %s %s, chain %s",
			 family_name(nftnl_rule_get_u32(rule, NFTNL_RULE_FAMILY)),
			 answer_text(nftnl_rule_get_str(rule, NFTNL_RULE_TABLE)),
			 answer_text(nftnl_rule_get_str(rule, NFTNL_RULE_CHAIN)));
	return 0;
}

int nft_zone_find(struct nft *nft, char *where, size_t where_bytes)
{
	struct zone zone = {false, where, where_bytes};
	int failed = -EINTR;

	for (unsigned attempt = 0; failed == -EINTR && attempt < NFT_READ_ATTEMPTS; attempt++)
		failed = nft_rules_read(nft, zone_seen, &zone);
	return failed ? failed : zone.found;
}

/* ---- chains ---- */

struct chain {
	uint32_t family;
	char table[NAME_BYTES], name[NAME_BYTES];
	bool base;
	uint32_t hook;
	int32_t priority;
	bool drops_rest; /* by its policy, or by a rule without a condition */
	bool lets_out;   /* packets with our mark on their way out */
};

struct search {
	const struct nft_others_wanted *wanted;
	struct nft_other *found;
	struct chain *chains;
	size_t count, room;
	size_t last; /* found: a chain's rules come one after the other */
};

static int chain_seen(const struct nftnl_chain *chain, void *context)
{
	struct search *search = context;
	struct chain *new;

	if (search->count == search->room) {
		size_t room = search->room ? 2 * search->room : 64;
		struct chain *chains = reallocarray(search->chains, room, sizeof(*chains));

		if (!chains)
			return -ENOMEM;
		search->chains = chains;
		search->room = room;
	}
	new = &search->chains[search->count++];
	*new = (struct chain){
		.family = nftnl_chain_get_u32(chain, NFTNL_CHAIN_FAMILY),
		.base = nftnl_chain_is_set(chain, NFTNL_CHAIN_HOOKNUM),
	};
	snprintf(new->table, sizeof(new->table), "%s", answer_text(nftnl_chain_get_str(chain, NFTNL_CHAIN_TABLE)));
	snprintf(new->name, sizeof(new->name), "%s", answer_text(nftnl_chain_get_str(chain, NFTNL_CHAIN_NAME)));
	if (!new->base)
		return 0;
	new->hook = nftnl_chain_get_u32(chain, NFTNL_CHAIN_HOOKNUM);
	new->priority = nftnl_chain_get_s32(chain, NFTNL_CHAIN_PRIO);
	new->drops_rest = nftnl_chain_is_set(chain, NFTNL_CHAIN_POLICY) &&
			  nftnl_chain_get_u32(chain, NFTNL_CHAIN_POLICY) == NF_DROP;
	return 0;
}

static bool chain_is(const struct chain *chain, uint32_t family, const char *table, const char *name)
{
	return chain->family == family && strncmp(chain->name, name, NAME_BYTES - 1) == 0 &&
	       strncmp(chain->table, table, NAME_BYTES - 1) == 0;
}

static struct chain *chain_find(struct search *search, const struct nftnl_rule *rule)
{
	uint32_t family = nftnl_rule_get_u32(rule, NFTNL_RULE_FAMILY);
	const char *table = answer_text(nftnl_rule_get_str(rule, NFTNL_RULE_TABLE));
	const char *name = answer_text(nftnl_rule_get_str(rule, NFTNL_RULE_CHAIN));

	for (size_t i = 0; i < search->count; i++) {
		size_t at = (search->last + i) % search->count;

		if (chain_is(&search->chains[at], family, table, name)) {
			search->last = at;
			return &search->chains[at];
		}
	}
	return NULL;
}

static bool is_ours(const struct search *search, const struct chain *chain)
{
	for (const char *const *ours = search->wanted->ours; *ours; ours++)
		if (chain->family == NFPROTO_INET && strcmp(chain->table, *ours) == 0)
			return true;
	return false;
}

static bool of_inet(const struct chain *chain)
{
	return chain->family == NFPROTO_IPV4 || chain->family == NFPROTO_IPV6 || chain->family == NFPROTO_INET;
}

/* A chain without hook may be called from any. */
static bool before_us(const struct search *search, const struct chain *chain)
{
	if (!chain->base)
		return false;
	if (chain->family == NFPROTO_NETDEV)
		return chain->hook == NF_NETDEV_INGRESS;
	return of_inet(chain) && chain->hook == NF_INET_PRE_ROUTING && chain->priority < search->wanted->priority;
}

static void tell(struct search *search, enum nft_other_kind kind, const struct chain *chain)
{
	struct nft_other *other = &search->found[kind];

	if (!other->count++)
		snprintf(other->chain, sizeof(other->chain), "%s %s %s", family_name(chain->family), chain->table,
			 chain->name);
}

/* ---- rules ---- */

static bool port_protected(const struct search *search, const struct nft_facts *facts)
{
	for (uint32_t port = facts->port_first; port <= facts->port_last; port++)
		if (search->wanted->ports[port / 8] & 1U << port % 8)
			return true;
	return false;
}

/* Whether a SYN-ACK of ours may pass by it: it is not tracked, has our mark, and a protected port to come from. */
static bool lets_out(const struct search *search, const struct nft_facts *facts)
{
	const struct nft_others_wanted *wanted = search->wanted;

	if (!facts->accepts || facts->not_tcp)
		return false;
	if (facts->mark)
		return (wanted->mark_out & facts->mark_mask) == facts->mark_value;
	return !facts->conditional || (facts->state ? facts->untracked : facts->source_port);
}

static int rule_seen(const struct nftnl_rule *rule, void *context)
{
	struct search *search = context;
	const struct nft_others_wanted *wanted = search->wanted;
	struct chain *chain = chain_find(search, rule);
	struct nft_facts facts = {0};

	if (!chain || is_ours(search, chain))
		return 0;
	nft_facts_read(rule, &facts);
	chain->lets_out |= lets_out(search, &facts);
	chain->drops_rest |= facts.drops && !facts.conditional;
	if (facts.not_tcp)
		return 0;
	if (facts.queues && facts.queue_first <= wanted->queue_last && facts.queue_last >= wanted->queue_first)
		tell(search, NFT_OTHER_QUEUE, chain);
	if (!port_protected(search, &facts))
		return 0;
	if (facts.synproxy)
		tell(search, NFT_OTHER_SYNPROXY, chain);
	if (facts.notrack)
		tell(search, NFT_OTHER_NOTRACK, chain);
	if (of_inet(chain) && (facts.mark_bits | facts.ct_mark_bits) & wanted->mark_bits)
		tell(search, NFT_OTHER_MARK, chain);
	if ((facts.drops || facts.accepts) && facts.rate && before_us(search, chain))
		tell(search, NFT_OTHER_LIMIT, chain);
	return 0;
}

static int search_once(struct nft *nft, struct search *search)
{
	int failed = nft_chains_read(nft, chain_seen, search);

	return failed ? failed : nft_rules_read(nft, rule_seen, search);
}

int nft_others_find(struct nft *nft, const struct nft_others_wanted *wanted, struct nft_other found[NFT_OTHER_KINDS])
{
	struct search search = {.wanted = wanted, .found = found};
	int failed = -EINTR;

	for (unsigned attempt = 0; failed == -EINTR && attempt < NFT_READ_ATTEMPTS; attempt++) {
		memset(found, 0, NFT_OTHER_KINDS * sizeof(*found));
		search.count = search.last = 0;
		failed = search_once(nft, &search);
	}
	for (size_t i = 0; !failed && i < search.count; i++) {
		const struct chain *chain = &search.chains[i];

		if (chain->base && of_inet(chain) && chain->hook == NF_INET_LOCAL_OUT && chain->drops_rest &&
		    !chain->lets_out && !is_ours(&search, chain))
			tell(&search, NFT_OTHER_OUTPUT, chain);
	}
	free(search.chains);
	return failed;
}
