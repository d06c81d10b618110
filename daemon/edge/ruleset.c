/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/ruleset_parts.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "edge/marks.h"
#include "synmoat/packet.h"

/* Places among the kernel's own (linux/netfilter_ipv4.h): -400 defragmentation, -300 raw, -200 conntrack, -150 mangle,
 * -100 destination NAT. */
enum {
	PRIORITY_BEFORE_RAW = -310,
	PRIORITY_UNTRACK = -305,
	PRIORITY_AFTER_CONNTRACK = -140,
	PRIORITY_AFTER_FILTER = 50,
};

#define FLOWS_MAX 262144
#define WATCHED_MAX 131072   /* beyond that a first ACK is not seen, and the half-open entry ends by its timeout */
#define WATCHED_TIMEOUT_S 60 /* the kernel's own patience with a half-open connection */
#define LEARN_MAX 4096
#define LEARN_TIMEOUT_S 2
#define FLOWS_TIMEOUT_S 60 /* since the flow's last packet while armed; then it is asked for once more */

#define TYPE_ADDR_PORT(ip) ((uint32_t)(ip) << 6 | NFT_TYPE_PORT)
#define TYPE_FLOW(ip) (TYPE_ADDR_PORT(ip) << 12 | TYPE_ADDR_PORT(ip))

/* Before conntrack: SYNs to protected services, third ACKs to armed ones. */
static void rules_incoming(struct ruleset *ruleset, bool light, bool armed, bool observe)
{
	struct nft *nft = &ruleset->nft;
	struct nftnl_rule *rule = nft_rule(nft, "incoming");

	nft_match_incoming_loopback(rule);
	nft_verdict(rule, NFT_RETURN, NULL);
	nft_rule_end(nft, rule);

	/* Before conntrack begins nothing is put together before us, and a TCP header cut after 8 bytes would hide its flags.
	 * Without its other part it is nothing (RFC 1858 3.2). */
	if (light && !observe) {
		rule = nft_rule(nft, "incoming");
		nft_match_protocol(rule, PROTOCOL_TCP);
		nft_match_ipv4_fragment(rule, 8);
		nft_verdict(rule, NF_DROP, NULL);
		nft_rule_end(nft, rule);
	}

	rule = nft_rule(nft, "incoming");
	nft_match_protocol(rule, PROTOCOL_TCP);
	rules_jump(ruleset, rule, "incoming_tcp");

	rule = nft_rule(nft, "incoming_tcp");
	nft_match_tcp_flags(rule, TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK, TCP_SYN);
	nft_verdict(rule, NFT_GOTO, "syn");
	nft_rule_end(nft, rule);
	if (light)
		rules_light_first_ack(ruleset);
	if (armed) {
		rule = nft_rule(nft, "incoming_tcp");
		nft_match_tcp_flags(rule, TCP_SYN | TCP_RST | TCP_ACK, TCP_ACK);
		rules_jump(ruleset, rule, "ack");
	}
}

static void rules_syn(struct ruleset *ruleset, const struct ruleset_wanted *wanted, bool light)
{
	struct nft *nft = &ruleset->nft;
	const char *screen = wanted->service_count ? rules_screen(ruleset, wanted) : NULL;
	struct nftnl_rule *rule;

	if (wanted->armed_count)
		rules_flow_change(ruleset, "syn", &ruleset->flows_v4, &ruleset->flows_v6, NFT_DYNSET_OP_DELETE);
	if (wanted->armed_count && wanted->service_count) /* else SYNs are not ours to answer any more */
		rules_armed_syn(ruleset, screen);
	rules_for_bindings(ruleset, "syn", &ruleset->service_port, &ruleset->service_v4, &ruleset->service_v6,
			   screen ? "syn_watched" : "queue_syn");
	if (screen) {
		rules_jump(ruleset, nft_rule(nft, "syn_watched"), screen);
		rule = nft_rule(nft, "syn_watched");
		nft_verdict(rule, NFT_GOTO, "queue_syn");
		nft_rule_end(nft, rule);
	}
	if (light)
		rules_flow_change(ruleset, "queue_syn", &ruleset->watched_v4, &ruleset->watched_v6,
				  NFT_DYNSET_OP_UPDATE);
	rule = nft_rule(nft, "queue_syn");
	nft_queue(nft, rule, ruleset->setup.syn_first, ruleset->setup.shards);
	nft_rule_end(nft, rule);
}

