/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>

#include "edge/nft.h"

#include <linux/if_arp.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>

#include <libnftnl/expr.h>
#include <linux/netfilter/xt_NFQUEUE.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>

#define REGISTER(word) (NFT_REG32_00 + (word))

static struct nftnl_expr *expression(struct nftnl_rule *rule, const char *name)
{
	struct nftnl_expr *new = nftnl_expr_alloc(name);

	if (!new)
		abort(); /* out of memory, or a libnftnl without an expression of 2018 */
	nftnl_rule_add_expr(rule, new);
	return new;
}

static void compare(struct nftnl_rule *rule, uint32_t operation, const void *data, uint32_t bytes)
{
	struct nftnl_expr *cmp = expression(rule, "cmp");

	nftnl_expr_set_u32(cmp, NFTNL_EXPR_CMP_SREG, REGISTER(0));
	nftnl_expr_set_u32(cmp, NFTNL_EXPR_CMP_OP, operation);
	nftnl_expr_set(cmp, NFTNL_EXPR_CMP_DATA, data, bytes);
}

/* register 0 = register 0 & mask ^ xor */
static void bitwise(struct nftnl_rule *rule, const void *mask, const void * xor, uint32_t bytes)
{
	struct nftnl_expr *bits = expression(rule, "bitwise");

	nftnl_expr_set_u32(bits, NFTNL_EXPR_BITWISE_SREG, REGISTER(0));
	nftnl_expr_set_u32(bits, NFTNL_EXPR_BITWISE_DREG, REGISTER(0));
	nftnl_expr_set_u32(bits, NFTNL_EXPR_BITWISE_LEN, bytes);
	nftnl_expr_set(bits, NFTNL_EXPR_BITWISE_MASK, mask, bytes);
	nftnl_expr_set(bits, NFTNL_EXPR_BITWISE_XOR, xor, bytes);
}

static void load_meta(struct nftnl_rule *rule, uint32_t key)
{
	struct nftnl_expr *meta = expression(rule, "meta");

	nftnl_expr_set_u32(meta, NFTNL_EXPR_META_KEY, key);
	nftnl_expr_set_u32(meta, NFTNL_EXPR_META_DREG, REGISTER(0));
}

static void load_ct(struct nftnl_rule *rule, uint32_t key)
{
	struct nftnl_expr *ct = expression(rule, "ct");

	nftnl_expr_set_u32(ct, NFTNL_EXPR_CT_KEY, key);
	nftnl_expr_set_u32(ct, NFTNL_EXPR_CT_DREG, REGISTER(0));
}

void nft_match_incoming_loopback(struct nftnl_rule *rule)
{
	uint32_t loopback = 1; /* LOOPBACK_IFINDEX: lo has it in every namespace */

	load_meta(rule, NFT_META_IIF);
	compare(rule, NFT_CMP_EQ, &loopback, sizeof(loopback));
}

void nft_match_family(struct nftnl_rule *rule, uint8_t nfproto)
{
	load_meta(rule, NFT_META_NFPROTO);
	compare(rule, NFT_CMP_EQ, &nfproto, sizeof(nfproto));
}

/* The register as big-endian number: greater and less compare bytes from the first on. */
static void htonl_register(struct nftnl_rule *rule)
{
	struct nftnl_expr *order = expression(rule, "byteorder");

	nftnl_expr_set_u32(order, NFTNL_EXPR_BYTEORDER_SREG, REGISTER(0));
	nftnl_expr_set_u32(order, NFTNL_EXPR_BYTEORDER_DREG, REGISTER(0));
	nftnl_expr_set_u32(order, NFTNL_EXPR_BYTEORDER_OP, NFT_BYTEORDER_HTON);
	nftnl_expr_set_u32(order, NFTNL_EXPR_BYTEORDER_LEN, 4);
	nftnl_expr_set_u32(order, NFTNL_EXPR_BYTEORDER_SIZE, 4);
}

