/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/ruleset_parts.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <stdlib.h>
#include <string.h>

#include "edge/marks.h"

#define BANS_PER_TRANSACTION NFT_ELEMENTS_MAX
#define V4_BYTES 4
#define V6_BYTES 16

static const char *const counters[RULESET_REFUSAL_COUNT] = {
	[RULESET_ALLOWED] = "allowed",         [RULESET_DENIED] = "denied",         [RULESET_BANNED] = "banned",
	[RULESET_STRAY_RESET] = "stray_reset", [RULESET_ODD_SOURCE] = "odd_source", [RULESET_TO_WATCHED] = "to_watched",
	[RULESET_TO_ARMED] = "to_armed",       [RULESET_TO_SPILL] = "to_spill",
};

/* All lists and bindings at their fullest, and room for twice the rules there are, stay within a transaction. */
#define RULES_BYTES_MAX (96UL << 10)
_Static_assert(3 * CIDR_LIST_MAX * 2 * NFT_ELEMENT_BYTES_MAX(V6_BYTES) +
			       3 * SERVICES_MAX * NFT_CONCAT_RANGE_BYTES_MAX(V6_BYTES + 4) + RULES_BYTES_MAX <=
		       NFT_TRANSACTION_BYTES_MAX,
	       "three lists whose every entry is a range of its own, the bindings three times, and the rules");
_Static_assert(sizeof(struct cidr_entry) == 19, "lists are compared as bytes: no padding");

void lists_init(struct ruleset *ruleset)
{
	ruleset->allow.sets[false] = (struct nft_set){"allow_v4", 0, V4_BYTES, NFT_TYPE_IPV4};
	ruleset->allow.sets[true] = (struct nft_set){"allow_v6", 0, V6_BYTES, NFT_TYPE_IPV6};
	ruleset->allow.held.count = 0;
	ruleset->deny.sets[false] = (struct nft_set){"deny_v4", 0, V4_BYTES, NFT_TYPE_IPV4};
	ruleset->deny.sets[true] = (struct nft_set){"deny_v6", 0, V6_BYTES, NFT_TYPE_IPV6};
	ruleset->deny.held.count = 0;
	ruleset->bans[false] = (struct nft_set){"ban_v4", 0, V4_BYTES, NFT_TYPE_IPV4};
	ruleset->bans[true] = (struct nft_set){"ban_v6", 0, V6_BYTES, NFT_TYPE_IPV6};
}

void lists_build(struct ruleset *ruleset)
{
	struct nft *nft = &ruleset->nft;

	for (unsigned v6 = 0; v6 < 2; v6++) {
		nft_set_add(nft, &ruleset->allow.sets[v6], NFT_SET_INTERVAL, 0, 0);
		nft_set_add(nft, &ruleset->deny.sets[v6], NFT_SET_INTERVAL, 0, 0);
		nft_set_add(nft, &ruleset->bans[v6], NFT_SET_TIMEOUT, ruleset->setup.bans_max, 0);
	}
	for (size_t i = 0; i < RULESET_REFUSAL_COUNT; i++)
		nft_counter_add(nft, counters[i]);
}

/* ---- the lists' elements ---- */

static void put_ranges(struct nft *nft, const struct nft_set *set, const struct cidr_list *list, bool v6)
{
	static struct cidr_range ranges[CIDR_LIST_MAX];
	static uint8_t ends[NFT_RANGES_MAX * 2 * V6_BYTES];
	size_t count = cidr_list_ranges(list, v6, ranges, CIDR_LIST_MAX);
	size_t used = 0;

	for (size_t i = 0; i < count; i++) {
		uint8_t *end = ends + used++ * 2 * set->key_bytes;

		memcpy(end, ranges[i].first.bytes + V6_BYTES - set->key_bytes, set->key_bytes);
		memcpy(end + set->key_bytes, ranges[i].last.bytes + V6_BYTES - set->key_bytes, set->key_bytes);
		if (used == NFT_RANGES_MAX || i + 1 == count) {
			nft_ranges_add(nft, set, ends, used);
			used = 0;
		}
	}
}

static bool same(const struct cidr_list *one, const struct cidr_list *other)
{
	return one->count == other->count &&
	       memcmp(one->entries, other->entries, one->count * sizeof(one->entries[0])) == 0;
}

