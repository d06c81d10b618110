/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/ruleset_parts.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "edge/answer.h"
#include "edge/marks.h"
#include "synmoat/packet.h"

#define PRIORITY_BEHIND_OURS (-308)
#define EVENTS_AT_ONCE 4096 /* more than fit the socket's buffer */

bool ruleset_needs_keeper(const struct ruleset *ruleset)
{
	return ruleset->armed_before || ruleset->keeper_inherited;
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

/* ---- closed ---- */

static const char *const closed_chains[] = {"incoming", "syn", "syn_fin", "nobody_decided", "syn_fin_drop"};

void closed_init(struct ruleset *ruleset)
{
	static const char *const names[BINDINGS_SETS] = {"closed_port", "closed_v4", "closed_v6", "closed_nets_v4",
							 "closed_nets_v6"};

	bindings_init(&ruleset->closing, names);
	ruleset->closed_allow.sets[false] = (struct nft_set){"allow_v4", 0, 4, NFT_TYPE_IPV4};
	ruleset->closed_allow.sets[true] = (struct nft_set){"allow_v6", 0, 16, NFT_TYPE_IPV6};
	ruleset->closed_allow.held.count = 0;
	ruleset->closed_count = 0;
	ruleset->closed_built = false;
	ruleset->closed_spoilt = false;
	ruleset->closed = RULESET_CLOSED_NONE;
}

enum ruleset_closed closed_wanted(const struct ruleset *ruleset, const struct ruleset_wanted *wanted)
{
	return wanted->closed == RULESET_CLOSED_UNCHANGED ? ruleset->closed : wanted->closed;
}

static void closed_build(struct ruleset *ruleset)
{
	struct nft *nft = &ruleset->nft;

	nft_table_add(nft, RULESET_CLOSED, 0, true);
	bindings_build(ruleset, &ruleset->closing);
	for (unsigned v6 = 0; v6 < 2; v6++)
		nft_set_add(nft, &ruleset->closed_allow.sets[v6], NFT_SET_INTERVAL, 0, 0);
	ruleset->closed_allow.held.count = 0;
	for (size_t i = 1; i < sizeof(closed_chains) / sizeof(closed_chains[0]); i++)
		nft_chain_add(nft, closed_chains[i]);
	nft_base_chain_add(nft, closed_chains[0], NF_INET_PRE_ROUTING, PRIORITY_BEHIND_OURS);
}

static void closed_rules(struct ruleset *ruleset, const struct cidr_list *allow)
{
	struct nft *nft = &ruleset->nft;
	struct nftnl_rule *rule = nft_rule(nft, "incoming");

	nft_match_protocol(rule, PROTOCOL_TCP); /* as in rules_incoming(): once we are gone conntrack may be, too */
	nft_match_ipv4_fragment(rule, 8);
	nft_verdict(rule, NF_DROP, NULL);
	nft_rule_end(nft, rule);

	rule = nft_rule(nft, "incoming");
	nft_match_protocol(rule, PROTOCOL_TCP);
	nft_match_tcp_flags(rule, TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK, TCP_SYN);
	nft_match_mark(rule, MARK_BITS, 0, true);
	rules_jump(ruleset, rule, "syn");

	if (ruleset->setup.gateway)
		rules_syn_fin(ruleset, "incoming", &ruleset->closing);

	rule = nft_rule(nft, "syn");
	nft_match_incoming_loopback(rule);
	nft_verdict(rule, NFT_RETURN, NULL);
	nft_rule_end(nft, rule);
	for (unsigned v6 = 0; v6 < 2; v6++) {
		if (!lists_hold(allow, v6))
			continue;
		rule = rules_family(ruleset, "syn", v6);
		rules_load_source(rule, v6);
		nft_lookup(rule, &ruleset->closed_allow.sets[v6], false);
		nft_verdict(rule, NFT_RETURN, NULL);
		nft_rule_end(nft, rule);
	}
	rules_for_bindings(ruleset, "syn", &ruleset->closing, "nobody_decided");

	rule = nft_rule(nft, "nobody_decided");
	nft_counter(rule);
	nft_verdict(rule, NF_DROP, NULL);
	nft_rule_end(nft, rule);
}

/* The first time a table of a daemon before us is replaced, or goes: its hook takes what waits in queues with it, but not
 * yet in ours. Afterwards the hook stays, and with nothing to close the chain is empty. */
void closed_put(struct ruleset *ruleset, const struct ruleset_wanted *wanted)
{
	enum ruleset_closed closed = closed_wanted(ruleset, wanted);
	bool all = closed == RULESET_CLOSED_ALL;
	const struct service_binding *list = all ? wanted->services : wanted->closing;
	size_t count = closed == RULESET_CLOSED_NONE ? 0 : all ? wanted->service_count : wanted->closing_count;
	bool there = ruleset->closed_built && !ruleset->closed_spoilt;
	struct nft *nft = &ruleset->nft;

	if (ruleset->built && wanted->closed == RULESET_CLOSED_UNCHANGED)
		return;
	nft->table = RULESET_CLOSED;
	if (!ruleset->built || (closed && !ruleset->closed_built) || ruleset->closed_spoilt) {
		nft_table_add(nft, RULESET_CLOSED, 0, false);
		nft_table_delete(nft, RULESET_CLOSED);
	}
	if (closed && !there)
		closed_build(ruleset);
	else if (there)
		for (size_t i = 0; i < sizeof(closed_chains) / sizeof(closed_chains[0]); i++)
			nft_rules_flush(nft, closed_chains[i]);
	if (closed || there) {
		bindings_want(&ruleset->closing, list, count);
		if (closed)
			closed_rules(ruleset, wanted->allow);
		bindings_put(nft, &ruleset->closing, list, count);
		list_put(nft, &ruleset->closed_allow, wanted->allow);
	}
	nft->table = RULESET_TABLE;
}

void closed_is_put(struct ruleset *ruleset, const struct ruleset_wanted *wanted)
{
	if (wanted->closed == RULESET_CLOSED_UNCHANGED)
		return;
	ruleset->closed = wanted->closed;
	ruleset->closed_built &= !ruleset->closed_spoilt;
	ruleset->closed_spoilt = false;
	ruleset->closed_built |= wanted->closed != RULESET_CLOSED_NONE;
	ruleset->closed_count = wanted->closed == RULESET_CLOSED_ALL     ? wanted->service_count
				: wanted->closed == RULESET_CLOSED_ARMED ? wanted->closing_count
									 : 0;
	bindings_are_put(&ruleset->closing);
	list_is_put(&ruleset->closed_allow, wanted->allow);
}

void ruleset_unclose(struct ruleset *ruleset)
{
	if (!ruleset->closed_inherited)
		ruleset->closed_count = 0;
}

size_t ruleset_closes(const struct ruleset *ruleset)
{
	return ruleset->closed_built ? ruleset->closed_count : 0;
}

/* ---- what others do ---- */

int watch_open(struct ruleset *ruleset)
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

/* The table inet that a message is about: in each of these its name is the first attribute. NULL for any other. */
static const char *table_of(const struct nlmsghdr *header)
{
	const struct nfgenmsg *generic = mnl_nlmsg_get_payload(header);
	const struct nlattr *attr;

	if (!answer_has(header, sizeof(*generic)) || generic->nfgen_family != NFPROTO_INET)
		return NULL;
	switch (header->nlmsg_type ^ NFNL_SUBSYS_NFTABLES << 8) {
	case NFT_MSG_NEWTABLE:
	case NFT_MSG_DELTABLE:
	case NFT_MSG_NEWCHAIN:
	case NFT_MSG_DELCHAIN:
	case NFT_MSG_NEWRULE:
	case NFT_MSG_DELRULE:
	case NFT_MSG_NEWSET:
	case NFT_MSG_DELSET:
	case NFT_MSG_NEWSETELEM:
	case NFT_MSG_DELSETELEM:
	case NFT_MSG_NEWOBJ:
	case NFT_MSG_DELOBJ:
		break;
	default:
		return NULL;
	}
	_Static_assert(NFTA_TABLE_NAME == 1 && NFTA_CHAIN_TABLE == 1 && NFTA_RULE_TABLE == 1 && NFTA_SET_TABLE == 1 &&
			       NFTA_SET_ELEM_LIST_TABLE == 1 && NFTA_OBJ_TABLE == 1,
		       "the name of the table");
	mnl_attr_for_each(attr, header, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(attr) == NFTA_TABLE_NAME)
			return mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) < 0 ? NULL : mnl_attr_get_str(attr);
	}
	return NULL;
}

