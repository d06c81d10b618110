/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/xdp.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "edge/xdp_parts.h"

#define NSEC_PER_SEC 1000000000ULL

/* ---- marks: set before an address is looked for, kept as long as there is one of that mark ---- */

static void mark(struct xdp *xdp, const struct addr *addr)
{
	uint64_t words[2];
	uint32_t at;

	xdp_words(words, addr);
	at = xdp_mark_of(xdp->config->mark_keys, words, 2);
	if (xdp->on_mark[at] < UINT16_MAX) /* so many: it is never taken away */
		xdp->on_mark[at]++;
	xdp->noted->words[at / 64] |= 1ULL << at % 64;
}

static void unmark(struct xdp *xdp, const struct addr *addr)
{
	uint64_t words[2];
	uint32_t at;

	xdp_words(words, addr);
	at = xdp_mark_of(xdp->config->mark_keys, words, 2);
	if (xdp->on_mark[at] < UINT16_MAX && --xdp->on_mark[at] == 0)
		xdp->noted->words[at / 64] &= ~(1ULL << at % 64);
}

/* ---- allow and deny lists ---- */

static struct xdp_prefix prefix_of(const struct cidr *cidr)
{
	struct xdp_prefix prefix = {.bits = XDP_FAMILY_BITS + cidr->bits, .family = cidr_is_v4(cidr) ? 4 : 6};

	memcpy(prefix.address, cidr->net.bytes, sizeof(prefix.address));
	return prefix;
}

static int list(struct xdp *xdp, const struct xdp_listing *listing)
{
	uint32_t as = listing->as;
	uint64_t words[2];
	struct xdp_prefix prefix;
	int error;

	if (listing->cidr.bits < 128) {
		prefix = prefix_of(&listing->cidr);
		error = bpf_map_update_elem(xdp->prefixes, &prefix, &as, BPF_ANY);
		xdp->config->prefixes += !error;
		return error;
	}
	xdp_words(words, &listing->cidr.net);
	error = bpf_map_update_elem(xdp->listed, words, &as, BPF_ANY);
	if (!error) {
		mark(xdp, &listing->cidr.net);
		xdp->config->listed++;
	}
	return error;
}

static void unlist(struct xdp *xdp, const struct xdp_listing *listing)
{
	struct xdp_prefix prefix;
	uint64_t words[2];

	if (listing->cidr.bits < 128) {
		prefix = prefix_of(&listing->cidr);
		bpf_map_delete_elem(xdp->prefixes, &prefix);
		xdp->config->prefixes--;
		return;
	}
	xdp_words(words, &listing->cidr.net);
	bpf_map_delete_elem(xdp->listed, words);
	unmark(xdp, &listing->cidr.net);
	xdp->config->listed--;
}

/* Denied networks within an allowed one are left out: of the rest the smallest that holds an address decides. */
static size_t listings_of(const struct cidr_list *allow, const struct cidr_list *deny, struct xdp_listing *out)
{
	size_t count = 0;

	for (size_t i = 0; i < allow->count; i++)
		out[count++] = (struct xdp_listing){allow->entries[i].cidr, XDP_ALLOWED};
	for (size_t i = 0; i < deny->count; i++) {
		const struct cidr *cidr = &deny->entries[i].cidr;
		bool allowed = false;

		for (size_t j = 0; j < allow->count && !allowed; j++)
			allowed = allow->entries[j].cidr.bits <= cidr->bits &&
				  cidr_contains(&allow->entries[j].cidr, &cidr->net);
		if (!allowed)
			out[count++] = (struct xdp_listing){*cidr, XDP_DENIED};
	}
	return count;
}

static int listing_compare(const void *one, const void *other)
{
	const struct xdp_listing *left = one, *right = other;
	int order = memcmp(&left->cidr, &right->cidr, sizeof(left->cidr));

	return order ? order : (int)left->as - (int)right->as;
}

static bool listing_is_in(const struct xdp_listing *listing, const struct xdp_listing *listings, size_t count)
{
	return bsearch(listing, listings, count, sizeof(*listings), listing_compare) != NULL;
}

/* Takes away those (denied or allowed) of the old that the new have not. */
static void listings_leave(struct xdp *xdp, enum xdp_listed as, const struct xdp_listing *next, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < xdp->listings_count; i++) {
		const struct xdp_listing *old = &xdp->listings[i];

		if (old->as == as && !listing_is_in(old, next, count))
			unlist(xdp, old);
		else
			xdp->listings[kept++] = *old;
	}
	xdp->listings_count = kept;
}

