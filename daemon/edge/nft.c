/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/nft.h"

#include <errno.h>
#include <libnftnl/common.h>
#include <libnftnl/object.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "edge/answer.h"

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
	nft->batch = mnl_nlmsg_batch_start(nft->buffer, NFT_TRANSACTION_BYTES_MAX);
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
			if (header->nlmsg_type == NLMSG_ERROR && !first)
				first = answer_error(header);
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

static struct nftnl_set *set_new(struct nft *nft, struct nft_set *set, uint32_t flags)
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
	return new;
}

static void set_end(struct nft *nft, struct nftnl_set *new)
{
	nftnl_set_nlmsg_build_payload(message(nft, NFT_MSG_NEWSET, NLM_F_CREATE), new);
	nftnl_set_free(new);
	message_end(nft);
}

void nft_set_add(struct nft *nft, struct nft_set *set, uint32_t flags, uint32_t size, uint64_t timeout_s)
{
	struct nftnl_set *new = set_new(nft, set, flags);

	if (size)
		nftnl_set_set_u32(new, NFTNL_SET_DESC_SIZE, size);
	if (timeout_s)
		nftnl_set_set_u64(new, NFTNL_SET_TIMEOUT, timeout_s * 1000);
	set_end(nft, new);
}

void nft_concat_set_add(struct nft *nft, struct nft_set *set, const uint8_t *fields_bytes, unsigned count)
{
	struct nftnl_set *new = set_new(nft, set, NFT_SET_INTERVAL | NFT_SET_CONCAT);

	nftnl_set_set_data(new, NFTNL_SET_DESC_CONCAT, fields_bytes, count);
	set_end(nft, new);
}

static struct nftnl_set *set_reference(const struct nft *nft, const struct nft_set *set)
{
	struct nftnl_set *reference = nftnl_set_alloc();

	nftnl_set_set_str(reference, NFTNL_SET_TABLE, nft->table);
	nftnl_set_set_str(reference, NFTNL_SET_NAME, set->name);
	nftnl_set_set_u32(reference, NFTNL_SET_ID, set->id);
	return reference;
}

static void set_send(struct nft *nft, struct nftnl_set *reference, uint16_t type)
{
	uint16_t flags = type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0;

	nftnl_set_elems_nlmsg_build_payload(message(nft, type, flags), reference);
	nftnl_set_free(reference);
	message_end(nft);
}

void nft_set_flush(struct nft *nft, const struct nft_set *set)
{
	set_send(nft, set_reference(nft, set), NFT_MSG_DELSETELEM);
}

static struct nftnl_set_elem *element_add(struct nftnl_set *reference, const void *key, uint32_t key_bytes)
{
	struct nftnl_set_elem *element = nftnl_set_elem_alloc();

	nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY, key, key_bytes);
	nftnl_set_elem_add(reference, element);
	return element;
}

void nft_elements_add(struct nft *nft, const struct nft_set *set, const void *keys, size_t count, uint64_t timeout_s)
{
	struct nftnl_set *reference = set_reference(nft, set);

	for (size_t i = 0; i < count; i++) {
		struct nftnl_set_elem *element =
			element_add(reference, (const char *)keys + i * set->key_bytes, set->key_bytes);

		if (timeout_s)
			nftnl_set_elem_set_u64(element, NFTNL_SET_ELEM_TIMEOUT, timeout_s * 1000);
	}
	set_send(nft, reference, NFT_MSG_NEWSETELEM);
}

void nft_elements_delete(struct nft *nft, const struct nft_set *set, const void *keys, size_t count)
{
	struct nftnl_set *reference = set_reference(nft, set);

	for (size_t i = 0; i < count; i++)
		element_add(reference, (const char *)keys + i * set->key_bytes, set->key_bytes);
	set_send(nft, reference, NFT_MSG_DELSETELEM);
}

/* Big-endian; false if there is no greater key. */
static bool key_next(uint8_t *key, uint32_t key_bytes)
{
	while (key_bytes-- > 0)
		if (++key[key_bytes] != 0)
			return true;
	return false;
}

void nft_ranges_add(struct nft *nft, const struct nft_set *set, const void *ends, size_t count)
{
	struct nftnl_set *reference = set_reference(nft, set);
	const uint8_t *first = ends;

	for (size_t i = 0; i < count; i++, first += 2 * (size_t)set->key_bytes) {
		uint8_t behind[NFT_ELEMENT_KEY_MAX];

		element_add(reference, first, set->key_bytes);
		memcpy(behind, first + set->key_bytes, set->key_bytes);
		if (key_next(behind, set->key_bytes)) /* else the range has no end */
			nftnl_set_elem_set_u32(element_add(reference, behind, set->key_bytes), NFTNL_SET_ELEM_FLAGS,
					       NFT_SET_ELEM_INTERVAL_END);
	}
	set_send(nft, reference, NFT_MSG_NEWSETELEM);
}

void nft_concat_ranges_add(struct nft *nft, const struct nft_set *set, const void *ends, size_t count)
{
	struct nftnl_set *reference = set_reference(nft, set);
	const uint8_t *first = ends;

	for (size_t i = 0; i < count; i++, first += 2 * (size_t)set->key_bytes)
		nftnl_set_elem_set(element_add(reference, first, set->key_bytes), NFTNL_SET_ELEM_KEY_END,
				   first + set->key_bytes, set->key_bytes);
	set_send(nft, reference, NFT_MSG_NEWSETELEM);
}

void nft_counter_add(struct nft *nft, const char *name)
{
	struct nftnl_obj *counter = nftnl_obj_alloc();

	nftnl_obj_set_str(counter, NFTNL_OBJ_TABLE, nft->table);
	nftnl_obj_set_str(counter, NFTNL_OBJ_NAME, name);
	nftnl_obj_set_u32(counter, NFTNL_OBJ_TYPE, NFT_OBJECT_COUNTER);
	nftnl_obj_nlmsg_build_payload(message(nft, NFT_MSG_NEWOBJ, NLM_F_CREATE), counter);
	nftnl_obj_free(counter);
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