static const char *const chains[] = {"incoming_tcp", "syn",       "syn_armed", "syn_watched", "screen",
				     "ack",          "ack_armed", "queue_syn", "marked",      "watched",
				     "answers",      "know",      "resets",    "established", "queue_answer"};
static const struct {
	const char *name;
	uint32_t hook;
	int32_t priority;
	bool from_first_arming; /* not before: each hook costs every packet; nor taken away again: see ruleset_quiet() */
} base_chains[] = {
	{"incoming", NF_INET_PRE_ROUTING, PRIORITY_BEFORE_RAW, false},
	{"tracked_incoming", NF_INET_PRE_ROUTING, PRIORITY_AFTER_CONNTRACK, false},
	{"untrack", NF_INET_LOCAL_OUT, PRIORITY_UNTRACK, true},
	{"errors", NF_INET_LOCAL_IN, PRIORITY_AFTER_FILTER, true},
	{"tracked_outgoing", NF_INET_LOCAL_OUT, PRIORITY_AFTER_CONNTRACK, false},
	{"tracked_forward", NF_INET_FORWARD, PRIORITY_AFTER_CONNTRACK, false},
};

static void build_hooks(struct ruleset *ruleset, bool from_first_arming)
{
	for (size_t i = 0; i < sizeof(base_chains) / sizeof(base_chains[0]); i++)
		if (base_chains[i].from_first_arming == from_first_arming)
			nft_base_chain_add(&ruleset->nft, base_chains[i].name, base_chains[i].hook,
					   base_chains[i].priority);
}

static void build_frame(struct ruleset *ruleset)
{
	struct nft *nft = &ruleset->nft;

	nft_table_add(nft, RULESET_TABLE, NFT_TABLE_F_OWNER, true);
	nft_set_add(nft, &ruleset->service_port, 0, 0, 0);
	nft_set_add(nft, &ruleset->service_v4, 0, 0, 0);
	nft_set_add(nft, &ruleset->service_v6, 0, 0, 0);
	nft_set_add(nft, &ruleset->armed_port, 0, 0, 0);
	nft_set_add(nft, &ruleset->armed_v4, 0, 0, 0);
	nft_set_add(nft, &ruleset->armed_v6, 0, 0, 0);
	nft_set_add(nft, &ruleset->flows_v4, NFT_SET_EVAL | NFT_SET_TIMEOUT, FLOWS_MAX, FLOWS_TIMEOUT_S);
	nft_set_add(nft, &ruleset->watched_v4, NFT_SET_EVAL | NFT_SET_TIMEOUT, WATCHED_MAX, WATCHED_TIMEOUT_S);
	nft_set_add(nft, &ruleset->watched_v6, NFT_SET_EVAL | NFT_SET_TIMEOUT, WATCHED_MAX, WATCHED_TIMEOUT_S);
	nft_set_add(nft, &ruleset->learn_v4, NFT_SET_EVAL | NFT_SET_TIMEOUT, LEARN_MAX, LEARN_TIMEOUT_S);
	nft_set_add(nft, &ruleset->learn_v6, NFT_SET_EVAL | NFT_SET_TIMEOUT, LEARN_MAX, LEARN_TIMEOUT_S);
	nft_set_add(nft, &ruleset->flows_v6, NFT_SET_EVAL | NFT_SET_TIMEOUT, FLOWS_MAX, FLOWS_TIMEOUT_S);
	for (size_t i = 0; i < sizeof(chains) / sizeof(chains[0]); i++)
		nft_chain_add(nft, chains[i]);
	build_hooks(ruleset, false);
	lists_build(ruleset);
}

