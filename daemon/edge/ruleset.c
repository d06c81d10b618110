/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/ruleset_parts.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <stdio.h>
#include <string.h>

#include "edge/marks.h"
#include "synmoat/packet.h"

/* Places among the kernel's own (linux/netfilter_ipv4.h): -400 defragmentation, -300 raw, -200 conntrack, -150 mangle,
 * -100 destination NAT, 100 source NAT. */
enum {
	PRIORITY_BEFORE_RAW = -310,
	PRIORITY_UNTRACK = -305,
	PRIORITY_AFTER_CONNTRACK = -140,
	PRIORITY_AFTER_FILTER = 50,
	PRIORITY_AFTER_NAT = 150,
};

#define FLOWS_MAX 262144
#define WATCHED_MAX 131072   /* beyond that a first ACK is not seen, and the half-open entry ends by its timeout */
#define WATCHED_TIMEOUT_S 60 /* the kernel's own patience with a half-open connection */
#define LEARN_MAX 4096
#define LEARN_TIMEOUT_S 2
#define FRESH_MAX 131072   /* beyond that a RST as of rules_untimely() is let out */
#define FRESH_TIMEOUT_S 1  /* the first ACK's time in the queue, and then some */
#define FLOWS_TIMEOUT_S 60 /* since the flow's last packet while armed; then it is asked for once more */

#define TYPE_FLOW(ip) ((TYPE_ADDR_PORT(ip)) << 12 | TYPE_ADDR_PORT(ip))

