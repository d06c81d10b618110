/* SPDX-License-Identifier: GPL-2.0-or-later */
/* netlink: whatever the kernel may answer, to whoever of the edge has asked: the first byte says who. */
#include <dlfcn.h>
#include <libnftnl/set.h>
#include <linux/netfilter/nfnetlink.h>
#include <setjmp.h>

#include "edge/conntrack.h"
#include "edge/host.h"
#include "edge/kernel_counters.h"
#include "edge/links.h"
#include "edge/listeners.h"
#include "edge/nft.h"
#include "edge/nft_others.h"
#include "edge/queue.h"
#include "edge/ruleset_parts.h"
#include "edge/spill.h"
#include "netlink.h"

#define BATCH 3

static struct flow some_flow(bool v6)
{
	static const uint8_t wire[32] = {192, 0, 2, 1, [16] = 198, 18, 0, 1};

	return (struct flow){
		.client = v6 ? addr_from_v6(wire + 16) : addr_from_v4(wire + 16),
		.server = v6 ? addr_from_v6(wire) : addr_from_v4(wire),
		.client_port = 40000,
		.server_port = 80,
	};
}

/* ---- what libnftnl takes for granted ---- */

#define NFTNL_VALUE_BYTES 64

int __real_nftnl_rule_nlmsg_parse(const struct nlmsghdr *header, struct nftnl_rule *rule);
int __wrap_nftnl_rule_nlmsg_parse(const struct nlmsghdr *header, struct nftnl_rule *rule);
int __real_nftnl_set_elems_nlmsg_parse(const struct nlmsghdr *header, struct nftnl_set *set);
int __wrap_nftnl_set_elems_nlmsg_parse(const struct nlmsghdr *header, struct nftnl_set *set);

/* No value is longer than a kernel has room for: what is, is a nest, and all in it fits. */
static bool fits(const struct nlattr *nest)
{
	int bytes = mnl_attr_get_payload_len(nest);
	const struct nlattr *attr = mnl_attr_get_payload(nest);

	if (bytes <= NFTNL_VALUE_BYTES)
		return true;
	for (; mnl_attr_ok(attr, bytes); attr = mnl_attr_next(attr)) {
		if (!fits(attr))
			return false;
		bytes -= MNL_ALIGN(attr->nla_len);
	}
	return bytes <= 0;
}

static bool expression_is_whole(const struct nlattr *expression);

static bool expressions_are_whole(const struct nlattr *list)
{
	const struct nlattr *expression;

	mnl_attr_for_each_nested(expression, list)
	{
		if (!expression_is_whole(expression))
			return false;
	}
	return true;
}

/* It has expressions of its own. */
static bool dynset_is_whole(const struct nlattr *data)
{
	const struct nlattr *attr;
	bool whole = true;

	mnl_attr_for_each_nested(attr, data)
	{
		if (mnl_attr_get_type(attr) == NFTA_DYNSET_EXPR)
			whole &= expression_is_whole(attr);
		else if (mnl_attr_get_type(attr) == NFTA_DYNSET_EXPRESSIONS)
			whole &= expressions_are_whole(attr);
	}
	return whole;
}

static bool expression_is_whole(const struct nlattr *expression)
{
	const struct nlattr *attr;
	const char *name = NULL;
	bool whole = true;

	mnl_attr_for_each_nested(attr, expression)
	{
		if (mnl_attr_get_type(attr) == NFTA_EXPR_NAME && mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) == 0)
			name = mnl_attr_get_str(attr);
		else if (mnl_attr_get_type(attr) == NFTA_EXPR_DATA)
			whole &= dynset_is_whole(attr);
	}
	if (!name || (strcmp(name, "dynset") == 0 && !whole))
		return false;
	return strcmp(name, "match") == 0 || strcmp(name, "target") == 0 || fits(expression);
}

/* libnftnl 1.2.4 looks for an expression without a name at address 0, and writes a value that no register holds behind its
 * buffer: no kernel has either. */
int __wrap_nftnl_rule_nlmsg_parse(const struct nlmsghdr *header, struct nftnl_rule *rule)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, header, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(attr) == NFTA_RULE_EXPRESSIONS && !expressions_are_whole(attr))
			return -1;
	}
	return __real_nftnl_rule_nlmsg_parse(header, rule);
}

/* It notes attributes of elements up to the number of those of sets, beyond its table of them, which is on the stack. */
static bool element_is_whole(const struct nlattr *element)
{
	const struct nlattr *attr;
	bool whole = true;

	mnl_attr_for_each_nested(attr, element)
	{
		whole &= mnl_attr_get_type(attr) <= NFTA_SET_ELEM_MAX;
		if (mnl_attr_get_type(attr) == NFTA_SET_ELEM_EXPR)
			whole &= expression_is_whole(attr);
		else if (mnl_attr_get_type(attr) == NFTA_SET_ELEM_EXPRESSIONS)
			whole &= expressions_are_whole(attr);
	}
	return whole;
}

static bool elements_are_whole(const struct nlattr *elements)
{
	const struct nlattr *element;

	mnl_attr_for_each_nested(element, elements)
	{
		if (!element_is_whole(element))
			return false;
	}
	return true;
}