/* What kind of address the source or destination is: RTN_*. */
static void load_address_type(struct nftnl_rule *rule, uint32_t which)
{
	struct nftnl_expr *fib = expression(rule, "fib");

	nftnl_expr_set_u32(fib, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
	nftnl_expr_set_u32(fib, NFTNL_EXPR_FIB_FLAGS, which);
	nftnl_expr_set_u32(fib, NFTNL_EXPR_FIB_DREG, REGISTER(0));
}

void nft_match_odd_source(struct nftnl_rule *rule)
{
	uint32_t first = RTN_LOCAL;
	uint32_t last = RTN_MULTICAST; /* broadcast and anycast are between them */

	load_address_type(rule, NFTA_FIB_F_SADDR);
	htonl_register(rule);
	first = htonl(first);
	last = htonl(last);
	compare(rule, NFT_CMP_GTE, &first, sizeof(first));
	compare(rule, NFT_CMP_LTE, &last, sizeof(last));
}

void nft_match_local_destination(struct nftnl_rule *rule)
{
	uint32_t local = RTN_LOCAL;

	load_address_type(rule, NFTA_FIB_F_DADDR);
	compare(rule, NFT_CMP_EQ, &local, sizeof(local));
}

void nft_match_protocol(struct nftnl_rule *rule, uint8_t protocol)
{
	load_meta(rule, NFT_META_L4PROTO);
	compare(rule, NFT_CMP_EQ, &protocol, sizeof(protocol));
}

void nft_match_tcp_flags(struct nftnl_rule *rule, uint8_t mask, uint8_t value)
{
	uint8_t none = 0;

	nft_load_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1, 0);
	bitwise(rule, &mask, &none, 1);
	compare(rule, NFT_CMP_EQ, &value, 1);
}

void nft_match_icmp(struct nftnl_rule *rule, uint8_t type, int code)
{
	uint8_t wanted[2] = {type, (uint8_t)code};
	uint32_t bytes = code < 0 ? 1 : 2;

	nft_load_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, 0, bytes, 0);
	compare(rule, NFT_CMP_EQ, wanted, bytes);
}

static void masked_compare(struct nftnl_rule *rule, uint32_t mask, uint32_t value, bool equal)
{
	uint32_t none = 0;

	bitwise(rule, &mask, &none, sizeof(mask));
	compare(rule, equal ? NFT_CMP_EQ : NFT_CMP_NEQ, &value, sizeof(value));
}

void nft_match_mark(struct nftnl_rule *rule, uint32_t mask, uint32_t value, bool equal)
{
	load_meta(rule, NFT_META_MARK);
	masked_compare(rule, mask, value, equal);
}

void nft_match_ct_mark(struct nftnl_rule *rule, uint32_t mask, uint32_t value, bool equal)
{
	load_ct(rule, NFT_CT_MARK);
	masked_compare(rule, mask, value, equal);
}

void nft_match_ct_state(struct nftnl_rule *rule, uint32_t states)
{
	load_ct(rule, NFT_CT_STATE);
	masked_compare(rule, states, 0, false);
}

void nft_match_ct_assured(struct nftnl_rule *rule)
{
	load_ct(rule, NFT_CT_STATUS);
	masked_compare(rule, IPS_ASSURED, 0, false);
}

void nft_match_ipv4_fragment(struct nftnl_rule *rule, uint16_t offset)
{
	uint16_t mask = htons(0x1fff);
	uint16_t value = htons(offset / 8);

	nft_match_family(rule, NFPROTO_IPV4);
	nft_load_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, 6, 2, 0);
	nft_mask(rule, &mask, sizeof(mask));
	compare(rule, NFT_CMP_EQ, &value, sizeof(value));
}

void nft_match_ct_direction(struct nftnl_rule *rule, uint8_t direction)
{
	load_ct(rule, NFT_CT_DIRECTION);
	compare(rule, NFT_CMP_EQ, &direction, sizeof(direction));
}

