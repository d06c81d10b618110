/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rules: what the kernel's rules are to say, from what is bound, listed, banned and armed. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "edge/marks.h"
#include "log.h"
#include "supervisor_parts.h"

#define NSEC_PER_SEC 1000000000ULL
#define FLOWS_KNOWN_MAX 100000
#define BANS_SAID_EVERY_NS (10 * NSEC_PER_SEC)
#define EVENTS_EVERY_NS (NSEC_PER_SEC / 10) /* others may change theirs as fast as they like */
#define RESTORED_SAID_EVERY_NS (10 * NSEC_PER_SEC)
#define FAIL_LINGER_NS NSEC_PER_SEC /* by then it is known whether the next try has failed as well */

static bool cookies_wanted(const struct supervisor *supervisor)
{
	return supervisor->config.policy == POLICY_ENFORCE || supervisor->honour_until_ns;
}

/* Connections to protected ports; a number, or -errno. */
static int read_flows(const struct supervisor *supervisor, enum listeners_state state, struct flow **flows)
{
	static uint16_t ports[SERVICES_MAX];

	for (unsigned i = 0; i < supervisor->registry.binding_count; i++)
		ports[i] = supervisor->registry.bindings[i].port;
	return listeners_flows(ports, supervisor->registry.binding_count, state, FLOWS_KNOWN_MAX, flows);
}

struct flows {
	struct flow *flows;
	size_t count;
};

static void job_leave_out_handovers(struct worker *worker, void *argument)
{
	struct flows *all = argument;
	size_t kept = 0;

	for (size_t i = 0; i < all->count; i++)
		if (!splice_find(worker->guard.splices, &all->flows[i]))
			all->flows[kept++] = all->flows[i];
	all->count = kept;
}

static void tell_unknown_flows(struct supervisor *supervisor, int error)
{
	struct event event;

	event_begin(&event, EVENT_FLOWS_UNKNOWN, "connections from before the start are not known: %s",
		    strerror(-error));
	event_text(&event, "error", strerror(-error));
	supervisor_tell(supervisor, &event);
}

/* Connections that conntrack may not know, because they are older than it or were idle for too long: the rules must not
 * question them. One that speaks up before this is done loses a packet, which TCP repeats. Half-open ones are among
 * them, but not those that a handover has begun: the client's data must not get past us before that is done. */
void supervisor_know_flows(struct supervisor *supervisor)
{
	static const enum listeners_state states[] = {LISTENERS_HALF_OPEN, LISTENERS_CONNECTED};

	if (supervisor->config.mode == MODE_GATEWAY)
		return; /* conntrack has known all from the start; who is older is a stray: ruleset.h */
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		struct flows all = {NULL, 0};
		int count = read_flows(supervisor, states[i], &all.flows);
		int error = count < 0 ? count : 0;

		all.count = count < 0 ? 0 : (size_t)count;
		if (states[i] == LISTENERS_HALF_OPEN && all.count)
			supervisor_call_all(supervisor, job_leave_out_handovers, &all);
		if (!error)
			accelerator_know_flows(supervisor, all.flows, all.count);
		if (!error)
			error = ruleset_know_flows(&supervisor->ruleset, all.flows, all.count);
		if (error)
			tell_unknown_flows(supervisor, error);
		free(all.flows);
	}
}

static enum ruleset_strays strays_of(const struct supervisor *supervisor)
{
	const struct config *config = &supervisor->config;

	if (config->mode != MODE_GATEWAY)
		return RULESET_STRAYS_DROP;
	if (worker_now_ns() < supervisor->grace_until_ns)
		return RULESET_STRAYS_PASS;
	return config->gateway.strays == STRAYS_RESET ? RULESET_STRAYS_RESET : RULESET_STRAYS_DROP;
}

static enum ruleset_closed closed_of(const struct config *config)
{
	static const enum ruleset_closed closed[] = {
		[UNSEEN_PASS] = RULESET_CLOSED_NONE,
		[UNSEEN_DROP_ARMED] = RULESET_CLOSED_ARMED,
		[UNSEEN_DROP] = RULESET_CLOSED_ALL,
	};

	return config->policy == POLICY_OBSERVE ? RULESET_CLOSED_NONE : closed[config->on_exit];
}

/* The first time an event, then a line: it is tried again every second. */
static void tell_refused(struct supervisor *supervisor, int error)
{
	struct event event;

	if (supervisor->said_refused) {
		log_error("nftables: rules not changed: %s", strerror(-error));
		return;
	}
	supervisor->said_refused = true;
	event_begin(&event, EVENT_RULES_REFUSED, "nftables: rules not changed: %s", strerror(-error));
	event_text(&event, "error", strerror(-error));
	supervisor_tell(supervisor, &event);
}