int __wrap_nftnl_set_elems_nlmsg_parse(const struct nlmsghdr *header, struct nftnl_set *set)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, header, sizeof(struct nfgenmsg))
	{
		if (!fits(attr) ||
		    (mnl_attr_get_type(attr) == NFTA_SET_ELEM_LIST_ELEMENTS && !elements_are_whole(attr)))
			return -1;
	}
	return __real_nftnl_set_elems_nlmsg_parse(header, set);
}

/* And where an attribute is not of the size that it knows, libnftnl ends the process (abi_breakage()): to go on, its
 * exit() is ours, and what it had allocated is lost. */
static jmp_buf before_the_end;
static bool running;

const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libnftnl\nleak:nftnl_\nleak:chain_seen\nleak:counter_seen\nleak:rule_seen\nleak:elements_seen\nleak:element_append\nleak:find_zone\n";
}

void exit(int code)
{
	void (*others)(int code) = (void (*)(int))dlsym(RTLD_NEXT, "exit");

	if (running)
		longjmp(before_the_end, 1);
	others(code);
	abort();
}

/* ---- conntrack ---- */

static struct conntrack conntrack;
static size_t netlink_bytes; /* of the input */

static void entry_is_sound(const struct conntrack_entry *entry)
{
	must(entry->labels_bytes <= CONNTRACK_LABELS_BYTES);
	must(memchr(entry->helper, '\0', sizeof(entry->helper)));
	must(entry->adjusted == (entry->delta != 0));
}

static void conntrack_one(uint8_t kind)
{
	struct flow flow = some_flow(kind & 1);
	struct conntrack_entry entry;

	if (conntrack_get(&conntrack, &flow, kind & 2, &entry) == 0)
		entry_is_sound(&entry);
	conntrack_delete(&conntrack, &flow);
}

static void conntrack_all(uint8_t kind)
{
	struct conntrack_handover handovers[BATCH] = {0};

	for (unsigned i = 0; i < BATCH; i++) {
		handovers[i].flow = some_flow(kind & 1);
		handovers[i].splice = (struct conntrack_splice){.delta = 7, .wscale = kind & 2, .sack = kind & 4};
	}
	conntrack_get_all(&conntrack, handovers, BATCH);
	for (unsigned i = 0; i < BATCH; i++)
		if (!handovers[i].error)
			entry_is_sound(&handovers[i].entry);
	conntrack_splice_all(&conntrack, handovers, BATCH); /* what was read is built anew */
}

static void conntrack_marked(uint8_t kind)
{
	size_t with, without;

	conntrack_count_marked(&conntrack, kind, UINT32_MAX, &with, &without);
	must(with + without <= netlink_bytes / sizeof(struct nlmsghdr));
}

static void conntrack_numbers(uint8_t kind)
{
	struct kernel_conntrack stats;

	(void)kind;
	conntrack_stats(&conntrack, &stats);
}

/* ---- sockets ---- */

static void listeners(uint8_t kind)
{
	struct listener *all = NULL;
	int count = listeners_read(&all);

	(void)kind;
	for (int i = 0; i < count; i++) {
		must(!all[i].serves_v4 || all[i].any_address || addr_is_v4(&all[i].address));
		for (int k = 0; k < i; k++)
			must(all[i].port != all[k].port || !addr_equal(&all[i].address, &all[k].address));
	}
	if (count >= 0)
		free(all);
}

static void flows(uint8_t kind)
{
	static const uint16_t ports[2] = {80, 443};
	struct flow *all = NULL;
	int count = listeners_flows(ports, 2, kind & 1 ? LISTENERS_CONNECTED : LISTENERS_HALF_OPEN, 4, &all);

	must(count <= 4);
	for (int i = 0; i < count; i++)
		must(all[i].server_port == 80 || all[i].server_port == 443);
	if (count >= 0)
		free(all);
}

static void half_open(uint8_t kind)
{
	static struct half_open_count counts[SERVICES_MAX];
	struct service_binding bindings[2] = {{some_flow(false).server, 80, 3, 0}, {some_flow(true).server, 80, 4, 0}};
	struct service_map *map = service_map_new(bindings, 2);

	memset(counts, 0, sizeof(counts));
	listeners_half_open(map, kind, counts);
	for (unsigned i = 0; i < SERVICES_MAX; i++)
		must(counts[i].young <= counts[i].all && (i == 3 || i == 4 || !counts[i].all));
	service_map_free(map);
}

/* ---- interfaces ---- */

static void links(uint8_t kind)
{
	struct links all = {.links = NULL};

	if (links_read(&all, kind & 1) == 0) {
		must(all.count <= LINKS_MAX && all.address_count <= LINKS_ADDRESSES_MAX);
		for (size_t i = 0; i < all.count; i++)
			must(memchr(all.links[i].name, '\0', IF_NAMESIZE) &&
			     (!all.links[i].leads_out || all.links[i].ethernet));
		for (size_t i = 0; i < all.address_count; i++)
			must(!addr_is_loopback(&all.addresses[i]));
	}
	links_free(&all);
}

