/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "preflight.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "accelerator.h"
#include "edge/features.h"
#include "edge/host.h"
#include "edge/proc_text.h"
#include "edge/ruleset.h"
#include "preflight_parts.h"
#include "supervisor_parts.h"

#define CONNTRACK_FULL_PERCENT 80
#define PROC_TEXT_BYTES 16384

void checks_note(struct checks *checks, enum report_level level, const char *what, const char *format, ...)
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

/* ---- ourselves ---- */

/* Returns whether the kernel will answer our questions. */
static bool check_capabilities(struct checks *checks)
{
	static const struct {
		unsigned number;
		const char *name;
	} needed[] = {{CAP_NET_ADMIN, "CAP_NET_ADMIN"}, {CAP_NET_RAW, "CAP_NET_RAW"}};
	char status[4096], missing[64] = "";
	uint64_t effective = 0;

	if (host_text("/proc/self/status", status, sizeof(status)) < 0 || !proc_capabilities(status, &effective)) {
		checks_note(checks, REPORT_WARNING, "capabilities", "/proc/self/status does not tell them");
		return true;
	}
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (!(effective & 1ULL << needed[i].number))
			snprintf(missing + strlen(missing), sizeof(missing) - strlen(missing), "%s%s",
				 *missing ? " and " : "", needed[i].name);
	if (*missing)
		checks_note(checks, REPORT_FAULT, "capabilities",
			    "user %u has no %s: run it as root, or let systemd start it (systemctl start synmoat)",
			    (unsigned)geteuid(), missing);
	else
		checks_note(checks, REPORT_OK, "capabilities", "CAP_NET_ADMIN and CAP_NET_RAW, as user %u",
			    (unsigned)geteuid());
	return effective & 1ULL << CAP_NET_ADMIN;
}

/* ---- the kernel ---- */

static const struct {
	enum report_level missing;
	const char *name;
	const char *options; /* of the kernel's configuration */
} features[FEATURE_COUNT] = {
	[FEATURE_NFTABLES] = {REPORT_FAULT, "nftables of family inet", "CONFIG_NF_TABLES, CONFIG_NF_TABLES_INET"},
	[FEATURE_QUEUE_RULE] = {REPORT_FAULT, "a queue rule in nftables",
				"CONFIG_NFT_QUEUE, or CONFIG_NFT_COMPAT with CONFIG_NETFILTER_XT_TARGET_NFQUEUE"},
	[FEATURE_CT] = {REPORT_FAULT, "nftables' ct", "CONFIG_NFT_CT"},
	[FEATURE_FIB] = {REPORT_FAULT, "nftables' fib", "CONFIG_NFT_FIB_INET"},
	[FEATURE_LIMIT] = {REPORT_FAULT, "nftables' limit", "CONFIG_NFT_LIMIT"},
	[FEATURE_REJECT] = {REPORT_WARNING, "nftables' reject, so strays are dropped, not reset",
			    "CONFIG_NFT_REJECT_INET"},
	[FEATURE_OBJREF] = {REPORT_WARNING, "nftables' named counters, so what is refused is not counted",
			    "CONFIG_NFT_OBJREF"},
	[FEATURE_LOG] = {REPORT_WARNING, "nftables' log to a group, so all SYNs of a flood are queued, which is slow",
			 "CONFIG_NFT_LOG, CONFIG_NETFILTER_NETLINK_LOG"},
	[FEATURE_NFQUEUE] = {REPORT_FAULT, "packet queues", "CONFIG_NETFILTER_NETLINK_QUEUE"},
	[FEATURE_CTNETLINK] = {REPORT_FAULT, "access to conntrack", "CONFIG_NF_CT_NETLINK"},
	[FEATURE_SOCK_DIAG] = {REPORT_FAULT, "the list of listening sockets", "CONFIG_INET_DIAG"},
	[FEATURE_RAW_SOCKETS] = {REPORT_FAULT, "raw sockets", "CAP_NET_RAW"},
};

static void check_kernel(const struct config *config, struct checks *checks)
{
	bool locked = host_sysctl("kernel/modules_disabled") == 1;
	int results[FEATURE_COUNT];
	unsigned missing = 0;

	features_probe(results);
	for (enum feature i = 0; i < FEATURE_COUNT; i++) {
		if (!results[i] || results[i] == -EPERM) /* told by check_capabilities() */
			continue;
		if (i == FEATURE_REJECT && config && config->gateway.strays != STRAYS_RESET)
			continue;
		if (i == FEATURE_LOG && config && config->queues.spill != SPILL_ANSWER)
			continue;
		missing++;
		checks_note(checks, features[i].missing, "kernel", "has no %s (%s): it needs %s%s", features[i].name,
			    strerror(-results[i]), features[i].options,
			    locked ? ", and loads no module any more: kernel.modules_disabled = 1" : "");
	}
	if (!missing)
		checks_note(checks, REPORT_OK, "kernel",
			    "has nftables with all that our rules are made of, packet queues, conntrack, sock_diag");
}

