/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>

#include "edge/conntrack.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/socket.h>

#include "edge/answer.h"
#include "edge/kernel_counters.h"

#define ANSWER_BYTES 32768 /* what netlink sends of a dump at once (net/netlink/af_netlink.c, netlink_dump) */

/* One message for each CPU (net/netfilter/nf_conntrack_netlink.c, ctnetlink_ct_stat_cpu_fill_info). */
static void take_cpu(const struct nlmsghdr *header, struct kernel_conntrack *stats)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, header, sizeof(struct nfgenmsg))
	{
		uint32_t value = mnl_attr_get_payload_len(attr) == 4 ? ntohl(mnl_attr_get_u32(attr)) : 0;

		switch (mnl_attr_get_type(attr)) {
		case CTA_STATS_INSERT_FAILED:
			stats->insert_failed += value;
			break;
		case CTA_STATS_DROP:
			stats->drop += value;
			break;
		case CTA_STATS_EARLY_DROP:
			stats->early_drop += value;
			break;
		default:
			break;
		}
	}
}

/* net/netfilter/nf_conntrack_netlink.c, ctnetlink_stat_ct_fill_info. */
static void take_global(const struct nlmsghdr *header, struct kernel_conntrack *stats)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, header, sizeof(struct nfgenmsg))
	{
		uint32_t value = mnl_attr_get_payload_len(attr) == 4 ? ntohl(mnl_attr_get_u32(attr)) : 0;

		if (mnl_attr_get_type(attr) == CTA_STATS_GLOBAL_ENTRIES)
			stats->entries = value;
		else if (mnl_attr_get_type(attr) == CTA_STATS_GLOBAL_MAX_ENTRIES)
			stats->entries_max = value;
	}
}

/* Asks with one message of the type, and takes each of the answer. A dump ends by itself, anything else by an ACK. Never
 * waits: what is asked for is there when sendto() returns, or when what came before it is read. */
static int ask(struct conntrack *conntrack, uint16_t type, uint16_t flags,
	       void (*take)(const struct nlmsghdr *header, struct kernel_conntrack *stats),
	       struct kernel_conntrack *stats)
{
	uint8_t buffer[ANSWER_BYTES] = {0};
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *family;

	header->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
	header->nlmsg_flags = NLM_F_REQUEST | flags;
	header->nlmsg_seq = ++conntrack->seq;
	family = mnl_nlmsg_put_extra_header(header, sizeof(*family));
	family->nfgen_family = AF_UNSPEC;
	family->version = NFNETLINK_V0;
	if (mnl_socket_sendto(conntrack->socket, header, header->nlmsg_len) < 0)
		return -errno;
	for (;;) {
		ssize_t received = recv(mnl_socket_get_fd(conntrack->socket), buffer, sizeof(buffer), MSG_DONTWAIT);
		const struct nlmsghdr *reply = (const struct nlmsghdr *)buffer;
		int left = (int)received;

		if (received <= 0)
			return received < 0 ? -errno : -EIO;
		for (; mnl_nlmsg_ok(reply, left); reply = mnl_nlmsg_next(reply, &left)) {
			if (reply->nlmsg_seq != conntrack->seq) /* left over from a request before */
				continue;
			if (reply->nlmsg_type == NLMSG_DONE)
				return 0;
			if (reply->nlmsg_type == NLMSG_ERROR)
				return answer_error(reply);
			take(reply, stats);
		}
	}
}

int conntrack_stats(struct conntrack *conntrack, struct kernel_conntrack *stats)
{
	int failed;

	*stats = (struct kernel_conntrack){.drop = 0};
	failed = ask(conntrack, IPCTNL_MSG_CT_GET_STATS_CPU, NLM_F_DUMP, take_cpu, stats);
	return failed ? failed : ask(conntrack, IPCTNL_MSG_CT_GET_STATS, NLM_F_ACK, take_global, stats);
}