static void tell_accepted(struct supervisor *supervisor)
{
	struct event event;

	supervisor->said_refused = false;
	event_begin(&event, EVENT_RULES_ACCEPTED, "nftables: takes our rules again");
	supervisor_tell(supervisor, &event);
}

bool supervisor_cookies_fail(const struct supervisor *supervisor)
{
	uint64_t now_ns = worker_now_ns();

	for (unsigned i = 0; i < supervisor->shards; i++) {
		uint64_t until_ns = supervisor->workers[i].guard.cookies_fail_until_ns;

		if (until_ns && now_ns < until_ns + FAIL_LINGER_NS)
			return true;
	}
	return false;
}

/* What spills cannot pass: it does not where any SYN that would be among it has to. */
bool supervisor_may_spill(const struct supervisor *supervisor, const enum service_posture *postures)
{
	const struct registry *registry = &supervisor->registry;

	for (unsigned i = 0; i < registry->service_count; i++) {
		const struct service *service = &registry->services[i];

		if (service->in_use && postures[i] != SERVICE_WATCHING &&
		    (service->exempt || service->untracked || !service_may_be_answered_for(service)))
			return false;
	}
	return !supervisor_cookies_fail(supervisor);
}

/* The rules for what is bound and armed right now. With observe nothing is armed in the kernel, once the cookies that
 * were sent before are out of date. */
int supervisor_apply_rules(struct supervisor *supervisor, const enum service_posture *postures)
{
	static struct service_binding armed[SERVICES_MAX];
	static struct service_binding closing[SERVICES_MAX];
	const struct registry *registry = &supervisor->registry;
	unsigned armed_count = 0;
	unsigned closing_count = 0;
	int error;

	for (unsigned i = 0; i < registry->binding_count && cookies_wanted(supervisor); i++)
		if (postures[registry->bindings[i].service] != SERVICE_WATCHING)
			armed[armed_count++] = registry->bindings[i];
	for (unsigned i = 0; i < registry->binding_count; i++)
		if (postures[registry->bindings[i].service] == SERVICE_ARMED)
			closing[closing_count++] = registry->bindings[i];
	if (armed_count && !supervisor->ruleset.armed_before) { /* conntrack begins now, and knows nobody */
		supervisor_know_flows(supervisor);
		supervisor->keeper_lost = ruleset_keep(&supervisor->ruleset) < 0;
	}
	struct ruleset_wanted wanted = {
		.services = registry->bindings,
		.service_count = registry->binding_count,
		.armed = armed,
		.armed_count = armed_count,
		.allow = &supervisor->allow,
		.deny = &supervisor->deny,
		.bans = supervisor->bans_used,
		.observe = supervisor->config.policy == POLICY_OBSERVE,
		.honour_all = supervisor->kept->masters.count && cookies_wanted(supervisor),
		.strays = strays_of(supervisor),
		.unasked = supervisor->unasked,
		.spill = supervisor->spills,
		.closed = closed_of(&supervisor->config),
		.closing = closing,
		.closing_count = closing_count,
		.syn_pass_unheard = supervisor_passes_unseen(&supervisor->config, false),
		.armed_pass_unheard = supervisor_passes_unseen(&supervisor->config, true),
	};
	error = ruleset_apply(&supervisor->ruleset, &wanted);
	supervisor->rules_stale = error;
	if (!error)
		accelerator_take_lists(supervisor);
	if (error) {
		supervisor->rules_due_ns = worker_now_ns() + NSEC_PER_SEC;
		tell_refused(supervisor, error);
	} else if (supervisor->said_refused) {
		tell_accepted(supervisor);
	}
	return error;
}

int supervisor_apply_rules_again(struct supervisor *supervisor)
{
	static enum service_posture postures[SERVICES_MAX];

	for (unsigned i = 0; i < supervisor->registry.service_count; i++)
		postures[i] = supervisor->registry.services[i].posture;
	return supervisor_apply_rules(supervisor, postures);
}

/* ---- bans ---- */

struct bans {
	struct addr nets[WORKERS_MAX * GUARD_BANS_MAX];
	size_t count;
};

static void job_take_bans(struct worker *worker, void *argument)
{
	struct guard *guard = &worker->guard;
	struct bans *bans = argument;

	memcpy(bans->nets + bans->count, guard->bans, guard->ban_count * sizeof(guard->bans[0]));
	bans->count += guard->ban_count;
	guard->ban_count = 0;
}

