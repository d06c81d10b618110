/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is beside us on this host: servers, and the rules of others. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/host.h"
#include "edge/listeners.h"
#include "edge/marks.h"
#include "edge/nft_others.h"
#include "edge/ruleset.h"
#include "preflight_parts.h"
#include "supervisor_parts.h"

#define BACKLOG_TINY 16 /* SYNs: less than one source alone may hold (sources.half_open_limit) */
#define SOMAXCONN_SMALL 128
#define PORTS_TOLD 8
#define PRIORITY_OF_OURS -310 /* of our first hook (edge/ruleset.c) */

#define PORTS 65536
struct ports {
	uint8_t bits[PORTS / 8];
};

static void ports_add(struct ports *ports, uint16_t port)
{
	ports->bits[port / 8] |= (uint8_t)(1U << port % 8);
}

static bool ports_have(const struct ports *ports, uint16_t port)
{
	return ports->bits[port / 8] & 1U << port % 8;
}

/* Ports, whatever their address. */
static void ports_protected(const struct config *config, const struct listener *listeners, int count,
			    struct ports *ports)
{
	memset(ports, 0, sizeof(*ports));
	for (size_t i = 0; i < config->service_count; i++)
		for (size_t p = 0; p < config->services[i].port_count; p++)
			ports_add(ports, config->services[i].ports[p]);
	for (int i = 0; config->auto_services && i < count; i++)
		if (!addr_is_loopback(&listeners[i].address))
			ports_add(ports, listeners[i].port);
}

/* ---- listeners ---- */

/* Some of the ports, each once, and with its backlog: "80 (5), 443 (5)". */
struct told {
	char text[PORTS_TOLD * sizeof("65535 (4294967295), ") + sizeof(" and more")];
	unsigned count;
};

static void tell(struct told *told, const struct listener *listener)
{
	size_t used = strlen(told->text);

	if (told->count++ < PORTS_TOLD)
		snprintf(told->text + used, sizeof(told->text) - used, "%s%u (%u)", used ? ", " : "", listener->port,
			 listener->backlog);
	else if (told->count == PORTS_TOLD + 1)
		snprintf(told->text + used, sizeof(told->text) - used, " and more");
}

static void note_backlogs(const struct told *tiny, const struct told *capped, unsigned count, struct checks *checks)
{
	long somaxconn = host_sysctl("net/core/somaxconn");
	long syn_backlog = host_sysctl("net/ipv4/tcp_max_syn_backlog");

	if (somaxconn >= 0 && somaxconn < SOMAXCONN_SMALL)
		checks_note(
			checks, REPORT_WARNING, "listeners",
			"net.core.somaxconn = %ld holds every backlog down: set it to 4096, and start the servers anew",
			somaxconn);
	if (capped->count)
		checks_note(
			checks, REPORT_WARNING, "listeners",
			"net.ipv4.tcp_max_syn_backlog = %ld holds the backlog down while tcp_syncookies is 0, of port "
			"%s: raise it, or set tcp_syncookies = 1",
			syn_backlog, capped->text);
	if (tiny->count)
		checks_note(
			checks, REPORT_WARNING, "listeners",
			"a backlog as tiny as that of port %s is full with so many SYNs, before a flood is told from a "
			"crowd: raise it in the server's configuration (its listen(2) call)",
			tiny->text);
	else if (count)
		checks_note(checks, REPORT_OK, "listeners", "%u to protect, none with a backlog below %d", count,
			    BACKLOG_TINY);
	else
		checks_note(checks, REPORT_WARNING, "listeners", "no server listens on a port that is to be protected");
}

void preflight_listeners(const struct config *config, struct checks *checks)
{
	static struct ports ports;
	struct told tiny = {0}, capped = {0}, full = {0};
	struct listener *listeners = NULL;
	int count = listeners_read(&listeners);
	long syn_backlog = host_sysctl("net/ipv4/tcp_max_syn_backlog");
	bool caps =
		host_sysctl("net/ipv4/tcp_syncookies") == 0; /* tcp_conn_request(): with cookies it does not matter */
	unsigned protected = 0;

	if (count < 0) /* told by check_kernel() */
		return;
	ports_protected(config, listeners, count, &ports);
	for (int i = 0; i < count; i++) {
		const struct listener *listener = &listeners[i];

		if (!ports_have(&ports, listener->port) || addr_is_loopback(&listener->address))
			continue;
		protected++;
		if (listener->backlog < BACKLOG_TINY)
			tell(&tiny, listener);
		else if (caps && listener->backlog == syn_backlog - syn_backlog / 4)
			tell(&capped, listener);
		if (listener->accept_queue_full)
			tell(&full, listener);
	}
	note_backlogs(&tiny, &capped, protected, checks);
	if (full.count)
		checks_note(
			checks, REPORT_WARNING, "accept",
			"the accept queue is full of port %s: new clients wait until the server takes older ones: it is "
			"too slow, or hangs",
			full.text);
	free(listeners);
}