/* ---- what the host is set to ---- */

static bool wants(const struct config *config, bool v6)
{
	bool any = false;

	for (size_t i = 0; i < config->service_count && !any; i++)
		any = addr_is_v4(&config->services[i].address) != v6;
	return config->mode == MODE_GATEWAY && any;
}

const char *preflight_forwarding_missing(const struct config *config)
{
	if (wants(config, false) && !host_forwards(false))
		return "net.ipv4.ip_forward";
	return wants(config, true) && !host_forwards(true) ? "net.ipv6.conf.all.forwarding" : NULL;
}

static void check_host(const struct config *config, bool permitted, struct checks *checks)
{
	const char *missing = preflight_forwarding_missing(config);
	char error[sizeof(checks->lines[0].text)];
	bool refused = host_check(checks->until_ns, error, sizeof(error)) < 0;
	bool late = checks->until_ns && worker_now_ns() >= checks->until_ns;

	if (refused)
		checks_note(checks, REPORT_FAULT, "host", "%s", error);
	else if (missing)
		checks_note(checks, REPORT_FAULT, "host", "does not forward: set sysctl %s = 1", missing);
	else if (permitted && !late) /* else zones are not seen */
		checks_note(checks, REPORT_OK, "host", "no VRF, no conntrack zones in nftables%s",
			    config->mode == MODE_GATEWAY ? ", forwards" : "");
}

static void check_conntrack(struct checks *checks)
{
	long count = host_sysctl("net/netfilter/nf_conntrack_count");
	long max = host_sysctl("net/netfilter/nf_conntrack_max");

	if (count < 0 || max <= 0)
		checks_note(checks, REPORT_OK, "conntrack", "not in use");
	else if (count >= max / 100 * CONNTRACK_FULL_PERCENT)
		checks_note(checks, REPORT_WARNING, "conntrack",
			    "%ld of %ld entries: beyond that the kernel drops new connections: raise "
			    "net.netfilter.nf_conntrack_max",
			    count, max);
	else
		checks_note(checks, REPORT_OK, "conntrack", "%ld of %ld entries", count, max);
}

/* tcp_conn_request() (net/ipv4/tcp_input.c) */
static void check_syncookies(struct checks *checks)
{
	long cookies = host_sysctl("net/ipv4/tcp_syncookies");

	if (cookies == 0)
		checks_note(
			checks, REPORT_WARNING, "syncookies",
			"are off: when synmoatd is gone, or more SYNs come than it can take, nothing holds a flood: "
			"set sysctl net.ipv4.tcp_syncookies = 1");
	else if (cookies == 2)
		checks_note(checks, REPORT_WARNING, "syncookies",
			    "are always on: the kernel answers every SYN with a cookie of its own, so no backlog ever "
			    "fills, and clients lose options in peace, too: set sysctl net.ipv4.tcp_syncookies = 1");
	else if (cookies == 1)
		checks_note(checks, REPORT_OK, "syncookies", "the kernel's own are there when synmoatd is not");
}

/* Without it a client whose last ACK comes while the server is behind with accept() tries again, and is served
 * (tcp_check_req(), net/ipv4/tcp_minisocks.c). */
static void check_overflow(struct checks *checks)
{
	if (host_sysctl("net/ipv4/tcp_abort_on_overflow") > 0)
		checks_note(
			checks, REPORT_WARNING, "overflow",
			"a server that is behind with accept() resets clients that have proven themselves: set sysctl "
			"net.ipv4.tcp_abort_on_overflow = 0");
}

static void check_iptables(struct checks *checks)
{
	static const struct {
		const char *tables, *targets, *tool;
	} files[] = {
		{"/proc/self/net/ip_tables_names", "/proc/self/net/ip_tables_targets", "iptables"},
		{"/proc/self/net/ip6_tables_names", "/proc/self/net/ip6_tables_targets", "ip6tables"},
	};
	char tables[1024], targets[4096];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (host_text(files[i].tables, tables, sizeof(tables)) <= 0 ||
		    host_text(files[i].targets, targets, sizeof(targets)) <= 0)
			continue;
		if (!proc_has_line(targets, "NFQUEUE") && !proc_has_line(targets, "SYNPROXY") &&
		    !proc_has_line(targets, "CT"))
			continue;
		for (char *end = tables; (end = strchr(end, '\n')); end++)
			*end = end[1] ? ' ' : '\0';
		checks_note(checks, REPORT_WARNING, "iptables",
			    "%s-legacy is in use (tables: %s), and its rules cannot be read from here: look with "
			    "%s-legacy-save for NFQUEUE, SYNPROXY, NOTRACK and MARK",
			    files[i].tool, tables, files[i].tool);
	}
}

void preflight_host(const struct config *config, struct checks *checks)
{
	bool permitted = check_capabilities(checks);

	if (permitted)
		check_kernel(config, checks);
	if (config)
		check_host(config, permitted, checks);
	check_conntrack(checks);
	if (!config || config->mode == MODE_HOST) {
		check_syncookies(checks);
		check_overflow(checks);
	}
	if (config && config->mode == MODE_HOST)
		preflight_listeners(config, checks);
	if (config && permitted)
		preflight_rules(config, checks);
	check_iptables(checks);
}