/* Adds those of the new that the old have not. `old` are the first so many, which are sorted. */
static int listings_join(struct xdp *xdp, enum xdp_listed as, const struct xdp_listing *next, size_t count)
{
	size_t old = xdp->listings_count;

	for (size_t i = 0; i < count; i++) {
		int error;

		if (next[i].as != as || listing_is_in(&next[i], xdp->listings, old))
			continue;
		if (xdp->listings_count == XDP_LISTINGS_MAX)
			return -E2BIG;
		error = list(xdp, &next[i]);
		if (error)
			return error;
		xdp->listings[xdp->listings_count++] = next[i];
	}
	return 0;
}

/* In such an order that nobody is refused in between who neither was nor will be. */
int xdp_set_lists(struct xdp *xdp, const struct cidr_list *allow, const struct cidr_list *deny)
{
	struct xdp_listing *next = calloc(2 * (size_t)CIDR_LIST_MAX, sizeof(*next));
	size_t count;
	int error;

	if (!next)
		return -ENOMEM;
	count = listings_of(allow, deny, next);
	qsort(next, count, sizeof(*next), listing_compare);
	listings_leave(xdp, XDP_DENIED, next, count);
	error = listings_join(xdp, XDP_ALLOWED, next, count);
	if (!error) {
		listings_leave(xdp, XDP_ALLOWED, next, count);
		qsort(xdp->listings, xdp->listings_count, sizeof(*next), listing_compare);
		error = listings_join(xdp, XDP_DENIED, next, count);
	}
	qsort(xdp->listings, xdp->listings_count, sizeof(*next), listing_compare);
	free(next);
	return error;
}

/* ---- bans ---- */

static void forget_ban(struct xdp *xdp, const struct addr *net)
{
	uint64_t words[2];

	xdp_words(words, net);
	if (bpf_map_delete_elem(xdp->bans, words) == 0) {
		xdp->config->banned--;
		unmark(xdp, net);
	}
}

/* Makes room: those that are over go. It looks at all of them, which takes a tenth of a second for 100,000: only if one is
 * over. */
static void sweep(struct xdp *xdp)
{
	struct timespec time;
	struct addr net, next;
	uint64_t now_ns, until_ns = UINT64_MAX;
	int more;

	clock_gettime(CLOCK_MONOTONIC, &time);
	now_ns = (uint64_t)time.tv_sec * NSEC_PER_SEC + (uint64_t)time.tv_nsec;
	if (now_ns < xdp->sweep_at_ns)
		return;
	xdp->sweep_at_ns = UINT64_MAX;
	more = bpf_map_get_next_key(xdp->bans, NULL, &net);
	while (more == 0) {
		more = bpf_map_get_next_key(xdp->bans, &net, &next);
		if (bpf_map_lookup_elem(xdp->bans, &net, &until_ns) == 0 && until_ns <= now_ns)
			forget_ban(xdp, &net);
		else if (until_ns < xdp->sweep_at_ns)
			xdp->sweep_at_ns = until_ns;
		net = next;
	}
}

static int ban(struct xdp *xdp, const struct addr *net, uint64_t until_ns)
{
	uint64_t words[2];
	int error;

	xdp_words(words, net);
	error = bpf_map_update_elem(xdp->bans, words, &until_ns, BPF_NOEXIST);
	if (until_ns < xdp->sweep_at_ns)
		xdp->sweep_at_ns = until_ns;
	if (error == -EEXIST)
		return bpf_map_update_elem(xdp->bans, words, &until_ns, BPF_EXIST);
	if (!error) {
		mark(xdp, net);
		xdp->config->banned++;
	}
	return error;
}

int xdp_ban(struct xdp *xdp, const struct addr *nets, size_t count, uint64_t until_ns)
{
	for (size_t i = 0; i < count; i++) {
		struct addr net = xdp_ban_net(&xdp->setup, &nets[i]);
		int error = ban(xdp, &net, until_ns);

		if (error == -E2BIG) {
			sweep(xdp);
			error = ban(xdp, &net, until_ns);
		}
		if (error)
			return error;
	}
	return 0;
}

void xdp_unban(struct xdp *xdp, const struct addr *net)
{
	struct addr masked = xdp_ban_net(&xdp->setup, net);

	forget_ban(xdp, &masked);
}