static const struct cidr_list *or_empty(const struct cidr_list *list)
{
	static const struct cidr_list empty;

	return list ? list : &empty;
}

void list_put(struct nft *nft, const struct ruleset_list *list, const struct cidr_list *wanted)
{
	if (same(&list->held, or_empty(wanted)))
		return; /* arming is not to wait for thousands of elements that stay as they are */
	for (unsigned v6 = 0; v6 < 2; v6++) {
		nft_set_flush(nft, &list->sets[v6]);
		put_ranges(nft, &list->sets[v6], or_empty(wanted), v6);
	}
}

void lists_put(struct ruleset *ruleset, const struct ruleset_wanted *wanted)
{
	list_put(&ruleset->nft, &ruleset->allow, wanted->allow);
	list_put(&ruleset->nft, &ruleset->deny, wanted->deny);
}

void list_is_put(struct ruleset_list *list, const struct cidr_list *given)
{
	const struct cidr_list *wanted = or_empty(given);

	list->held.count = wanted->count;
	memcpy(list->held.entries, wanted->entries, wanted->count * sizeof(wanted->entries[0]));
}

void lists_are_put(struct ruleset *ruleset, const struct ruleset_wanted *wanted)
{
	list_is_put(&ruleset->allow, wanted->allow);
	list_is_put(&ruleset->deny, wanted->deny);
}

/* ---- the rules ---- */

bool lists_hold(const struct cidr_list *list, bool v6)
{
	for (size_t i = 0; list && i < list->count; i++)
		if (cidr_is_v4(&list->entries[i].cidr) != v6)
			return true;
	return false;
}

void rules_count(struct ruleset *ruleset, struct nftnl_rule *rule, enum ruleset_refusal refusal)
{
	nft_count(&ruleset->nft, rule, counters[refusal]);
}

/* Sources in `set`, by the first `bits` of the address, are counted and get the verdict. */
static void rule_screen(struct ruleset *ruleset, const struct nft_set *set, unsigned bits, enum ruleset_refusal refusal,
			int verdict, bool closed)
{
	bool v6 = set->key_bytes == V6_BYTES;
	struct nftnl_rule *rule = rules_family(ruleset, "screen", v6);
	struct addr mask;

	rules_load_source(rule, v6);
	if (bits < 8 * set->key_bytes) {
		memset(&mask, 0xff, sizeof(mask));
		mask = addr_masked(&mask, bits);
		nft_mask(rule, mask.bytes, set->key_bytes);
	}
	nft_lookup(rule, set, false);
	rules_count(ruleset, rule, refusal);
	if (verdict == NF_ACCEPT && closed)
		nft_set_mark(rule, MARK_BITS, MARK_SEEN);
	nft_verdict(rule, verdict, NULL);
	nft_rule_end(&ruleset->nft, rule);
}

static bool rules_screen_list(struct ruleset *ruleset, const struct ruleset_list *list, const struct cidr_list *wanted,
			      enum ruleset_refusal refusal, int verdict, bool closed)
{
	for (unsigned v6 = 0; v6 < 2; v6++)
		if (lists_hold(wanted, v6))
			rule_screen(ruleset, &list->sets[v6], 8 * list->sets[v6].key_bytes, refusal, verdict, closed);
	return wanted && wanted->count;
}

const char *rules_screen(struct ruleset *ruleset, const struct ruleset_wanted *wanted)
{
	int refused = wanted->observe ? NF_ACCEPT : NF_DROP;
	bool closed = closed_wanted(ruleset, wanted) != RULESET_CLOSED_NONE;
	bool any = wanted->bans;

	any |= rules_screen_list(ruleset, &ruleset->allow, wanted->allow, RULESET_ALLOWED, NF_ACCEPT, closed);
	any |= rules_screen_list(ruleset, &ruleset->deny, wanted->deny, RULESET_DENIED, refused, closed);
	if (wanted->bans) {
		rule_screen(ruleset, &ruleset->bans[false], ruleset->setup.ban_v4_bits, RULESET_BANNED, refused,
			    closed);
		rule_screen(ruleset, &ruleset->bans[true], ruleset->setup.ban_v6_bits, RULESET_BANNED, refused, closed);
	}
	return any ? "screen" : NULL;
}

/* ---- bans ---- */