static void flush_frame(struct ruleset *ruleset)
{
	struct nft *nft = &ruleset->nft;

	for (size_t i = 0; i < sizeof(chains) / sizeof(chains[0]); i++)
		nft_rules_flush(nft, chains[i]);
	for (size_t i = 0; i < sizeof(base_chains) / sizeof(base_chains[0]); i++)
		if (ruleset->armed_before || !base_chains[i].from_first_arming)
			nft_rules_flush(nft, base_chains[i].name);
	nft_set_flush(nft, &ruleset->service_port);
	nft_set_flush(nft, &ruleset->service_v4);
	nft_set_flush(nft, &ruleset->service_v6);
	nft_set_flush(nft, &ruleset->armed_port);
	nft_set_flush(nft, &ruleset->armed_v4);
	nft_set_flush(nft, &ruleset->armed_v6);
}

static void put_bindings(struct nft *nft, const struct service_binding *bindings, size_t count,
			 const struct nft_set *port, const struct nft_set *v4, const struct nft_set *v6)
{
	static uint8_t keys[3][NFT_ELEMENTS_MAX * 20];
	const struct nft_set *sets[3] = {port, v4, v6};
	size_t used[3] = {0};

	for (size_t i = 0; i < count; i++) {
		const struct addr *address = &bindings[i].address;
		bool v4_address = addr_is_v4(address);
		struct addr unspecified = addr_unspecified(!v4_address);
		unsigned which = addr_equal(address, &unspecified) ? 0 : v4_address ? 1 : 2;
		unsigned address_bytes = which == 0 ? 0 : addr_wire_bytes(address);
		uint8_t *key = keys[which] + used[which]++ * sets[which]->key_bytes;

		memset(key, 0, sets[which]->key_bytes);
		memcpy(key, addr_wire(address), address_bytes);
		store_be16(key + address_bytes, bindings[i].port);
	}
	for (unsigned which = 0; which < 3; which++)
		if (used[which])
			nft_elements_add(nft, sets[which], keys[which], used[which], 0);
}

int ruleset_apply(struct ruleset *ruleset, const struct ruleset_wanted *wanted)
{
	struct nft *nft = &ruleset->nft;
	bool armed = wanted->armed_count > 0;
	bool light = !armed && !ruleset->armed_before;
	int error;

	nft_begin(nft);
	if (ruleset->built)
		flush_frame(ruleset);
	else
		build_frame(ruleset);
	if (armed && !ruleset->armed_before)
		build_hooks(ruleset, true);
	rules_incoming(ruleset, light, armed, wanted->observe);
	rules_syn(ruleset, wanted, light);
	if (light)
		rules_light_tracked(ruleset);
	else
		rules_tracking(ruleset, wanted);
	put_bindings(nft, wanted->services, wanted->service_count, &ruleset->service_port, &ruleset->service_v4,
		     &ruleset->service_v6);
	put_bindings(nft, wanted->armed, wanted->armed_count, &ruleset->armed_port, &ruleset->armed_v4,
		     &ruleset->armed_v6);
	lists_put(ruleset, wanted);
	error = nft_commit(nft);
	if (error)
		return error;
	ruleset->built = true;
	ruleset->armed_before |= armed;
	lists_are_put(ruleset, wanted);
	return 0;
}