/* ---- rules of others ---- */

#define AND_MORE(other) (other).chain, (other).count > 1 ? " and others" : ""

static void note_rules(const struct nft_other found[NFT_OTHER_KINDS], struct checks *checks)
{
	const struct nft_other *other = found;

	if (other[NFT_OTHER_SYNPROXY].count)
		checks_note(
			checks, REPORT_FAULT, "rules",
			"chain %s%s: synproxy answers the SYNs of a protected port a second time: take the rule away",
			AND_MORE(other[NFT_OTHER_SYNPROXY]));
	if (other[NFT_OTHER_QUEUE].count)
		checks_note(checks, REPORT_FAULT, "rules",
			    "chain %s%s: a rule leads to a queue of ours: change its number, or queues.first in the "
			    "configuration",
			    AND_MORE(other[NFT_OTHER_QUEUE]));
	if (other[NFT_OTHER_NOTRACK].count)
		checks_note(
			checks, REPORT_WARNING, "rules",
			"chain %s%s: notrack exempts a protected port, or may, from connection tracking: then it cannot "
			"be protected: leave the port out of the rule",
			AND_MORE(other[NFT_OTHER_NOTRACK]));
	if (other[NFT_OTHER_OUTPUT].count)
		checks_note(checks, REPORT_WARNING, "rules",
			    "chain %s%s drops what no rule accepts, and none accepts our SYN-ACKs by their mark: nft "
			    "'insert rule %s meta mark & 0x%08x == 0x%08x accept'",
			    AND_MORE(other[NFT_OTHER_OUTPUT]), other[NFT_OTHER_OUTPUT].chain, MARK_BITS,
			    MARK_UNTRACKED);
	if (other[NFT_OTHER_MARK].count)
		checks_note(
			checks, REPORT_WARNING, "rules",
			"chain %s%s: a rule changes bits of the mark that are ours, those of 0x%08x: let it keep them: "
			"meta mark set meta mark & 0x%08x | ...",
			AND_MORE(other[NFT_OTHER_MARK]), MARK_BITS, MARK_BITS);
	if (other[NFT_OTHER_LIMIT].count)
		checks_note(
			checks, REPORT_WARNING, "rules",
			"chain %s%s: a limit comes before synmoatd, which does not see what is beyond it: a flood takes "
			"the place of clients there: take the rule away, or give its chain a priority above -300",
			AND_MORE(other[NFT_OTHER_LIMIT]));
}

void preflight_rules(const struct config *config, struct checks *checks)
{
	static const char *const ours[] = {RULESET_TABLE, RULESET_KEEPER, RULESET_CLOSED, NULL};
	static struct ports ports;
	struct nft_other found[NFT_OTHER_KINDS];
	struct listener *listeners = NULL;
	int listening = listeners_read(&listeners);
	struct nft_others_wanted wanted = {
		.ours = ours,
		.queue_first = (uint16_t)config->queues.first,
		.queue_last = (uint16_t)(config->queues.first + 3 * supervisor_shards(config) - 1),
		.ports = ports.bits,
		.mark_bits = MARK_BITS,
		.mark_out = MARK_UNTRACKED,
		.priority = PRIORITY_OF_OURS,
	};
	size_t before = checks->count;
	struct nft *nft = malloc(sizeof(*nft));
	int error = nft ? nft_open(nft) : -ENOMEM;

	ports_protected(config, listeners, listening, &ports);
	free(listening < 0 ? NULL : listeners);
	if (!error) {
		nft->until_ns = checks->until_ns;
		error = nft_others_find(nft, &wanted, found);
		nft_close(nft);
	}
	free(nft);
	if (error == -ETIME)
		checks_note(checks, REPORT_WARNING, "rules",
			    "others have too many to be read while synmoatd protects: ask synmoatd -k");
	else if (error)
		checks_note(checks, REPORT_WARNING, "rules", "those of others cannot be read: %s", strerror(-error));
	else
		note_rules(found, checks);
	if (checks->count == before)
		checks_note(checks, REPORT_OK, "rules", "none of others in nftables is in the way");
}