void nft_load_payload(struct nftnl_rule *rule, enum nft_payload_bases base, uint32_t offset, uint32_t bytes,
		      unsigned word)
{
	struct nftnl_expr *payload = expression(rule, "payload");

	nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_BASE, base);
	nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
	nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_LEN, bytes);
	nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_DREG, REGISTER(word));
}

void nft_mask(struct nftnl_rule *rule, const void *mask, uint32_t bytes)
{
	static const uint8_t none[64]; /* all registers */

	bitwise(rule, mask, none, bytes);
}

void nft_lookup(struct nftnl_rule *rule, const struct nft_set *set, bool inverted)
{
	struct nftnl_expr *lookup = expression(rule, "lookup");

	nftnl_expr_set_str(lookup, NFTNL_EXPR_LOOKUP_SET, set->name);
	nftnl_expr_set_u32(lookup, NFTNL_EXPR_LOOKUP_SET_ID, set->id);
	nftnl_expr_set_u32(lookup, NFTNL_EXPR_LOOKUP_SREG, REGISTER(0));
	if (inverted)
		nftnl_expr_set_u32(lookup, NFTNL_EXPR_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
}

void nft_set_change(struct nftnl_rule *rule, const struct nft_set *set, uint32_t operation)
{
	struct nftnl_expr *change = expression(rule, "dynset");

	nftnl_expr_set_str(change, NFTNL_EXPR_DYNSET_SET_NAME, set->name);
	nftnl_expr_set_u32(change, NFTNL_EXPR_DYNSET_SET_ID, set->id);
	nftnl_expr_set_u32(change, NFTNL_EXPR_DYNSET_OP, operation);
	nftnl_expr_set_u32(change, NFTNL_EXPR_DYNSET_SREG_KEY, REGISTER(0));
}

void nft_set_mark(struct nftnl_rule *rule, uint32_t clear, uint32_t set)
{
	uint32_t keep = ~(clear | set);
	struct nftnl_expr *meta;

	load_meta(rule, NFT_META_MARK);
	bitwise(rule, &keep, &set, sizeof(keep));
	meta = expression(rule, "meta");
	nftnl_expr_set_u32(meta, NFTNL_EXPR_META_KEY, NFT_META_MARK);
	nftnl_expr_set_u32(meta, NFTNL_EXPR_META_SREG, REGISTER(0));
}

void nft_set_ct_mark(struct nftnl_rule *rule, uint32_t clear, uint32_t set)
{
	uint32_t keep = ~(clear | set);
	struct nftnl_expr *ct;

	load_ct(rule, NFT_CT_MARK);
	bitwise(rule, &keep, &set, sizeof(keep));
	ct = expression(rule, "ct");
	nftnl_expr_set_u32(ct, NFTNL_EXPR_CT_KEY, NFT_CT_MARK);
	nftnl_expr_set_u32(ct, NFTNL_EXPR_CT_SREG, REGISTER(0));
}

void nft_limit_per_second(struct nftnl_rule *rule, uint64_t rate, uint32_t burst)
{
	struct nftnl_expr *limit = expression(rule, "limit");

	nftnl_expr_set_u64(limit, NFTNL_EXPR_LIMIT_RATE, rate);
	nftnl_expr_set_u64(limit, NFTNL_EXPR_LIMIT_UNIT, 1);
	nftnl_expr_set_u32(limit, NFTNL_EXPR_LIMIT_BURST, burst);
	nftnl_expr_set_u32(limit, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
}

void nft_match_not_ethernet(struct nftnl_rule *rule)
{
	uint16_t ethernet = ARPHRD_ETHER;

	load_meta(rule, NFT_META_IIFTYPE);
	compare(rule, NFT_CMP_NEQ, &ethernet, sizeof(ethernet));
}

void nft_match_ipsec(struct nftnl_rule *rule)
{
	uint8_t yes = 1;

	load_meta(rule, NFT_META_SECPATH);
	compare(rule, NFT_CMP_EQ, &yes, sizeof(yes));
}

void nft_match_cpu(struct nftnl_rule *rule, uint32_t mask, uint32_t value)
{
	load_meta(rule, NFT_META_CPU);
	masked_compare(rule, mask, value, true);
}

void nft_log_to(struct nftnl_rule *rule, uint16_t group)
{
	nftnl_expr_set_u16(expression(rule, "log"), NFTNL_EXPR_LOG_GROUP, group);
}

/* By the last bits of what is nearly always the timestamp (RFC 7323, appendix A), else some byte of data. A segment with
 * neither is never among them. */
void nft_match_tcp_sample(struct nftnl_rule *rule)
{
	uint8_t mask = 15, value = 0;

	nft_load_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, 27, 1, 0);
	bitwise(rule, &mask, &value, 1);
	compare(rule, NFT_CMP_EQ, &value, 1);
}

void nft_notrack(struct nftnl_rule *rule)
{
	expression(rule, "notrack");
}

void nft_counter(struct nftnl_rule *rule)
{
	expression(rule, "counter");
}

void nft_count(const struct nft *nft, struct nftnl_rule *rule, const char *name)
{
	struct nftnl_expr *reference;

	if (!nft->named_counters)
		return;
	reference = expression(rule, "objref");
	nftnl_expr_set_u32(reference, NFTNL_EXPR_OBJREF_IMM_TYPE, NFT_OBJECT_COUNTER);
	nftnl_expr_set_str(reference, NFTNL_EXPR_OBJREF_IMM_NAME, name);
}

void nft_load_ct_state(struct nftnl_rule *rule)
{
	load_ct(rule, NFT_CT_STATE);
}

void nft_verdict(struct nftnl_rule *rule, int verdict, const char *chain)
{
	struct nftnl_expr *immediate = expression(rule, "immediate");

	nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_VERDICT, (uint32_t)verdict);
	if (chain)
		nftnl_expr_set_str(immediate, NFTNL_EXPR_IMM_CHAIN, chain);
}