/* Sources that the shards found to be over the rate limit. */
void supervisor_ban_sources(struct supervisor *supervisor)
{
	static struct bans bans;
	uint32_t ban_s = supervisor->config.rate_limit.ban_s;
	struct event event;
	int error;

	if (!supervisor->bans_used && worker_now_ns() < supervisor->rules_due_ns)
		return;
	bans.count = 0;
	supervisor_call_all(supervisor, job_take_bans, &bans);
	if (!bans.count || !ban_s)
		return;
	if (!supervisor->bans_used) {
		supervisor->bans_used = true;
		if (supervisor_apply_rules_again(supervisor) < 0) {
			supervisor->bans_used = false; /* open: whoever goes on asks for it again */
			return;
		}
	}
	error = ruleset_ban(&supervisor->ruleset, bans.nets, bans.count, ban_s);
	accelerator_ban(supervisor, bans.nets, error ? 0 : bans.count, ban_s);
	if (!error) {
		supervisor->bans_unsaid += (uint32_t)bans.count;
		supervisor->last_banned = bans.nets[bans.count - 1];
	} else if (!supervisor->said_bans_full) { /* open: they are refused, connection by connection */
		supervisor->said_bans_full = true;
		event_begin(&event, EVENT_SOURCES_NOT_BANNED, "sources are not banned: %s",
			    error == -ENFILE ? "tables.bans is full" : strerror(-error));
		event_text(&event, "error", error == -ENFILE ? "tables.bans is full" : strerror(-error));
		supervisor_tell(supervisor, &event);
	}
}

/* The first at once, then not more than a line in a while. */
void supervisor_say_bans(struct supervisor *supervisor, uint64_t now_ns)
{
	char text[INET6_ADDRSTRLEN];
	struct event event;
	const struct addr *last = &supervisor->last_banned;

	if (!supervisor->bans_unsaid ||
	    (supervisor->bans_said_ns && now_ns - supervisor->bans_said_ns < BANS_SAID_EVERY_NS))
		return;
	inet_ntop(addr_is_v4(last) ? AF_INET : AF_INET6, addr_wire(last), text, sizeof(text));
	event_begin(&event, EVENT_SOURCES_BANNED,
		    "sources banned for %u s: %u, for more than %u connections per second; the last was %s",
		    supervisor->config.rate_limit.ban_s, supervisor->bans_unsaid,
		    supervisor->config.rate_limit.connections_per_s, text);
	event_number(&event, "sources", supervisor->bans_unsaid);
	event_number(&event, "ban_s", supervisor->config.rate_limit.ban_s);
	event_number(&event, "connections_per_s", supervisor->config.rate_limit.connections_per_s);
	event_text(&event, "last_source", text);
	supervisor_tell(supervisor, &event);
	supervisor->bans_unsaid = 0;
	supervisor->bans_said_ns = now_ns;
}

/* ---- what others do to our rules ---- */

static void say_restored(struct supervisor *supervisor, const char *table, struct restored *restored, uint64_t now_ns)
{
	struct event event;

	if (!restored->unsaid || (restored->said_ns && now_ns - restored->said_ns < RESTORED_SAID_EVERY_NS))
		return;
	event_begin(&event, EVENT_RULES_RESTORED, "somebody has changed or deleted table inet %s: it is made again",
		    table);
	event_text(&event, "table", table);
	event_number(&event, "times", restored->unsaid);
	supervisor_tell(supervisor, &event);
	restored->unsaid = 0;
	restored->said_ns = now_ns;
}

static void note_restored(struct supervisor *supervisor, struct restored *restored, bool lost)
{
	restored->unsaid += lost;
	supervisor->rules_restored += lost;
}

bool supervisor_restore_rules(struct supervisor *supervisor, uint64_t now_ns)
{
	struct ruleset_losses lost = ruleset_lost(&supervisor->ruleset);

	if (lost.heard)
		supervisor->events_due_ns = now_ns + EVENTS_EVERY_NS;
	supervisor->keeper_lost |= lost.keeper;
	if (supervisor->keeper_lost) /* if it is refused, with the next tick again */
		supervisor->keeper_lost = ruleset_keep(&supervisor->ruleset) < 0;
	note_restored(supervisor, &supervisor->restored_keeper, lost.keeper);
	note_restored(supervisor, &supervisor->restored_closed, lost.closed);
	say_restored(supervisor, RULESET_KEEPER, &supervisor->restored_keeper, now_ns);
	say_restored(supervisor, RULESET_CLOSED, &supervisor->restored_closed, now_ns);
	return lost.closed;
}
