/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>

#include "edge/nft.h"

#include <errno.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/xt_NFQUEUE.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* One message must fit into what the batch reserves behind its limit. */
#define MESSAGE_BYTES_MAX (128 << 10)
#define REGISTER(word) (NFT_REG32_00 + (word))

int nft_open(struct nft *nft)
{
	int on = 1;
	int buffer_bytes = 4 << 20;

	memset(nft, 0, offsetof(struct nft, buffer));
	nft->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!nft->socket)
		return -errno;
	if (mnl_socket_bind(nft->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		int error = -errno;
		nft_close(nft);
		return error;
	}
	mnl_socket_setsockopt(nft->socket, NETLINK_CAP_ACK, &on, sizeof(on));
	setsockopt(mnl_socket_get_fd(nft->socket), SOL_SOCKET, SO_SNDBUFFORCE, &buffer_bytes, sizeof(buffer_bytes));
	setsockopt(mnl_socket_get_fd(nft->socket), SOL_SOCKET, SO_RCVBUFFORCE, &buffer_bytes, sizeof(buffer_bytes));
	nft->seq = (uint32_t)time(NULL);
	return 0;
}

void nft_close(struct nft *nft)
{
	if (nft->socket)
		mnl_socket_close(nft->socket);
	nft->socket = NULL;
}

/* ---- transactions ---- */

static void batch_next(struct nft *nft)
{
	if (!mnl_nlmsg_batch_next(nft->batch))
		nft->overflow = true;
}

void nft_begin(struct nft *nft)
{
	nft->batch = mnl_nlmsg_batch_start(nft->buffer, sizeof(nft->buffer) - MESSAGE_BYTES_MAX);
	nft->overflow = nft->batch == NULL;
	if (nft->overflow)
		return;
	nftnl_batch_begin(mnl_nlmsg_batch_current(nft->batch), nft->seq++);
	batch_next(nft);
}

static struct nlmsghdr *message(struct nft *nft, uint16_t type, uint16_t flags)
{
	void *at = nft->overflow ? nft->buffer : mnl_nlmsg_batch_current(nft->batch);

	return nftnl_nlmsg_build_hdr(at, type, NFPROTO_INET, flags, nft->seq++);
}

static void message_end(struct nft *nft)
{
	if (!nft->overflow)
		batch_next(nft);
}

/* The kernel handles a transaction inside sendto(); its complaints wait in the socket when that returns. */
static int read_errors(struct nft *nft)
{
	char answer[8192];
	int first = 0;

	for (;;) {
		ssize_t bytes = recv(mnl_socket_get_fd(nft->socket), answer, sizeof(answer), MSG_DONTWAIT);
		const struct nlmsghdr *header = (const struct nlmsghdr *)answer;
		int left = (int)bytes;

		if (bytes < 0 && (errno == EINTR || errno == ENOBUFS))
			continue;
		if (bytes <= 0)
			return first;
		for (; mnl_nlmsg_ok(header, left); header = mnl_nlmsg_next(header, &left)) {
			const struct nlmsgerr *error = mnl_nlmsg_get_payload(header);
			if (header->nlmsg_type == NLMSG_ERROR && error->error && !first)
				first = error->error;
		}
	}
}

static int batch_send(struct nft *nft)
{
	int error = 0;

	if (nft->overflow)
		error = -E2BIG;
	else if (mnl_socket_sendto(nft->socket, mnl_nlmsg_batch_head(nft->batch), mnl_nlmsg_batch_size(nft->batch)) < 0)
		error = -errno;
	if (nft->batch)
		mnl_nlmsg_batch_stop(nft->batch);
	nft->batch = NULL;
	return error ? error : read_errors(nft);
}

int nft_commit(struct nft *nft)
{
	if (!nft->overflow) {
		nftnl_batch_end(mnl_nlmsg_batch_current(nft->batch), nft->seq++);
		batch_next(nft);
	}
	return batch_send(nft);
}

int nft_dry_run(struct nft *nft)
{
	return batch_send(nft); /* without the end of the batch the kernel undoes it all */
}

/* ---- tables, chains, sets ---- */

static void table_message(struct nft *nft, uint16_t type, uint16_t message_flags, const char *name, uint32_t flags)
{
	struct nftnl_table *table = nftnl_table_alloc();

	nftnl_table_set_str(table, NFTNL_TABLE_NAME, name);
	if (type == NFT_MSG_NEWTABLE)
		nftnl_table_set_u32(table, NFTNL_TABLE_FLAGS, flags);
	nftnl_table_nlmsg_build_payload(message(nft, type, message_flags), table);
	nftnl_table_free(table);
	message_end(nft);
}

void nft_table_add(struct nft *nft, const char *name, uint32_t flags, bool exclusive)
{
	table_message(nft, NFT_MSG_NEWTABLE, NLM_F_CREATE | (exclusive ? NLM_F_EXCL : 0), name, flags);
}

void nft_table_delete(struct nft *nft, const char *name)
{
	table_message(nft, NFT_MSG_DELTABLE, 0, name, 0);
}

static void chain_message(struct nft *nft, struct nftnl_chain *chain, const char *name)
{
	nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, nft->table);
	nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, name);
	nftnl_chain_nlmsg_build_payload(message(nft, NFT_MSG_NEWCHAIN, NLM_F_CREATE), chain);
	nftnl_chain_free(chain);
	message_end(nft);
}

void nft_chain_add(struct nft *nft, const char *name)
{
	chain_message(nft, nftnl_chain_alloc(), name);
}

