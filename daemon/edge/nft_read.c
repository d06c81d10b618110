/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/nft.h"

#include <errno.h>
#include <libnftnl/common.h>
#include <libnftnl/object.h>
#include <libnftnl/set.h>
#include <linux/netfilter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "edge/answer.h"

/* One message of an answer. 0, or -errno to give up. */
typedef int answer_seen(const struct nlmsghdr *header, void *context);

static bool ends_answer(const struct nlmsghdr *header, int *error)
{
	if (header->nlmsg_type != NLMSG_DONE && header->nlmsg_type != NLMSG_ERROR)
		return false;
	/* an end, too, may say why, and where it is one by itself it need not */
	*error = header->nlmsg_type == NLMSG_DONE && !answer_has(header, sizeof(int)) ? 0 : answer_error(header);
	return true;
}

static bool too_late(const struct nft *nft)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return nft->until_ns && (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec >= nft->until_ns;
}

/* The kernel puts the first part of a dump into the socket within sendto(), and each next one while the one before it is
 * received (netlink_recvmsg(), net/netlink/af_netlink.c): there is never anything to wait for. */
static int read_answer(struct nft *nft, uint32_t seq, answer_seen *seen, void *context)
{
	bool changed = false;
	int failed = 0;
	int error = 0;

	while (!too_late(nft)) {
		ssize_t bytes = recv(mnl_socket_get_fd(nft->socket), nft->buffer, sizeof(nft->buffer), MSG_DONTWAIT);
		const struct nlmsghdr *header = (const struct nlmsghdr *)nft->buffer;
		int left = (int)bytes;

		if (bytes < 0 && errno == EINTR)
			continue;
		if (bytes <= 0)
			return bytes < 0 ? -errno : -EIO;
		for (; mnl_nlmsg_ok(header, left); header = mnl_nlmsg_next(header, &left)) {
			if (header->nlmsg_seq != seq) /* left over from a dump that failed */
				continue;
			changed |= (header->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
			if (ends_answer(header, &error))
				return error ? error : failed ? failed : changed ? -EINTR : 0;
			if (!failed)
				failed = seen(header, context);
		}
	}
	return -ETIME;
}

static struct nlmsghdr *question_of(struct nft *nft, uint16_t type, uint16_t family)
{
	return nftnl_nlmsg_build_hdr(nft->buffer, type, family, NLM_F_DUMP, nft->seq++);
}

static struct nlmsghdr *question(struct nft *nft, uint16_t type)
{
	return question_of(nft, type, NFPROTO_INET);
}

static int ask(struct nft *nft, const struct nlmsghdr *header, answer_seen *seen, void *context)
{
	uint32_t seq = header->nlmsg_seq; /* the answer comes where the question was */

	if (mnl_socket_sendto(nft->socket, header, header->nlmsg_len) < 0)
		return -errno;
	return read_answer(nft, seq, seen, context);
}

/* ---- elements ---- */

struct elements {
	struct nft_element *array;
	size_t count, room;
};

static int element_append(struct elements *elements, struct nftnl_set_elem *source)
{
	struct nft_element *element;
	uint32_t key_bytes;
	const void *key = nftnl_set_elem_get(source, NFTNL_SET_ELEM_KEY, &key_bytes);

	if (elements->count == elements->room) {
		size_t room = elements->room ? 2 * elements->room : 256;
		struct nft_element *array = realloc(elements->array, room * sizeof(*array));

		if (!array)
			return -ENOMEM;
		elements->array = array;
		elements->room = room;
	}
	if (!key || key_bytes > sizeof(element->key))
		return -EINVAL;
	element = &elements->array[elements->count++];
	memset(element, 0, sizeof(*element));
	memcpy(element->key, key, key_bytes);
	if (nftnl_set_elem_is_set(source, NFTNL_SET_ELEM_EXPIRATION))
		element->left_ms = nftnl_set_elem_get_u64(source, NFTNL_SET_ELEM_EXPIRATION);
	return 0;
}

static int append_one(struct nftnl_set_elem *source, void *context)
{
	return element_append(context, source);
}

static int elements_seen(const struct nlmsghdr *header, void *context)
{
	struct nftnl_set *part = nftnl_set_alloc();
	int failed = -ENOMEM;

	if (!part)
		return failed;
	failed = nftnl_set_elems_nlmsg_parse(header, part) < 0 ? -EBADMSG
							       : nftnl_set_elem_foreach(part, append_one, context);
	nftnl_set_free(part);
	return failed;
}

static int compare_keys(const void *one, const void *other)
{
	return memcmp(one, other, NFT_ELEMENT_KEY_MAX);
}

/* A set that grows while it is read may give an element twice. */
static void sort_unique(struct elements *elements)
{
	size_t kept = 0;

	if (elements->count)
		qsort(elements->array, elements->count, sizeof(elements->array[0]), compare_keys);
	for (size_t i = 0; i < elements->count; i++)
		if (!kept || compare_keys(&elements->array[kept - 1], &elements->array[i]) != 0)
			elements->array[kept++] = elements->array[i];
	elements->count = kept;
}

int nft_elements_read(struct nft *nft, const struct nft_set *set, struct nft_element **out)
{
	struct elements elements = {0};
	int failed = -EINTR;

	for (unsigned attempt = 0; failed == -EINTR && attempt < NFT_READ_ATTEMPTS; attempt++) {
		struct nlmsghdr *header = question(nft, NFT_MSG_GETSETELEM);
		struct nftnl_set *wanted = nftnl_set_alloc();

		nftnl_set_set_str(wanted, NFTNL_SET_TABLE, nft->table);
		nftnl_set_set_str(wanted, NFTNL_SET_NAME, set->name);
		nftnl_set_elems_nlmsg_build_payload(header, wanted);
		nftnl_set_free(wanted);
		elements.count = 0;
		failed = ask(nft, header, elements_seen, &elements);
	}
	if (failed) {
		free(elements.array);
		return failed;
	}
	sort_unique(&elements);
	*out = elements.array;
	return (int)elements.count;
}

/* ---- counters ---- */

struct counters {
	const char *const *names;
	uint64_t *packets;
	size_t count;
};

static int counter_seen(const struct nlmsghdr *header, void *context)
{
	const struct counters *wanted = context;
	struct nftnl_obj *counter = nftnl_obj_alloc();
	int failed = -ENOMEM;

	if (!counter)
		return failed;
	failed = nftnl_obj_nlmsg_parse(header, counter) < 0 ? -EBADMSG : 0;
	for (size_t i = 0; !failed && i < wanted->count; i++)
		if (strcmp(answer_text(nftnl_obj_get_str(counter, NFTNL_OBJ_NAME)), wanted->names[i]) == 0)
			wanted->packets[i] = nftnl_obj_get_u64(counter, NFTNL_OBJ_CTR_PKTS);
	nftnl_obj_free(counter);
	return failed;
}

int nft_counters_read(struct nft *nft, const char *const names[], uint64_t packets[], size_t count)
{
	struct counters wanted = {names, packets, count};
	int failed = -EINTR;

	memset(packets, 0, count * sizeof(packets[0]));
	if (!nft->named_counters)
		return -EOPNOTSUPP;
	for (unsigned attempt = 0; failed == -EINTR && attempt < NFT_READ_ATTEMPTS; attempt++) {
		struct nlmsghdr *header = question(nft, NFT_MSG_GETOBJ);
		struct nftnl_obj *filter = nftnl_obj_alloc();

		nftnl_obj_set_str(filter, NFTNL_OBJ_TABLE, nft->table);
		nftnl_obj_set_u32(filter, NFTNL_OBJ_TYPE, NFT_OBJECT_COUNTER);
		nftnl_obj_nlmsg_build_payload(header, filter);
		nftnl_obj_free(filter);
		failed = ask(nft, header, counter_seen, &wanted);
	}
	return failed;
}

/* ---- chains and rules, of any table of any family ---- */

struct visit {
	nft_chain_seen *chain;
	nft_rule_seen *rule;
	void *context;
};

static int chain_seen(const struct nlmsghdr *header, void *context)
{
	struct nftnl_chain *chain = nftnl_chain_alloc();
	const struct visit *visit = context;
	int failed = 0;

	if (!chain)
		return -ENOMEM;
	if (nftnl_chain_nlmsg_parse(header, chain) >= 0)
		failed = visit->chain(chain, visit->context);
	nftnl_chain_free(chain);
	return failed;
}

static int rule_seen(const struct nlmsghdr *header, void *context)
{
	struct nftnl_rule *rule = nftnl_rule_alloc();
	const struct visit *visit = context;
	int failed = 0;

	if (!rule)
		return -ENOMEM;
	/* What cannot be read has an expression that is newer than libnftnl: what it is, nobody here can know. */
	if (nftnl_rule_nlmsg_parse(header, rule) >= 0)
		failed = visit->rule(rule, visit->context);
	nftnl_rule_free(rule);
	return failed;
}

int nft_chains_read(struct nft *nft, nft_chain_seen *seen, void *context)
{
	struct visit visit = {.chain = seen, .context = context};

	return ask(nft, question_of(nft, NFT_MSG_GETCHAIN, NFPROTO_UNSPEC), chain_seen, &visit);
}

int nft_rules_read(struct nft *nft, nft_rule_seen *seen, void *context)
{
	struct visit visit = {.rule = seen, .context = context};

	return ask(nft, question_of(nft, NFT_MSG_GETRULE, NFPROTO_UNSPEC), rule_seen, &visit);
}