/* ---- before a start ---- */

static bool check_config(const struct config_file *file, struct config *config, struct checks *checks)
{
	char error[sizeof(checks->lines[0].text)];

	if (config_load_from(config, file, error, sizeof(error)) < 0) {
		checks_note(checks, REPORT_FAULT, "config", "%s", error);
		return false;
	}
	if (!file->required && access(file->path, F_OK) != 0)
		checks_note(checks, REPORT_OK, "config", "no %s: the defaults count, every listening port is protected",
			    file->path);
	else if (config->auto_services)
		checks_note(checks, REPORT_OK, "config", "%s, every listening port is protected", file->path);
	else
		checks_note(checks, REPORT_OK, "config", "%s, %zu service%s", file->path, config->service_count,
			    config->service_count == 1 ? "" : "s");
	return true;
}

/* Returns whether one runs. */
static bool check_daemon(struct checks *checks)
{
	int found = features_table(RULESET_TABLE); /* it is there as long as its owner is */

	if (found > 0)
		checks_note(
			checks, REPORT_WARNING, "daemon",
			"a synmoatd runs in this network namespace, and refuses a second one: ask it with synmoatctl "
			"check");
	else if (!found)
		checks_note(checks, REPORT_WARNING, "daemon",
			    "none runs in this network namespace, so nothing is protected: systemctl start synmoat");
	return found > 0;
}

static void check_queues(const struct config *config, bool running, struct checks *checks)
{
	unsigned count = 3 * supervisor_shards(config);
	unsigned first = config->queues.first, last = first + count - 1;
	static char text[PROC_TEXT_BYTES];
	unsigned bound, which = 0;
	int bytes = host_text("/proc/self/net/netfilter/nfnetlink_queue", text, sizeof(text));

	if (bytes < 0 && bytes != -ENOENT)
		checks_note(checks, REPORT_WARNING, "queues", "who has bound which cannot be read: %s",
			    strerror(-bytes));
	else if (running)
		checks_note(checks, REPORT_OK, "queues",
			    "%u to %u, as far as bound, are those of the synmoatd that runs", first, last);
	else if ((bound = proc_queues_bound(text, first, last, &which)))
		checks_note(
			checks, REPORT_FAULT, "queues",
			"another program has bound %u of %u to %u, queue %u first (/proc/net/netfilter/nfnetlink_queue): "
			"set queues.first in the configuration so that %u numbers from there on are free",
			bound, first, last, which, count);
	else
		checks_note(checks, REPORT_OK, "queues", "%u to %u are free", first, last);
}

/* They are no fault: it goes without. */
static void check_groups(const struct config *config, struct checks *checks)
{
	unsigned count = supervisor_shards(config);
	unsigned first = config->queues.first + 2 * count, last = first + count - 1;
	static char text[PROC_TEXT_BYTES];
	unsigned bound, which = 0;

	if (config->queues.spill != SPILL_ANSWER ||
	    host_text("/proc/self/net/netfilter/nfnetlink_log", text, sizeof(text)) < 0)
		return;
	bound = proc_queues_bound(text, first, last, &which);
	if (bound)
		checks_note(
			checks, REPORT_WARNING, "queues",
			"another program has bound %u of the NFLOG groups %u to %u, group %u first, so all SYNs of a flood are "
			"queued, which is slow: set queues.first in the configuration so that they are free",
			bound, first, last, which);
}

static void check_secret(const struct config *config, struct checks *checks)
{
	char error[sizeof(checks->lines[0].text)];

	if (!config->gateway.secret_file[0])
		return;
	if (secrets_refuse(config, error, sizeof(error)) < 0)
		checks_note(checks, REPORT_FAULT, "secret", "%s", error);
	else
		checks_note(checks, REPORT_OK, "secret", "shared, from %s", config->gateway.secret_file);
	if (host_sysctl("net/netfilter/nf_conntrack_tcp_loose") > 0)
		checks_note(checks, REPORT_WARNING, "strays",
			    "conntrack takes connections of other gateways up in their middle, without their offset: "
			    "sysctl net.netfilter.nf_conntrack_tcp_loose = 0");
}

int preflight_run(const struct config_file *file, bool json, FILE *out)
{
	static struct checks checks;
	struct config config;
	bool loaded = check_config(file, &config, &checks);
	bool running = check_daemon(&checks);
	int result = 0;

	preflight_host(loaded ? &config : NULL, &checks);
	if (loaded) {
		check_queues(&config, running, &checks);
		if (!running)
			check_groups(&config, &checks);
		check_secret(&config, &checks);
		accelerator_preflight(&config, &checks);
		config_free(&config);
	}
	report_checks(checks.lines, checks.count, json, out);
	for (size_t i = 0; i < checks.count; i++)
		if (checks.lines[i].level == REPORT_FAULT)
			result = -1;
	return result;
}