int ruleset_keep(struct ruleset *ruleset)
{
	struct nft *nft = &ruleset->nft;
	struct nftnl_rule *rule;
	int error;

	/* Made anew within one transaction: what was there, whole or not, is replaced without a gap. */
	nft_begin(nft);
	nft->table = RULESET_KEEPER;
	nft_table_add(nft, RULESET_KEEPER, 0, false);
	nft_table_delete(nft, RULESET_KEEPER);
	nft_table_add(nft, RULESET_KEEPER, 0, true);
	nft_chain_add(nft, "conntrack_stays_registered");
	rule = nft_rule(nft, "conntrack_stays_registered");
	nft_load_ct_state(rule);
	nft_counter(rule);
	nft_rule_end(nft, rule);
	error = nft_commit(nft);
	nft->table = RULESET_TABLE;
	return error;
}

/* ---- what others do ---- */

static int watch_open(struct ruleset *ruleset)
{
	int group = NFNLGRP_NFTABLES;
	int buffer_bytes = 4 << 20; /* our own changes come here, too, thousands of elements at a time */

	ruleset->events = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (ruleset->events && mnl_socket_bind(ruleset->events, 0, MNL_SOCKET_AUTOPID) == 0 &&
	    mnl_socket_setsockopt(ruleset->events, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) == 0) {
		setsockopt(mnl_socket_get_fd(ruleset->events), SOL_SOCKET, SO_RCVBUFFORCE, &buffer_bytes,
			   sizeof(buffer_bytes));
		return 0;
	}
	return -errno;
}

int ruleset_watch_fd(const struct ruleset *ruleset)
{
	return mnl_socket_get_fd(ruleset->events);
}

static bool deletes_keeper(const struct nlmsghdr *header)
{
	const struct nlattr *attr;

	if (header->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELTABLE))
		return false;
	mnl_attr_for_each(attr, header,
			  sizeof(struct nfgenmsg)) if (mnl_attr_get_type(attr) == NFTA_TABLE_NAME &&
						       strcmp(mnl_attr_get_str(attr), RULESET_KEEPER) == 0) return true;
	return false;
}

bool ruleset_keeper_lost(struct ruleset *ruleset)
{
	char events[16384];
	bool lost = false;
	ssize_t bytes;

	while ((bytes = recv(ruleset_watch_fd(ruleset), events, sizeof(events), 0)) > 0 || errno == ENOBUFS) {
		const struct nlmsghdr *header = (const struct nlmsghdr *)events;
		int left = (int)bytes;

		if (bytes < 0) { /* events were lost: it may have been among them */
			lost = true;
			continue;
		}
		for (; mnl_nlmsg_ok(header, left); header = mnl_nlmsg_next(header, &left))
			lost |= header->nlmsg_pid != mnl_socket_get_portid(ruleset->nft.socket) &&
				deletes_keeper(header);
	}
	return lost;
}

/* What a kernel may lack. Each is asked for with a table that never comes to be: 0, -ENOENT if the kernel has no such
 * expression, or another -errno. */
static struct nftnl_rule *probe_begin(struct nft *nft)
{
	nft->table = "synmoat_probe";
	nft_begin(nft);
	nft_table_add(nft, nft->table, 0, false);
	nft_base_chain_add(nft, "probe", NF_INET_PRE_ROUTING, PRIORITY_BEFORE_RAW);
	return nft_rule(nft, "probe");
}

static int probe_end(struct nft *nft, struct nftnl_rule *rule)
{
	int error;

	nft_rule_end(nft, rule);
	error = nft_dry_run(nft);
	nft->table = RULESET_TABLE;
	return error;
}

static int probe_queue(struct nft *nft, bool native)
{
	struct nftnl_rule *rule = probe_begin(nft);

	nft->native_queue = native;
	nft_queue(nft, rule, 0, 1);
	return probe_end(nft, rule);
}

static int probe_counter(struct nft *nft)
{
	struct nftnl_rule *rule = probe_begin(nft);

	nft->named_counters = true;
	nft_counter_add(nft, "probe");
	nft_count(nft, rule, "probe");
	return probe_end(nft, rule);
}