static void links_watched(uint8_t kind)
{
	(void)kind;
	links_changed(NETLINK_FD);
}

static void host(uint8_t kind)
{
	char error[512];

	(void)kind;
	error[0] = '\0';
	if (host_check(0, error, sizeof(error)) != 0)
		must(error[0] && memchr(error, '\0', sizeof(error)));
}

/* ---- packets ---- */

static void queued(uint8_t kind)
{
	struct queue_setup setup = {.number = 7, .copy_bytes = 256, .length = 16, .batch = BATCH};
	struct queue *queue = queue_open(&setup);
	struct queued packets[BATCH];
	unsigned count, sum = 0;

	(void)kind;
	if (!queue)
		return;
	count = queue_receive(queue, packets);
	must(count <= BATCH);
	for (unsigned i = 0; i < count; i++) {
		must(packets[i].data || !packets[i].bytes);
		for (uint32_t b = 0; b < packets[i].bytes; b++)
			sum += packets[i].data[b];
		queue_pass_in_order(queue, packets[i].id + sum, packets[i].mark);
	}
	queue_flush(queue);
	queue_close(queue);
}

static void spilled(uint8_t kind)
{
	struct spill *spill = spill_open(7);
	struct spilled packets[SPILL_BATCH];
	unsigned count, sum = 0;

	(void)kind;
	if (!spill)
		return;
	for (unsigned round = 0; round < 2; round++) {
		count = spill_receive(spill, packets);
		must(count <= SPILL_BATCH);
		for (unsigned i = 0; i < count; i++) {
			must(packets[i].data || !packets[i].bytes);
			for (uint32_t b = 0; b < packets[i].bytes; b++)
				sum += packets[i].data[b];
			for (uint32_t b = 0; packets[i].link && b < SPILL_LINK_BYTES; b++)
				sum += packets[i].link[b];
		}
	}
	must(sum < UINT32_MAX);
	spill_close(spill);
}

/* ---- nftables ---- */

static struct nft nft;

static void elements(uint8_t kind)
{
	struct nft_set set = {"bans", 0, kind & 1 ? 16 : 4, 0};
	struct nft_element *all = NULL;
	int count = nft_elements_read(&nft, &set, &all);

	for (int i = 1; i < count; i++)
		must(memcmp(all[i - 1].key, all[i].key, NFT_ELEMENT_KEY_MAX) < 0);
	if (count >= 0)
		free(all);
}

static void counters(uint8_t kind)
{
	static const char *const names[2] = {"allowed", "denied"};
	uint64_t packets[2];

	(void)kind;
	nft_counters_read(&nft, names, packets, 2);
}

static void zones(uint8_t kind)
{
	char where[256] = "";

	(void)kind;
	if (nft_zone_find(&nft, where, sizeof(where)) == 1)
		must(where[0] && memchr(where, '\0', sizeof(where)));
}

static void others(uint8_t kind)
{
	static const char *const ours[] = {"synmoat", NULL};
	static uint8_t ports[8192];
	struct nft_others_wanted wanted = {.ours = ours,
					   .queue_first = 3,
					   .queue_last = 6,
					   .ports = ports,
					   .mark_bits = 0xff00,
					   .mark_out = 0x100};
	struct nft_other found[NFT_OTHER_KINDS];

	ports[80 / 8] |= 1U << 80 % 8;
	(void)kind;
	if (nft_others_find(&nft, &wanted, found) != 0)
		return;
	for (unsigned i = 0; i < NFT_OTHER_KINDS; i++)
		must(!found[i].count || (found[i].chain[0] && memchr(found[i].chain, '\0', sizeof(found[i].chain))));
}

/* Transactions: what the kernel complains about. */
static void committed(uint8_t kind)
{
	nft_begin(&nft);
	nft_table_add(&nft, "t", 0, kind & 1);
	nft_commit(&nft);
	must(!nft.batch);
}

static struct ruleset ruleset;

static void lost(uint8_t kind)
{
	ruleset.nft.socket = nft.socket;
	ruleset.events = nft.socket;
	ruleset.closed_built = kind & 1;
	must(!ruleset_lost(&ruleset).closed || kind & 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static void (*const all[])(uint8_t kind) = {
		conntrack_one,
		conntrack_all,
		conntrack_marked,
		conntrack_numbers,
		listeners,
		flows,
		half_open,
		links,
		links_watched,
		host,
		queued,
		spilled,
		elements,
		counters,
		zones,
		others,
		committed,
		lost,
	};
	volatile uint8_t who;

	netlink_input = (struct input){data, bytes};
	netlink_bytes = bytes;
	who = input_8(&netlink_input);
	conntrack_open(&conntrack);
	conntrack.seq = 1000;
	nft_open(&nft);
	nft.seq = 1000;
	nft.table = "synmoat";
	nft.named_counters = true;
	running = true;
	if (setjmp(before_the_end) == 0)
		all[who % (sizeof(all) / sizeof(all[0]))](input_8(&netlink_input));
	running = false;
	netlink_unpoison();
	return 0;
}