/* ruleset_apply() would find out by itself, but a keeper that is gone is not missed by anybody else. */
static void look_after_overrun(struct ruleset *ruleset, struct ruleset_losses *lost)
{
	lost->keeper |= !probe_table(&ruleset->nft, RULESET_KEEPER);
	if (ruleset->closed_built && !probe_table(&ruleset->nft, RULESET_CLOSED)) {
		lost->closed = true;
		ruleset->closed_built = false;
	}
}

static void hear(struct ruleset *ruleset, const struct nlmsghdr *header, struct ruleset_losses *lost)
{
	const char *table = header->nlmsg_pid == mnl_socket_get_portid(ruleset->nft.socket) ? NULL : table_of(header);

	if (table && strcmp(table, RULESET_KEEPER) == 0)
		lost->keeper = true;
	if (!table || strcmp(table, RULESET_CLOSED) != 0 || !ruleset->closed_built)
		return;
	lost->closed = true;
	ruleset->closed_spoilt = true;
}

struct ruleset_losses ruleset_lost(struct ruleset *ruleset)
{
	struct ruleset_losses lost = {false, false, false};
	bool overrun = false;
	char events[16384];
	ssize_t bytes;

	for (unsigned i = 0; i < EVENTS_AT_ONCE; i++) {
		const struct nlmsghdr *header = (const struct nlmsghdr *)events;
		int left;

		bytes = recv(ruleset_watch_fd(ruleset), events, sizeof(events), 0);
		if (bytes <= 0 && errno != ENOBUFS)
			break;
		lost.heard = true;
		overrun |= bytes <= 0;
		left = bytes > 0 ? (int)bytes : 0;
		for (; mnl_nlmsg_ok(header, left); header = mnl_nlmsg_next(header, &left))
			hear(ruleset, header, &lost);
	}
	if (overrun)
		look_after_overrun(ruleset, &lost);
	lost.keeper &= ruleset_needs_keeper(ruleset);
	return lost;
}