static void name_sets(struct ruleset *ruleset)
{
	ruleset->service_port = (struct nft_set){"service_port", 0, 2, NFT_TYPE_PORT};
	ruleset->service_v4 = (struct nft_set){"service_v4", 0, 8, TYPE_ADDR_PORT(NFT_TYPE_IPV4)};
	ruleset->service_v6 = (struct nft_set){"service_v6", 0, 20, TYPE_ADDR_PORT(NFT_TYPE_IPV6)};
	ruleset->armed_port = (struct nft_set){"armed_port", 0, 2, NFT_TYPE_PORT};
	ruleset->armed_v4 = (struct nft_set){"armed_v4", 0, 8, TYPE_ADDR_PORT(NFT_TYPE_IPV4)};
	ruleset->armed_v6 = (struct nft_set){"armed_v6", 0, 20, TYPE_ADDR_PORT(NFT_TYPE_IPV6)};
	ruleset->flows_v4 = (struct nft_set){"flows_v4", 0, FLOW_KEY_V4_BYTES, TYPE_FLOW(NFT_TYPE_IPV4)};
	ruleset->flows_v6 = (struct nft_set){"flows_v6", 0, FLOW_KEY_V6_BYTES, TYPE_FLOW(NFT_TYPE_IPV6)};
	ruleset->watched_v4 = (struct nft_set){"watched_v4", 0, FLOW_KEY_V4_BYTES, TYPE_FLOW(NFT_TYPE_IPV4)};
	ruleset->watched_v6 = (struct nft_set){"watched_v6", 0, FLOW_KEY_V6_BYTES, TYPE_FLOW(NFT_TYPE_IPV6)};
	ruleset->learn_v4 = (struct nft_set){"learn_v4", 0, FLOW_KEY_V4_BYTES, TYPE_FLOW(NFT_TYPE_IPV4)};
	ruleset->learn_v6 = (struct nft_set){"learn_v6", 0, FLOW_KEY_V6_BYTES, TYPE_FLOW(NFT_TYPE_IPV6)};
}

int ruleset_open(struct ruleset *ruleset, const struct ruleset_setup *setup, char *error, size_t error_bytes)
{
	struct nft *nft = &ruleset->nft;
	int failed = nft_open(nft);

	if (!failed)
		failed = watch_open(ruleset);
	if (failed) {
		snprintf(error, error_bytes, "netlink: %s", strerror(-failed));
		return -1;
	}
	ruleset->setup = *setup;
	ruleset->built = false;
	ruleset->armed_before = false;
	name_sets(ruleset);
	lists_init(ruleset);

	nft->named_counters = probe_counter(nft) == 0; /* without: lists work, but nobody counts */
	failed = probe_queue(nft, true);
	if (failed == -ENOENT)
		failed = probe_queue(nft, false);
	if (!failed)
		return 0;
	if (failed == -EPERM)
		snprintf(error, error_bytes, "nftables: not permitted: CAP_NET_ADMIN is needed (run as root)");
	else
		snprintf(error, error_bytes,
			 "nftables: this kernel takes no queue rule (%s): CONFIG_NFT_QUEUE, or CONFIG_NFT_COMPAT with "
			 "CONFIG_NETFILTER_XT_TARGET_NFQUEUE, is needed",
			 strerror(-failed));
	mnl_socket_close(ruleset->events);
	nft_close(nft);
	return -1;
}

void ruleset_quiet(struct ruleset *ruleset)
{
	nft_begin(&ruleset->nft);
	flush_frame(ruleset);
	nft_commit(&ruleset->nft);
}

void ruleset_close(struct ruleset *ruleset, bool keep)
{
	struct nft *nft = &ruleset->nft;

	nft_begin(nft);
	if (ruleset->built)
		nft_table_delete(nft, RULESET_TABLE);
	nft_commit(nft);
	if (!keep) {
		nft_begin(nft);
		nft_table_delete(nft, RULESET_KEEPER);
		nft_commit(nft);
	}
	mnl_socket_close(ruleset->events);
	nft_close(nft);
}