/* Before conntrack: SYNs to protected services, third ACKs to those whose cookies are honoured. */
static void rules_incoming(struct ruleset *ruleset, const struct ruleset_wanted *wanted, bool light)
{
	struct nft *nft = &ruleset->nft;
	bool honoured = rules_honoured(ruleset, wanted);
	struct nftnl_rule *rule;

	if (honoured) { /* most packets of most connections: they pass no other rule here */
		rule = nft_rule(nft, "incoming");
		nft_match_protocol(rule, PROTOCOL_TCP);
		nft_match_tcp_flags(rule, TCP_FIN | TCP_SYN | TCP_RST | TCP_PSH | TCP_ACK, TCP_ACK);
		nft_verdict(rule, NFT_GOTO, "ack");
		nft_rule_end(nft, rule);
	}
	rule = nft_rule(nft, "incoming");
	nft_match_incoming_loopback(rule);
	nft_verdict(rule, NFT_RETURN, NULL);
	nft_rule_end(nft, rule);

	/* Before conntrack begins nothing is put together before us, and a TCP header cut after 8 bytes would hide its flags.
	 * Without its other part it is nothing (RFC 1858 3.2). */
	if (light && !wanted->observe) {
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
	if (ruleset->setup.gateway && !wanted->observe)
		rules_syn_fin(ruleset, "incoming_tcp", &ruleset->services);
	if (light)
		rules_light_first_ack(ruleset);
	rules_fresh(ruleset);
	if (ruleset->setup.gateway) /* those of servers, before conntrack takes them for the end */
		rules_untimely(ruleset, "incoming_tcp");
	if (honoured) {
		rule = nft_rule(nft, "incoming_tcp");
		nft_match_tcp_flags(rule, TCP_SYN | TCP_RST | TCP_ACK, TCP_ACK);
		rules_jump(ruleset, rule, "ack");
	}
}

/* A SYN that has come too early goes through here again, and keeps its mark: worker.c. */
static void rules_queue_watched(struct ruleset *ruleset, const struct ruleset_wanted *wanted, bool seen)
{
	struct nftnl_rule *rule;

	if (seen) {
		rule = nft_rule(&ruleset->nft, "queue_syn");
		nft_match_mark(rule, MARK_BITS, MARK_AGAIN, false);
		nft_set_mark(rule, MARK_BITS, MARK_SEEN);
		nft_rule_end(&ruleset->nft, rule);
	}
	rule_queue_syn(ruleset, nft_rule(&ruleset->nft, "queue_syn"), false, ruleset->setup.syn_first,
		       wanted->syn_pass_unheard);
}

/* A packet in a queue knows its place among the hooks by number: when one is added in front, as conntrack's are with the
 * first arming, what has its verdict comes through here a second time (nf_reinject(), net/netfilter/nfnetlink_queue.c). It
 * is not to be decided about, or counted, again. */
static void rules_decided(struct ruleset *ruleset)
{
	struct nftnl_rule *rule = nft_rule(&ruleset->nft, "syn");

	nft_match_mark(rule, MARK_BITS, MARK_NONE, false);
	nft_match_mark(rule, MARK_BITS, MARK_AGAIN, false);
	nft_verdict(rule, NF_ACCEPT, NULL);
	nft_rule_end(&ruleset->nft, rule);
}

static void rules_syn(struct ruleset *ruleset, const struct ruleset_wanted *wanted, bool light)
{
	bool seen = closed_wanted(ruleset, wanted) != RULESET_CLOSED_NONE;
	struct nft *nft = &ruleset->nft;
	const char *screen = wanted->service_count ? rules_screen(ruleset, wanted) : NULL;

	rules_decided(ruleset);
	if (rules_honoured(ruleset, wanted))
		rules_flow_change(ruleset, "syn", &ruleset->flows_v4, &ruleset->flows_v6, NFT_DYNSET_OP_DELETE);
	if (wanted->armed_count && wanted->service_count) /* else SYNs are not ours to answer any more */
		rules_armed_syn(ruleset, screen);
	rules_for_bindings(ruleset, "syn", &ruleset->services, screen ? "syn_watched" : "queue_syn");
	if (screen) {
		struct nftnl_rule *rule;

		rules_jump(ruleset, nft_rule(nft, "syn_watched"), screen);
		rule = nft_rule(nft, "syn_watched");
		nft_verdict(rule, NFT_GOTO, "queue_syn");
		nft_rule_end(nft, rule);
	}
	if (light)
		rules_flow_change(ruleset, "queue_syn", &ruleset->watched_v4, &ruleset->watched_v6,
				  NFT_DYNSET_OP_UPDATE);
	rules_queue_watched(ruleset, wanted, seen);
	rules_queue_armed(ruleset, wanted, seen);
}

static const char *const chains[] = {
	"incoming_tcp",   "syn",     "syn_armed",    "syn_watched", "screen",        "queue_syn",    "queue_syn_armed",
	"spill",          "ack",     "ack_armed",    "marked",      "unproven",      "stray",        "unasked",
	"unasked_answer", "syn_fin", "syn_fin_drop", "watched",     "know",          "established",  "answers",
	"resets",         "errors",  "queue_answer", "first_ack",   "server_strays", "server_stray", "known_stray",
	"fresh",          "speaks",  "spoke",        "untimely",    "hush",          "ack_port",     "asked",
	"answers_tcp",
};

/* Each hook costs every packet: it is made when it is first needed, and not taken away again: see ruleset_quiet(). */
enum {
	HOOKS_ALWAYS = 1,
	HOOKS_TRACKING = 2,
	HOOKS_STRAYS = 4,
};
static const struct {
	const char *name;
	uint32_t hook;
	int32_t priority;
	unsigned needed;
} base_chains[] = {
	{"incoming", NF_INET_PRE_ROUTING, PRIORITY_BEFORE_RAW, HOOKS_ALWAYS},
	{"tracked_incoming", NF_INET_PRE_ROUTING, PRIORITY_AFTER_CONNTRACK, HOOKS_ALWAYS},
	{"answers_out", NF_INET_POST_ROUTING, PRIORITY_AFTER_NAT, HOOKS_ALWAYS},
	{"untrack", NF_INET_LOCAL_OUT, PRIORITY_UNTRACK, HOOKS_TRACKING},
	{"tracked_outgoing", NF_INET_LOCAL_OUT, PRIORITY_AFTER_CONNTRACK, HOOKS_TRACKING},
	{"errors_in", NF_INET_LOCAL_IN, PRIORITY_AFTER_FILTER, HOOKS_TRACKING},
	{"strays_forward", NF_INET_FORWARD, PRIORITY_AFTER_CONNTRACK, HOOKS_STRAYS},
};

static unsigned hooks_needed(const struct ruleset *ruleset, const struct ruleset_wanted *wanted, bool light)
{
	bool strays = ruleset->setup.gateway && wanted->strays == RULESET_STRAYS_RESET;

	return HOOKS_ALWAYS | (light ? 0 : HOOKS_TRACKING) | (strays ? HOOKS_STRAYS : 0);
}

static void build_hooks(struct ruleset *ruleset, unsigned hooks)
{
	for (size_t i = 0; i < sizeof(base_chains) / sizeof(base_chains[0]); i++)
		if (base_chains[i].needed & hooks)
			nft_base_chain_add(&ruleset->nft, base_chains[i].name, base_chains[i].hook,
					   base_chains[i].priority);
}

static void build_frame(struct ruleset *ruleset)
{
	struct nft *nft = &ruleset->nft;

	nft_table_add(nft, RULESET_TABLE, NFT_TABLE_F_OWNER, true);
	bindings_build(ruleset, &ruleset->services);
	bindings_build(ruleset, &ruleset->armed);
	nft_set_add(nft, &ruleset->flows_v4, NFT_SET_EVAL | NFT_SET_TIMEOUT, FLOWS_MAX, FLOWS_TIMEOUT_S);
	nft_set_add(nft, &ruleset->watched_v4, NFT_SET_EVAL | NFT_SET_TIMEOUT, WATCHED_MAX, WATCHED_TIMEOUT_S);
	nft_set_add(nft, &ruleset->watched_v6, NFT_SET_EVAL | NFT_SET_TIMEOUT, WATCHED_MAX, WATCHED_TIMEOUT_S);
	nft_set_add(nft, &ruleset->learn_v4, NFT_SET_EVAL | NFT_SET_TIMEOUT, LEARN_MAX, LEARN_TIMEOUT_S);
	nft_set_add(nft, &ruleset->learn_v6, NFT_SET_EVAL | NFT_SET_TIMEOUT, LEARN_MAX, LEARN_TIMEOUT_S);
	nft_set_add(nft, &ruleset->fresh_v4, NFT_SET_EVAL | NFT_SET_TIMEOUT, FRESH_MAX, FRESH_TIMEOUT_S);
	nft_set_add(nft, &ruleset->fresh_v6, NFT_SET_EVAL | NFT_SET_TIMEOUT, FRESH_MAX, FRESH_TIMEOUT_S);
	nft_set_add(nft, &ruleset->spoke_v4, NFT_SET_EVAL | NFT_SET_TIMEOUT, FRESH_MAX, FRESH_TIMEOUT_S);
	nft_set_add(nft, &ruleset->spoke_v6, NFT_SET_EVAL | NFT_SET_TIMEOUT, FRESH_MAX, FRESH_TIMEOUT_S);
	nft_set_add(nft, &ruleset->flows_v6, NFT_SET_EVAL | NFT_SET_TIMEOUT, FLOWS_MAX, FLOWS_TIMEOUT_S);
	for (size_t i = 0; i < sizeof(chains) / sizeof(chains[0]); i++)
		nft_chain_add(nft, chains[i]);
	lists_build(ruleset);
}

static void flush_frame(struct ruleset *ruleset)
{
	struct nft *nft = &ruleset->nft;

	for (size_t i = 0; i < sizeof(chains) / sizeof(chains[0]); i++)
		nft_rules_flush(nft, chains[i]);
	for (size_t i = 0; i < sizeof(base_chains) / sizeof(base_chains[0]); i++)
		if (base_chains[i].needed & ruleset->hooks)
			nft_rules_flush(nft, base_chains[i].name);
}

static int apply(struct ruleset *ruleset, const struct ruleset_wanted *wanted)
{
	struct nft *nft = &ruleset->nft;
	bool light = !ruleset->armed_before && !rules_honoured(ruleset, wanted);
	unsigned hooks = hooks_needed(ruleset, wanted, light);
	int error;

	nft_begin(nft);
	closed_put(ruleset, wanted);
	if (ruleset->built)
		flush_frame(ruleset);
	else
		build_frame(ruleset);
	build_hooks(ruleset, hooks & ~ruleset->hooks);
	bindings_want(&ruleset->services, wanted->services, wanted->service_count);
	bindings_want(&ruleset->armed, NULL, 0);
	rules_incoming(ruleset, wanted, light);
	rules_syn(ruleset, wanted, light);
	if (light)
		rules_light_tracked(ruleset);
	else
		rules_tracking(ruleset, wanted);
	bindings_put(nft, &ruleset->services, wanted->services, wanted->service_count);
	bindings_put(nft, &ruleset->armed, wanted->armed, wanted->armed_count);
	lists_put(ruleset, wanted);
	error = nft_commit(nft);
	if (error)
		return error;
	ruleset->built = true;
	ruleset->hooks |= hooks;
	ruleset->armed_before |= !light;
	bindings_are_put(&ruleset->services);
	closed_is_put(ruleset, wanted);
	lists_are_put(ruleset, wanted);
	return 0;
}

int ruleset_apply(struct ruleset *ruleset, const struct ruleset_wanted *wanted)
{
	int error = apply(ruleset, wanted);

	if (error == -ENOENT &&
	    ruleset->closed_built) { /* somebody has deleted it, and ruleset_lost() not said so yet */
		ruleset->closed_built = ruleset->closed_spoilt = false;
		error = apply(ruleset, wanted);
	}
	return error;
}

/* ---- what a kernel may lack ---- */

struct nftnl_rule *probe_begin(struct nft *nft)
{
	nft->table = "synmoat_probe";
	nft_begin(nft);
	nft_table_add(nft, nft->table, 0, false);
	nft_base_chain_add(nft, "probe", NF_INET_PRE_ROUTING, PRIORITY_BEFORE_RAW);
	return nft_rule(nft, "probe");
}

int probe_end(struct nft *nft, struct nftnl_rule *rule)
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
	nft_queue(nft, rule, 0, 1, true);
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

bool probe_table(struct nft *nft, const char *name)
{
	nft_begin(nft);
	nft_table_add(nft, name, 0, true);
	return nft_dry_run(nft) == -EEXIST;
}

static int probe_reject(struct nft *nft)
{
	struct nftnl_rule *rule = probe_begin(nft);

	nft->reject = true;
	nft_reset(nft, rule);
	return probe_end(nft, rule);
}

static void name_sets(struct ruleset *ruleset)
{
	static const char *const services[BINDINGS_SETS] = {"service_port", "service_v4", "service_v6",
							    "service_nets_v4", "service_nets_v6"};
	static const char *const armed[BINDINGS_SETS] = {"armed_port", "armed_v4", "armed_v6", "armed_nets_v4",
							 "armed_nets_v6"};

	bindings_init(&ruleset->services, services);
	bindings_init(&ruleset->armed, armed);
	ruleset->flows_v4 = (struct nft_set){"flows_v4", 0, FLOW_KEY_V4_BYTES, TYPE_FLOW(NFT_TYPE_IPV4)};
	ruleset->flows_v6 = (struct nft_set){"flows_v6", 0, FLOW_KEY_V6_BYTES, TYPE_FLOW(NFT_TYPE_IPV6)};
	ruleset->watched_v4 = (struct nft_set){"watched_v4", 0, FLOW_KEY_V4_BYTES, TYPE_FLOW(NFT_TYPE_IPV4)};
	ruleset->watched_v6 = (struct nft_set){"watched_v6", 0, FLOW_KEY_V6_BYTES, TYPE_FLOW(NFT_TYPE_IPV6)};
	ruleset->fresh_v4 = (struct nft_set){"fresh_v4", 0, FLOW_KEY_V4_BYTES, TYPE_FLOW(NFT_TYPE_IPV4)};
	ruleset->fresh_v6 = (struct nft_set){"fresh_v6", 0, FLOW_KEY_V6_BYTES, TYPE_FLOW(NFT_TYPE_IPV6)};
	ruleset->spoke_v4 = (struct nft_set){"spoke_v4", 0, FLOW_KEY_V4_BYTES, TYPE_FLOW(NFT_TYPE_IPV4)};
	ruleset->spoke_v6 = (struct nft_set){"spoke_v6", 0, FLOW_KEY_V6_BYTES, TYPE_FLOW(NFT_TYPE_IPV6)};
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
	ruleset->hooks = 0;
	ruleset->armed_before = setup->gateway;
	name_sets(ruleset);
	closed_init(ruleset);
	lists_init(ruleset);

	nft->named_counters = probe_counter(nft) == 0; /* without: lists work, but nobody counts */
	nft->reject = probe_reject(nft) == 0;          /* without: strays are dropped */
	spill_init(ruleset);
	ruleset->closed_inherited = probe_table(nft, RULESET_CLOSED);
	ruleset->keeper_inherited = probe_table(nft, RULESET_KEEPER);
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
	if (ruleset->closed_built && !ruleset->closed_count) {
		nft_begin(nft);
		nft_table_delete(nft, RULESET_CLOSED);
		nft_commit(nft);
	}
	if (!keep) {
		nft_begin(nft);
		nft_table_delete(nft, RULESET_KEEPER);
		nft_commit(nft);
	}
	mnl_socket_close(ruleset->events);
	nft_close(nft);
}