void nft_base_chain_add(struct nft *nft, const char *name, uint32_t hook, int32_t priority)
{
	struct nftnl_chain *chain = nftnl_chain_alloc();

	nftnl_chain_set_u32(chain, NFTNL_CHAIN_HOOKNUM, hook);
	nftnl_chain_set_s32(chain, NFTNL_CHAIN_PRIO, priority);
	nftnl_chain_set_str(chain, NFTNL_CHAIN_TYPE, "filter");
	nftnl_chain_set_u32(chain, NFTNL_CHAIN_POLICY, NF_ACCEPT);
	chain_message(nft, chain, name);
}

void nft_set_add(struct nft *nft, struct nft_set *set, uint32_t flags, uint32_t size, uint64_t timeout_s)
{
	struct nftnl_set *new = nftnl_set_alloc();

	set->id = ++nft->set_id;
	nftnl_set_set_str(new, NFTNL_SET_TABLE, nft->table);
	nftnl_set_set_str(new, NFTNL_SET_NAME, set->name);
	nftnl_set_set_u32(new, NFTNL_SET_ID, set->id);
	nftnl_set_set_u32(new, NFTNL_SET_FAMILY, NFPROTO_INET);
	nftnl_set_set_u32(new, NFTNL_SET_FLAGS, flags);
	nftnl_set_set_u32(new, NFTNL_SET_KEY_TYPE, set->key_type);
	nftnl_set_set_u32(new, NFTNL_SET_KEY_LEN, set->key_bytes);
	if (size)
		nftnl_set_set_u32(new, NFTNL_SET_DESC_SIZE, size);
	if (timeout_s)
		nftnl_set_set_u64(new, NFTNL_SET_TIMEOUT, timeout_s * 1000);
	nftnl_set_nlmsg_build_payload(message(nft, NFT_MSG_NEWSET, NLM_F_CREATE), new);
	nftnl_set_free(new);
	message_end(nft);
}

static struct nftnl_set *set_reference(const struct nft *nft, const struct nft_set *set)
{
	struct nftnl_set *reference = nftnl_set_alloc();

	nftnl_set_set_str(reference, NFTNL_SET_TABLE, nft->table);
	nftnl_set_set_str(reference, NFTNL_SET_NAME, set->name);
	nftnl_set_set_u32(reference, NFTNL_SET_ID, set->id);
	return reference;
}

void nft_set_flush(struct nft *nft, const struct nft_set *set)
{
	struct nftnl_set *reference = set_reference(nft, set);

	nftnl_set_elems_nlmsg_build_payload(message(nft, NFT_MSG_DELSETELEM, 0), reference);
	nftnl_set_free(reference);
	message_end(nft);
}

void nft_elements_add(struct nft *nft, const struct nft_set *set, const void *keys, size_t count, uint64_t timeout_s)
{
	struct nftnl_set *reference = set_reference(nft, set);

	for (size_t i = 0; i < count; i++) {
		struct nftnl_set_elem *element = nftnl_set_elem_alloc();

		nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY, (const char *)keys + i * set->key_bytes,
				   set->key_bytes);
		if (timeout_s)
			nftnl_set_elem_set_u64(element, NFTNL_SET_ELEM_TIMEOUT, timeout_s * 1000);
		nftnl_set_elem_add(reference, element);
	}
	nftnl_set_elems_nlmsg_build_payload(message(nft, NFT_MSG_NEWSETELEM, NLM_F_CREATE), reference);
	nftnl_set_free(reference);
	message_end(nft);
}

/* ---- rules ---- */

void nft_rules_flush(struct nft *nft, const char *chain)
{
	struct nftnl_rule *rule = nftnl_rule_alloc();

	nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, nft->table);
	nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, chain);
	nftnl_rule_nlmsg_build_payload(message(nft, NFT_MSG_DELRULE, 0), rule);
	nftnl_rule_free(rule);
	message_end(nft);
}

struct nftnl_rule *nft_rule(struct nft *nft, const char *chain)
{
	struct nftnl_rule *rule = nftnl_rule_alloc();

	nftnl_rule_set_u32(rule, NFTNL_RULE_FAMILY, NFPROTO_INET);
	nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, nft->table);
	nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, chain);
	return rule;
}

void nft_rule_end(struct nft *nft, struct nftnl_rule *rule)
{
	nftnl_rule_nlmsg_build_payload(message(nft, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND), rule);
	nftnl_rule_free(rule);
	message_end(nft);
}

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

void nft_notrack(struct nftnl_rule *rule)
{
	expression(rule, "notrack");
}

void nft_counter(struct nftnl_rule *rule)
{
	expression(rule, "counter");
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

void nft_queue(struct nft *nft, struct nftnl_rule *rule, uint16_t first, uint16_t count)
{
	struct nftnl_expr *queue;
	struct xt_NFQ_info_v3 *info;

	if (nft->native_queue) {
		queue = expression(rule, "queue");
		nftnl_expr_set_u16(queue, NFTNL_EXPR_QUEUE_NUM, first);
		nftnl_expr_set_u16(queue, NFTNL_EXPR_QUEUE_TOTAL, count);
		nftnl_expr_set_u16(queue, NFTNL_EXPR_QUEUE_FLAGS, NFT_QUEUE_FLAG_BYPASS);
		return;
	}
	info = calloc(1, sizeof(*info)); /* libnftnl takes it over and frees it */
	if (!info)
		abort();
	info->queuenum = first;
	info->queues_total = count;
	info->flags = NFQ_FLAG_BYPASS;
	queue = expression(rule, "target");
	nftnl_expr_set_str(queue, NFTNL_EXPR_TG_NAME, "NFQUEUE");
	nftnl_expr_set_u32(queue, NFTNL_EXPR_TG_REV, 3);
	nftnl_expr_set(queue, NFTNL_EXPR_TG_INFO, info, sizeof(*info));
} // NOLINT(clang-analyzer-unix.Malloc): libnftnl owns it
