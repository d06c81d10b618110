/* SPDX-License-Identifier: GPL-2.0-or-later */
/* checks: what may be wrong with this host, or with the gateways beside it: before the start, and when an operator asks. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "edge/host.h"
#include "edge/marks.h"
#include "face/report.h"
#include "log.h"
#include "supervisor_parts.h"

#define CHECKS_MAX 16
#define CONNTRACK_FULL_PERCENT 80
#define LEFT_OUT_LATELY_NS (60 * 1000000000ULL)

int supervisor_refuses(const struct config *config, char *error, size_t error_bytes)
{
	return host_check(error, error_bytes) < 0 ? -1 : secrets_refuse(config, error, error_bytes);
}

static bool wants(const struct config *config, bool v6)
{
	bool any = false;

	for (size_t i = 0; i < config->service_count && !any; i++)
		any = addr_is_v4(&config->services[i].address) != v6;
	return config->mode == MODE_GATEWAY && any;
}

/* The sysctl without which nothing of a family that is wanted is forwarded; NULL if there is none. */
static const char *forwarding_missing(const struct config *config)
{
	if (wants(config, false) && !host_forwards(false))
		return "net.ipv4.ip_forward";
	return wants(config, true) && !host_forwards(true) ? "net.ipv6.conf.all.forwarding" : NULL;
}

void supervisor_say_host(const struct supervisor *supervisor)
{
	const char *missing = forwarding_missing(&supervisor->config);

	if (missing)
		log_warn("mode gateway, but this host does not forward: sysctl %s = 1 is missing", missing);
	if (supervisor->config.gateway.strays == STRAYS_RESET && !supervisor->ruleset.nft.reject)
		log_warn(
			"strays are dropped, not reset: this kernel's nftables has no reject (CONFIG_NFT_REJECT_INET)");
}

/* ---- one line each ---- */

struct checks {
	struct report_check lines[CHECKS_MAX];
	size_t count;
};

__attribute__((format(printf, 4, 5))) static void note(struct checks *checks, enum report_level level, const char *what,
						       const char *format, ...)
{
	struct report_check *line = &checks->lines[checks->count];
	va_list arguments;

	if (checks->count == CHECKS_MAX)
		return;
	checks->count++;
	line->level = level;
	line->what = what;
	va_start(arguments, format);
	vsnprintf(line->text, sizeof(line->text), format, arguments);
	va_end(arguments);
}

static void check_host(const struct supervisor *supervisor, struct checks *checks)
{
	const char *missing = forwarding_missing(&supervisor->config);
	char error[sizeof(checks->lines[0].text)];

	if (host_check(error, sizeof(error)) < 0)
		note(checks, REPORT_FAULT, "host", "%s", error);
	else if (missing)
		note(checks, REPORT_FAULT, "host", "does not forward: set sysctl %s = 1", missing);
	else
		note(checks, REPORT_OK, "host", "no VRF, no conntrack zones in nftables%s",
		     supervisor->config.mode == MODE_GATEWAY ? ", forwards" : "");
}

static void check_conntrack(struct checks *checks)
{
	long count = host_sysctl("net/netfilter/nf_conntrack_count");
	long max = host_sysctl("net/netfilter/nf_conntrack_max");

	if (count < 0 || max <= 0)
		note(checks, REPORT_OK, "conntrack", "not in use");
	else if (count >= max / 100 * CONNTRACK_FULL_PERCENT)
		note(checks, REPORT_WARNING, "conntrack",
		     "%ld of %ld entries: beyond that the kernel drops new connections: raise net.netfilter.nf_conntrack_max",
		     count, max);
	else
		note(checks, REPORT_OK, "conntrack", "%ld of %ld entries", count, max);
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
		note(checks, REPORT_FAULT, "services", "%u are not protected: there is room for %d", registry->left_out,
		     SERVICES_MAX);
	else if (registry->found_left_out_ns && worker_now_ns() - registry->found_left_out_ns < LEFT_OUT_LATELY_NS)
		note(checks, REPORT_FAULT, "services",
		     "servers found in networks are not protected: there is room for %d services", SERVICES_MAX);
	else if (silent)
		note(checks, REPORT_WARNING, "services",
		     "%u of %u are not answered for: their servers refuse, or no answer of theirs has come by so far",
		     silent, servers);
	else if (networks && !servers)
		note(checks, REPORT_WARNING, "services", "%u networks, in which no server has answered yet", networks);
	else
		note(checks, REPORT_OK, "services", "%u, all of them can be answered for", servers);
}

/* ---- beside other gateways ---- */

static void check_secret(const struct supervisor *supervisor, struct checks *checks)
{
	if (supervisor->said_masters)
		note(checks, REPORT_FAULT, "secret", "%s cannot be read: the log says why",
		     supervisor->config.gateway.secret_file);
	else if (supervisor->masters.count)
		note(checks, REPORT_OK, "secret", "shared; fingerprint %08x in epoch %u",
		     cookie_fingerprint(&supervisor->secret), supervisor->secret.epoch);
	else
		note(checks, REPORT_OK, "secret", "of this host alone");
}

/* Without the offset the connection's packets would go on with numbers that one end does not know. */
static void check_replication(struct supervisor *supervisor, struct checks *checks)
{
	size_t with, without;
	int error = conntrack_count_marked(&supervisor->conntrack, MARK_HANDED_OVER, MARK_BITS, &with, &without);

	if (error)
		note(checks, REPORT_FAULT, "replication", "conntrack cannot be read: %s", strerror(-error));
	else if (without)
		note(checks, REPORT_FAULT, "replication",
		     "%zu of %zu handed-over connections have no sequence offset and cannot live on here: "
		     "see SEVERAL GATEWAYS in synmoat(7)",
		     without, with + without);
	else if (!with)
		note(checks, REPORT_OK, "replication", "no handed-over connection in this kernel%s",
		     supervisor->masters.count ? ", so nothing is shown: on a standby commit first, see synmoat(7)"
					       : "");
	else
		note(checks, REPORT_OK, "replication",
		     "%zu handed-over connections, here or replicated, all with their sequence offset", with);
}

static void check_strays(const struct supervisor *supervisor, struct checks *checks)
{
	const struct config *config = &supervisor->config;

	if (config->gateway.strays == STRAYS_RESET && !supervisor->ruleset.nft.reject)
		note(checks, REPORT_WARNING, "strays",
		     "are dropped, not reset: this kernel's nftables has no reject (CONFIG_NFT_REJECT_INET)");
	if (!supervisor->masters.count)
		return;
	if (host_sysctl("net/netfilter/nf_conntrack_tcp_loose") > 0)
		note(checks, REPORT_WARNING, "strays",
		     "conntrack takes connections of other gateways up in their middle, without their offset: "
		     "sysctl net.netfilter.nf_conntrack_tcp_loose = 0");
	else if (supervisor->grace_until_ns)
		note(checks, REPORT_WARNING, "strays",
		     "connections of other gateways pass without their offset until grace_s is over: set it to 0");
	else
		note(checks, REPORT_OK, "strays", "no connection of another gateway passes without its offset");
}

void supervisor_check(struct supervisor *supervisor, bool json, FILE *out)
{
	static struct checks checks;

	checks.count = 0;
	check_host(supervisor, &checks);
	check_conntrack(&checks);
	check_services(supervisor, &checks);
	check_secret(supervisor, &checks);
	check_replication(supervisor, &checks);
	check_strays(supervisor, &checks);
	report_checks(checks.lines, checks.count, json, out);
}
