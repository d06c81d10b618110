/* SPDX-License-Identifier: GPL-2.0-or-later */
/* checks: what only a daemon that runs knows to be wrong, with its host or with the gateways beside it; the rest is
 * preflight's. */
#include <stdio.h>
#include <string.h>

#include "edge/host.h"
#include "edge/marks.h"
#include "face/report.h"
#include "preflight.h"
#include "supervisor_parts.h"

#define CHECK_NS 300000000ULL /* as long nobody looks after the services */
#define LEFT_OUT_LATELY_NS (60 * 1000000000ULL)

int supervisor_refuses(const struct config *config, char *error, size_t error_bytes)
{
	return host_check(0, error, error_bytes) < 0 ? -1 : secrets_refuse(config, error, error_bytes);
}

void supervisor_say_host(struct supervisor *supervisor)
{
	const char *missing = preflight_forwarding_missing(&supervisor->config);

	struct event event;

	if (missing) {
		event_begin(&event, EVENT_FORWARDING_MISSING,
			    "mode gateway, but this host does not forward: sysctl %s = 1 is missing", missing);
		event_text(&event, "sysctl", missing);
		supervisor_tell(supervisor, &event);
	}
	if (supervisor->config.gateway.strays == STRAYS_RESET && !supervisor->ruleset.nft.reject) {
		event_begin(
			&event, EVENT_STRAYS_NOT_RESET,
			"strays are dropped, not reset: this kernel's nftables has no reject (CONFIG_NFT_REJECT_INET)");
		supervisor_tell(supervisor, &event);
	}
}

/* ---- one line each ---- */

/* Nothing to say in peace. */
static void check_allowed(const struct supervisor *supervisor, struct checks *checks)
{
	int index = supervisor->allowed_press.service;

	if (index >= 0)
		checks_note(
			checks, REPORT_FAULT, "allow",
			"SYNs of allowed sources, or in their name, fill the backlog of service %s: take them off the "
			"list, see synmoatctl allow list",
			supervisor->registry.services[index].name);
}

static void check_services(const struct supervisor *supervisor, struct checks *checks)
{
	const struct registry *registry = &supervisor->registry;
	unsigned servers = 0;
	unsigned networks = 0;
	unsigned silent = 0;

	for (unsigned i = 0; i < registry->service_count; i++) {
		const struct service *service = &registry->services[i];

		if (!service->in_use)
			continue;
		networks += service->host_bits > 0;
		servers += !service->host_bits;
		silent += !service->host_bits && !service_may_be_answered_for(service);
	}
	if (registry->left_out)
		checks_note(checks, REPORT_FAULT, "services", "%u are not protected: there is room for %d",
			    registry->left_out, SERVICES_MAX);
	else if (registry->found_left_out_ns && worker_now_ns() - registry->found_left_out_ns < LEFT_OUT_LATELY_NS)
		checks_note(checks, REPORT_FAULT, "services",
			    "servers found in networks are not protected: there is room for %d services", SERVICES_MAX);
	else if (silent)
		checks_note(
			checks, REPORT_WARNING, "services",
			"%u of %u are not answered for: their servers refuse, or no answer of theirs has come by so far",
			silent, servers);
	else if (networks && !servers)
		checks_note(checks, REPORT_WARNING, "services", "%u networks, in which no server has answered yet",
			    networks);
	else
		checks_note(checks, REPORT_OK, "services", "%u, all of them can be answered for", servers);
}

static void check_control(const struct supervisor *supervisor, struct checks *checks)
{
	const char *warning = control_warning(supervisor->control);
	const struct config *config = &supervisor->config;

	if (*warning)
		checks_note(checks, REPORT_WARNING, "control", "%s", warning);
	else
		checks_note(checks, REPORT_OK, "control", "%s may look, root%s%s may change something",
			    config->control_access == ACCESS_EVERYBODY ? "everybody" : "who is in the socket's group",
			    config->has_control_group ? " and group " : "", config->control_group);
}

/* ---- beside other gateways ---- */

static void check_secret(const struct supervisor *supervisor, struct checks *checks)
{
	if (supervisor->said_masters)
		checks_note(checks, REPORT_FAULT, "secret", "%s cannot be read: the log says why",
			    supervisor->config.gateway.secret_file);
	else if (supervisor->kept->masters.count)
		checks_note(checks, REPORT_OK, "secret", "shared; fingerprint %08x in epoch %u",
			    cookie_fingerprint(&supervisor->kept->secret), supervisor->kept->secret.epoch);
	else
		checks_note(checks, REPORT_OK, "secret", "of this host alone");
}

/* Without the offset the connection's packets would go on with numbers that one end does not know. */
static void check_replication(struct supervisor *supervisor, struct checks *checks)
{
	size_t with, without;
	int error = conntrack_count_marked(&supervisor->conntrack, MARK_HANDED_OVER, MARK_BITS, &with, &without);

	if (error)
		checks_note(checks, REPORT_FAULT, "replication", "conntrack cannot be read: %s", strerror(-error));
	else if (without)
		checks_note(checks, REPORT_FAULT, "replication",
			    "%zu of %zu handed-over connections have no sequence offset and cannot live on here: "
			    "see SEVERAL GATEWAYS in synmoat(7)",
			    without, with + without);
	else if (!with)
		checks_note(checks, REPORT_OK, "replication", "no handed-over connection in this kernel%s",
			    supervisor->kept->masters.count
				    ? ", so nothing is shown: on a standby commit first, see synmoat(7)"
				    : "");
	else
		checks_note(checks, REPORT_OK, "replication",
			    "%zu handed-over connections, here or replicated, all with their sequence offset", with);
}

static void check_strays(const struct supervisor *supervisor, struct checks *checks)
{
	const struct config *config = &supervisor->config;

	if (config->gateway.strays == STRAYS_RESET && !supervisor->ruleset.nft.reject)
		checks_note(checks, REPORT_WARNING, "strays",
			    "are dropped, not reset: this kernel's nftables has no reject (CONFIG_NFT_REJECT_INET)");
	if (!supervisor->kept->masters.count)
		return;
	if (host_sysctl("net/netfilter/nf_conntrack_tcp_loose") > 0)
		checks_note(checks, REPORT_WARNING, "strays",
			    "conntrack takes connections of other gateways up in their middle, without their offset: "
			    "sysctl net.netfilter.nf_conntrack_tcp_loose = 0");
	else if (supervisor->grace_until_ns)
		checks_note(
			checks, REPORT_WARNING, "strays",
			"connections of other gateways pass without their offset until grace_s is over: set it to 0");
	else
		checks_note(checks, REPORT_OK, "strays", "no connection of another gateway passes without its offset");
}

void supervisor_check(struct supervisor *supervisor, bool json, FILE *out)
{
	static struct checks checks;

	checks = (struct checks){.until_ns = worker_now_ns() + CHECK_NS};
	preflight_host(&supervisor->config, &checks);
	accelerator_check(supervisor, &checks);
	check_services(supervisor, &checks);
	check_control(supervisor, &checks);
	check_allowed(supervisor, &checks);
	check_secret(supervisor, &checks);
	check_replication(supervisor, &checks);
	check_strays(supervisor, &checks);
	report_checks(checks.lines, checks.count, json, out);
}
