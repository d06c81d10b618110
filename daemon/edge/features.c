/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/features.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/expr.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edge/answer.h"
#include "edge/listeners.h"
#include "edge/nft.h"

/* ---- nftables: transactions without an end, which the kernel undoes ----
 *
 * In a chain without hook: one with a hook would be hooked in for the moment, and each hook that goes takes every queued
 * packet of the namespace with it (nf_queue_nf_hook_drop(), net/netfilter/core.c). */

static void probe_begin(struct nft *nft)
{
	nft->table = "synmoat_probe";
	nft_begin(nft);
	nft_table_add(nft, nft->table, 0, false);
	nft_chain_add(nft, "probe");
}

static int probe_table(struct nft *nft)
{
	probe_begin(nft);
	return nft_dry_run(nft);
}

static int probe_queue(struct nft *nft, bool native)
{
	struct nftnl_rule *rule;

	probe_begin(nft);
	rule = nft_rule(nft, "probe");
	nft->native_queue = native;
	nft_queue(nft, rule, 0, 1, true);
	nft_rule_end(nft, rule);
	return nft_dry_run(nft);
}

static int probe_log(struct nft *nft)
{
	struct nftnl_rule *rule;

	probe_begin(nft);
	rule = nft_rule(nft, "probe");
	nft_log_to(rule, 0);
	nft_rule_end(nft, rule);
	return nft_dry_run(nft);
}

/* An expression without any attribute: that is refused as such, with -EINVAL or -EOPNOTSUPP, before anything is set up for it (as `ct`
 * would set up conntrack); one that the kernel has not is not found (nft_expr_type_get(), net/netfilter/nf_tables_api.c). */
static int probe_expression(struct nft *nft, const char *name)
{
	struct nftnl_rule *rule;
	int error;

	probe_begin(nft);
	rule = nft_rule(nft, "probe");
	nftnl_rule_add_expr(rule, nftnl_expr_alloc(name));
	nft_rule_end(nft, rule);
	error = nft_dry_run(nft);
	return error == -EINVAL || error == -EOPNOTSUPP ? 0 : error;
}

static void probe_nftables(int results[FEATURE_COUNT])
{
	struct nft *nft = malloc(sizeof(*nft));
	int error = nft ? nft_open(nft) : -ENOMEM;

	if (!error) {
		error = probe_table(nft);
		results[FEATURE_QUEUE_RULE] = probe_queue(nft, true);
		if (results[FEATURE_QUEUE_RULE] == -ENOENT)
			results[FEATURE_QUEUE_RULE] = probe_queue(nft, false);
		results[FEATURE_CT] = probe_expression(nft, "ct");
		results[FEATURE_FIB] = probe_expression(nft, "fib");
		results[FEATURE_LIMIT] = probe_expression(nft, "limit");
		results[FEATURE_REJECT] = probe_expression(nft, "reject");
		results[FEATURE_OBJREF] = probe_expression(nft, "objref");
		results[FEATURE_LOG] = probe_log(nft);
		nft_close(nft);
	}
	results[FEATURE_NFTABLES] = error;
	for (enum feature i = FEATURE_QUEUE_RULE; error && i <= FEATURE_LOG; i++)
		results[i] = error;
	free(nft);
}

/* Of a table that somebody owns others are told that they have no permission (nft_table_lookup(),
 * net/netfilter/nf_tables_api.c), and so are those who have none at all: these for any name. */
int features_table(const char *name)
{
	struct nft *nft = malloc(sizeof(*nft));
	int error = nft ? nft_open(nft) : -ENOMEM;

	if (!error) {
		nft_begin(nft);
		nft_table_add(nft, name, 0, true);
		error = nft_dry_run(nft);
		if (error == -EPERM && probe_table(nft) == 0)
			error = -EEXIST;
		nft_close(nft);
	}
	free(nft);
	return error == -EEXIST ? 1 : error;
}

/* ---- other subsystems of nfnetlink ---- */

/* Sends the message, which must change nothing. 0 or what the kernel says to it: -EINVAL, if it knows no such subsystem. */
static int probe_message(const struct nlmsghdr *header)
{
	char answer[1024];
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	const struct nlmsghdr *first = (const struct nlmsghdr *)answer;
	int error = 0;
	ssize_t bytes;

	if (!socket)
		return -errno;
	if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(socket, header, header->nlmsg_len) < 0)
		error = -errno;
	bytes = error ? 0 : recv(mnl_socket_get_fd(socket), answer, sizeof(answer), MSG_DONTWAIT);
	if (bytes > 0 && mnl_nlmsg_ok(first, (int)bytes) && first->nlmsg_type == NLMSG_ERROR)
		error = answer_error(first);
	mnl_socket_close(socket);
	return error;
}

static struct nlmsghdr *message(char *buffer, uint8_t subsystem, uint8_t type)
{
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *generic = mnl_nlmsg_put_extra_header(header, sizeof(*generic));

	header->nlmsg_type = (uint16_t)(subsystem << 8 | type);
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	generic->version = NFNETLINK_V0;
	return header;
}

/* A command that has had no effect since Linux 3.8 (nfqnl_recv_config(), net/netfilter/nfnetlink_queue.c). */
static int probe_nfqueue(void)
{
	char buffer[256] = {0};
	struct nlmsghdr *header = message(buffer, NFNL_SUBSYS_QUEUE, NFQNL_MSG_CONFIG);
	struct nfqnl_msg_config_cmd command = {.command = NFQNL_CFG_CMD_PF_UNBIND};

	mnl_attr_put(header, NFQA_CFG_CMD, sizeof(command), &command);
	return probe_message(header);
}

/* The number of connections. */
static int probe_ctnetlink(void)
{
	char buffer[256] = {0};

	return probe_message(message(buffer, NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET_STATS));
}

/* ---- sockets ---- */

static int probe_sock_diag(void)
{
	struct listener *listeners = NULL;
	int count = listeners_read(&listeners);

	free(count < 0 ? NULL : listeners);
	return count < 0 ? count : 0;
}

static int probe_raw(void)
{
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

void features_probe(int results[FEATURE_COUNT])
{
	probe_nftables(results);
	results[FEATURE_NFQUEUE] = probe_nfqueue();
	results[FEATURE_CTNETLINK] = probe_ctnetlink();
	results[FEATURE_SOCK_DIAG] = probe_sock_diag();
	results[FEATURE_RAW_SOCKETS] = probe_raw();
}