static struct addr ban_net(const struct ruleset *ruleset, const struct addr *addr)
{
	return addr_masked(addr,
			   addr_is_v4(addr) ? CIDR_V4_BITS + ruleset->setup.ban_v4_bits : ruleset->setup.ban_v6_bits);
}

static int compare_addrs(const void *one, const void *other)
{
	return memcmp(one, other, sizeof(struct addr));
}

/* The networks of the addresses in ascending order, each once. Returns how many. */
static size_t ban_nets(const struct ruleset *ruleset, const struct addr *addrs, size_t count, struct addr *nets)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		nets[i] = ban_net(ruleset, &addrs[i]);
	qsort(nets, count, sizeof(nets[0]), compare_addrs);
	for (size_t i = 0; i < count; i++)
		if (!kept || !addr_equal(&nets[kept - 1], &nets[i]))
			nets[kept++] = nets[i];
	return kept;
}

/* Kernels before 6.12 leave the timeout of an element as it is: it is made anew. What may be there or not has to be
 * added before it can be deleted without an error. */
static int ban_anew(struct ruleset *ruleset, const struct addr *nets, size_t count, uint32_t ban_s)
{
	static uint8_t keys[BANS_PER_TRANSACTION * V6_BYTES];
	struct nft *nft = &ruleset->nft;

	nft_begin(nft);
	for (unsigned v6 = 0; v6 < 2; v6++) {
		const struct nft_set *set = &ruleset->bans[v6];
		size_t used = 0;

		for (size_t i = 0; i < count; i++)
			if (addr_is_v4(&nets[i]) != v6)
				memcpy(keys + used++ * set->key_bytes, addr_wire(&nets[i]), set->key_bytes);
		if (!used)
			continue;
		nft_elements_add(nft, set, keys, used, ban_s);
		nft_elements_delete(nft, set, keys, used);
		nft_elements_add(nft, set, keys, used, ban_s);
	}
	return nft_commit(nft);
}

int ruleset_ban(struct ruleset *ruleset, const struct addr *nets, size_t count, uint32_t ban_s)
{
	static struct addr part[BANS_PER_TRANSACTION];

	for (size_t done = 0; done < count; done += BANS_PER_TRANSACTION) {
		size_t left = count - done;
		size_t wanted =
			ban_nets(ruleset, nets + done, left < BANS_PER_TRANSACTION ? left : BANS_PER_TRANSACTION, part);
		int error = ban_anew(ruleset, part, wanted, ban_s);

		if (error == -ENOENT) /* one timed out between its first addition and its deletion */
			error = ban_anew(ruleset, part, wanted, ban_s);
		if (error)
			return error;
	}
	return 0;
}

int ruleset_unban(struct ruleset *ruleset, const struct addr *net)
{
	struct addr banned = ban_net(ruleset, net);

	nft_begin(&ruleset->nft);
	nft_elements_delete(&ruleset->nft, &ruleset->bans[!addr_is_v4(&banned)], addr_wire(&banned), 1);
	return nft_commit(&ruleset->nft);
}

int ruleset_bans(struct ruleset *ruleset, struct ruleset_ban **out)
{
	struct nft_element *elements[2] = {NULL, NULL};
	int counts[2] = {0, 0};
	struct ruleset_ban *ban;

	for (unsigned v6 = 0; v6 < 2; v6++) {
		counts[v6] = nft_elements_read(&ruleset->nft, &ruleset->bans[v6], &elements[v6]);
		if (counts[v6] < 0) {
			free(elements[0]);
			return counts[v6];
		}
	}
	*out = calloc((size_t)(counts[0] + counts[1]) + 1, sizeof(**out));
	ban = *out;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		for (int i = 0; ban && i < counts[v6]; i++, ban++) {
			const struct nft_element *element = &elements[v6][i];

			ban->net = v6 ? addr_from_v6(element->key) : addr_from_v4(element->key);
			ban->left_s = (uint32_t)((element->left_ms + 999) / 1000);
		}
		free(elements[v6]);
	}
	return *out ? counts[0] + counts[1] : -ENOMEM;
}

int ruleset_refusals(struct ruleset *ruleset, uint64_t counts[RULESET_REFUSAL_COUNT])
{
	return nft_counters_read(&ruleset->nft, counters, counts, RULESET_REFUSAL_COUNT);
}