void nft_reset(const struct nft *nft, struct nftnl_rule *rule)
{
	struct nftnl_expr *reject;

	if (!nft->reject) {
		nft_verdict(rule, NF_DROP, NULL);
		return;
	}
	reject = expression(rule, "reject");
	nftnl_expr_set_u32(reject, NFTNL_EXPR_REJECT_TYPE, NFT_REJECT_TCP_RST);
	nftnl_expr_set_u8(reject, NFTNL_EXPR_REJECT_CODE, 0);
}

void nft_queue(struct nft *nft, struct nftnl_rule *rule, uint16_t first, uint16_t count, bool bypass)
{
	struct nftnl_expr *queue;
	struct xt_NFQ_info_v3 *info;

	if (nft->native_queue) {
		queue = expression(rule, "queue");
		nftnl_expr_set_u16(queue, NFTNL_EXPR_QUEUE_NUM, first);
		nftnl_expr_set_u16(queue, NFTNL_EXPR_QUEUE_TOTAL, count);
		nftnl_expr_set_u16(queue, NFTNL_EXPR_QUEUE_FLAGS, bypass ? NFT_QUEUE_FLAG_BYPASS : 0);
		return;
	}
	info = calloc(1, sizeof(*info)); /* libnftnl takes it over and frees it */
	if (!info)
		abort();
	info->queuenum = first;
	info->queues_total = count;
	info->flags = bypass ? NFQ_FLAG_BYPASS : 0;
	queue = expression(rule, "target");
	nftnl_expr_set_str(queue, NFTNL_EXPR_TG_NAME, "NFQUEUE");
	nftnl_expr_set_u32(queue, NFTNL_EXPR_TG_REV, 3);
	nftnl_expr_set(queue, NFTNL_EXPR_TG_INFO, info, sizeof(*info));
} // NOLINT(clang-analyzer-unix.Malloc): libnftnl owns it
