/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orders.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor_parts.h"

/* ---- services ---- */

static bool is_called(const struct service *service, const char *name)
{
	char endpoint[REGISTRY_ENDPOINT_BYTES];

	return service->in_use &&
	       (strcmp(service->name, name) == 0 || strcmp(registry_endpoint(service, endpoint), name) == 0);
}

int supervisor_override(struct supervisor *supervisor, const char *name, enum service_override override, char *message,
			size_t bytes)
{
	static const char *const words[] = {
		[SERVICE_OVERRIDE_AUTO] = "as the configuration has it",
		[SERVICE_OVERRIDE_ARM] = "armed",
		[SERVICE_OVERRIDE_DISARM] = "not armed, whatever comes",
	};
	unsigned count = 0;
	int error;

	for (unsigned i = 0; i < supervisor->registry.service_count; i++) {
		struct service *service = &supervisor->registry.services[i];

		if (!is_called(service, name))
			continue;
		service->override = override;
		count++;
	}
	if (!count) {
		snprintf(message, bytes, "no service is called %s: 'services' lists them", name);
		return -1;
	}
	error = postures_update(supervisor, false, worker_now_ns());
	if (error)
		snprintf(message, bytes, "%s: %s as soon as the kernel takes the rules: %s; tried again every second",
			 name, words[override], strerror(-error));
	else
		snprintf(message, bytes, "%s: %s from now on", name, words[override]);
	return error ? -1 : 0;
}

/* ---- lists ---- */

static int list_change_text(enum cidr_change change, const char *text, const char *list, bool add, char *message,
			    size_t bytes)
{
	switch (change) {
	case CIDR_CHANGED:
		snprintf(message, bytes, "%s %s the %s list", text, add ? "is on" : "is off", list);
		return 0;
	case CIDR_UNCHANGED:
		snprintf(message, bytes, "%s was on the %s list already", text, list);
		return 0;
	case CIDR_FULL:
		snprintf(message, bytes, "the %s list is full: it holds %d networks", list, CIDR_LIST_MAX);
		return -1;
	case CIDR_CONFIGURED:
		snprintf(message, bytes, "%s is in the configuration file: take it out there, and reload", text);
		return -1;
	case CIDR_STILL_CONFIGURED:
		snprintf(message, bytes, "%s is no longer added by hand, but the configuration file has it, too", text);
		return 0;
	case CIDR_UNKNOWN:
		break;
	}
	snprintf(message, bytes, "%s is not on the %s list: '%s list' shows what is", text, list, list);
	return -1;
}

int supervisor_list_change(struct supervisor *supervisor, bool allow, bool add, const struct cidr *cidr, char *message,
			   size_t bytes)
{
	static struct cidr_list before;
	bool stale = supervisor->rules_stale;
	struct cidr_list *list = allow ? &supervisor->allow : &supervisor->deny;
	enum cidr_change change;
	char text[CIDR_TEXT_BYTES];
	int error;

	before = *list;
	change = add ? cidr_list_add(list, cidr) : cidr_list_del(list, cidr);
	cidr_text(cidr, text);
	error = change == CIDR_CHANGED ? supervisor_apply_rules_again(supervisor) : 0;
	if (error) {
		*list = before;
		supervisor->rules_stale = stale;
		snprintf(message, bytes, "the kernel did not take the rules: %s", strerror(-error));
		return -1;
	}
	return list_change_text(change, text, allow ? "allow" : "deny", add, message, bytes);
}

int supervisor_list_read(struct supervisor *supervisor, bool allow, struct report_cidr **cidrs)
{
	const struct cidr_list *list = allow ? &supervisor->allow : &supervisor->deny;

	*cidrs = calloc(list->count + 1, sizeof(**cidrs));
	if (!*cidrs)
		return -1;
	for (size_t i = 0; i < list->count; i++) {
		const struct cidr_entry *entry = &list->entries[i];

		cidr_text(&entry->cidr, (*cidrs)[i].cidr);
		(*cidrs)[i].origin = !entry->live ? "config" : entry->configured ? "config and live" : "live";
	}
	return (int)list->count;
}

/* ---- bans ---- */

static struct cidr source_cidr(const struct supervisor *supervisor, const struct addr *addr)
{
	const struct config *config = &supervisor->config;

	return cidr_of(addr, (uint8_t)(addr_is_v4(addr) ? CIDR_V4_BITS + config->sources.prefix_v4
							: config->sources.prefix_v6));
}

int supervisor_ban_lift(struct supervisor *supervisor, const struct addr *source, char *message, size_t bytes)
{
	struct cidr cidr = source_cidr(supervisor, source);
	int error = ruleset_unban(&supervisor->ruleset, source);
	char text[CIDR_TEXT_BYTES];

	accelerator_unban(supervisor, source);
	cidr_text(&cidr, text);
	if (error == -ENOENT)
		snprintf(message, bytes, "%s is not banned", text);
	else if (error)
		snprintf(message, bytes, "%s: %s", text, strerror(-error));
	else
		snprintf(message, bytes, "%s is banned no longer", text);
	return error ? -1 : 0;
}

int supervisor_bans_read(struct supervisor *supervisor, struct report_ban **shown)
{
	struct ruleset_ban *bans;
	int count = ruleset_bans(&supervisor->ruleset, &bans);

	if (count < 0)
		return -1;
	*shown = calloc((size_t)count + 1, sizeof(**shown));
	for (int i = 0; *shown && i < count; i++) {
		struct cidr cidr = source_cidr(supervisor, &bans[i].net);

		_Static_assert(REPORT_SOURCE_BYTES >= CIDR_TEXT_BYTES, "a source is written as a network");
		cidr_text(&cidr, (*shown)[i].source);
		(*shown)[i].left_s = bans[i].left_s;
	}
	free(bans);
	return *shown ? count : -1;
}

/* Seconds that the source is still banned for; 0 if it is not. */
static uint32_t banned_s(struct supervisor *supervisor, const struct addr *source)
{
	struct addr net = source_cidr(supervisor, source).net;
	struct ruleset_ban *bans;
	int count = ruleset_bans(&supervisor->ruleset, &bans);
	uint32_t left_s = 0;

	for (int i = 0; i < count && !left_s; i++)
		if (addr_equal(&bans[i].net, &net))
			left_s = bans[i].left_s;
	if (count >= 0)
		free(bans);
	return left_s;
}

/* ---- explain ---- */

struct explanation {
	struct supervisor *supervisor;
	struct addr address;
	struct policy policy;
	struct source source; /* as the shard knows it that saw it last */
	bool known;
	enum outcome outcomes[SERVICES_MAX];
};

/* Which shard a source's SYNs come to, the kernel decides: the one that has seen it last answers, else the first. */
static void job_explain(struct worker *worker, void *argument)
{
	struct explanation *all = argument;
	const struct guard *guard = &worker->guard;
	const struct source *source = source_find(guard->sources, &all->address);

	if (worker->setup.shard && (!source || (all->known && source->last_s <= all->source.last_s)))
		return;
	all->policy = guard->limits.policy;
	all->known = source;
	if (source)
		all->source = *source;
	for (unsigned i = 0; i < all->supervisor->registry.service_count; i++)
		all->outcomes[i] = guard_explain(guard, &all->address, i, worker_now_ns());
}

static const char *why_accepted(const struct service *service, enum character character)
{
	if (service->host_bits)
		return "nothing is known of a server there, in whose name a cookie could be sent";
	if (!service_may_be_answered_for(service))
		return service->answers == SERVICE_ANSWERS_NOT_YET ? "nothing has come from the server so far"
		       : service->answers == SERVICE_REFUSES
			       ? "the server resets connections: nobody answers in its name"
			       : "no answer of the server comes through this host";
	if (service->untracked)
		return "conntrack is told not to see the service (notrack), so that nobody gets a cookie from it";
	if (service_cookies(service) == SERVICE_COOKIES_NEVER)
		return "nobody gets a cookie from the service, as ordered";
	if (character == CHARACTER_SLOW_BACKEND && service->posture == SERVICE_WATCHING)
		return "the service is slow, and not attacked: arming would not help";
	if (character == CHARACTER_FLASH_CROWD && service->posture == SERVICE_WATCHING)
		return "the service is crowded, and its clients complete their handshakes";
	switch ((enum service_posture)service->posture) {
	case SERVICE_WATCHING:
		return "the service is watched, and nothing presses it";
	case SERVICE_WARY:
		return "the service is wary of other sources, not of this one";
	case SERVICE_DRAINING:
		return "the service was armed, and is no longer";
	case SERVICE_ARMED:
		break;
	}
	return "the service is armed, but cookies cannot be sent";
}

static void why_challenged(const struct explanation *all, const struct service *service, char *why, size_t bytes)
{
	if (service_cookies(service) == SERVICE_COOKIES_ALWAYS)
		snprintf(why, bytes, "everybody gets a cookie from the service, as ordered");
	else if (!all->known || !policy_proven(&all->policy, &all->source, worker_now_ns()))
		snprintf(why, bytes, "the service is armed, and the source has proven nothing");
	else if (all->source.half_open >= all->policy.direct_half_open)
		snprintf(why, bytes, "the service is armed; the source is proven, but has %u half-open of %u",
			 all->source.half_open, all->policy.direct_half_open);
	else
		snprintf(why, bytes,
			 "the service is armed, and too many SYNs have gone to the server already"
			 " (threshold %u)",
			 service->crowd_at);
}

static void explain_service(const struct explanation *all, unsigned index, struct report_verdict *verdict)
{
	const struct service *service = &all->supervisor->registry.services[index];
	const struct source *source = &all->source;
	enum outcome outcome = all->outcomes[index];
	char *why = verdict->why;
	size_t bytes = sizeof(verdict->why);

	verdict->outcome = outcome_name(outcome);
	if (outcome == OUTCOME_SYN_SOURCE_CHALLENGED)
		snprintf(why, bytes, "the source is wary: %u half-open of %u, %u cookies owed", source->half_open,
			 policy_limit(&all->policy, service->arm_at), (unsigned)source->owed);
	else if (outcome == OUTCOME_SYN_CAPPED)
		snprintf(why, bytes,
			 "its network has had all the SYN-ACKs of this second (reflection.unanswered_per_s)");
	else if (outcome == OUTCOME_SYN_CHALLENGED)
		why_challenged(all, service, why, bytes);
	else if (outcome == OUTCOME_SYN_DIRECT && accelerator_answers(all->supervisor, index, &all->address))
		snprintf(
			why, bytes,
			"XDP answers most SYNs with a cookie, this source's, too; of those that it passes up: the source "
			"is proven and has %u half-open of %u",
			source->half_open, all->policy.direct_half_open);
	else if (outcome == OUTCOME_SYN_DIRECT)
		snprintf(why, bytes, "the service is armed; the source is proven and has %u half-open of %u",
			 source->half_open, all->policy.direct_half_open);
	else
		snprintf(why, bytes, "%s", why_accepted(service, all->supervisor->incidents[index].character));
}

/* What the rules decide before a SYN comes to us: OUTCOME_COUNT if they don't. */
static enum outcome explain_by_rules(struct supervisor *supervisor, const struct addr *source, char *why, size_t bytes)
{
	char text[CIDR_TEXT_BYTES];
	struct cidr which;
	uint32_t left_s;

	if (cidr_list_contains(&supervisor->allow, source, &which)) {
		cidr_text(&which, text);
		snprintf(why, bytes, "%s is on the allow list", text);
		return OUTCOME_SYN_ALLOWED;
	}
	if (cidr_list_contains(&supervisor->deny, source, &which)) {
		cidr_text(&which, text);
		snprintf(why, bytes, "%s is on the deny list", text);
		return OUTCOME_SYN_DENIED;
	}
	left_s = supervisor->bans_used ? banned_s(supervisor, source) : 0;
	if (!left_s)
		return OUTCOME_COUNT;
	snprintf(why, bytes, "banned for %u s more", left_s);
	return OUTCOME_SYN_BANNED;
}

static int explain_unknown(const struct addr *destination, uint16_t port, struct report_verdict *verdict)
{
	struct service nowhere = {.address = *destination, .port = port};

	snprintf(verdict->service, sizeof(verdict->service), "none");
	registry_endpoint(&nowhere, verdict->endpoint);
	verdict->outcome = outcome_name(OUTCOME_SYN_UNKNOWN);
	snprintf(verdict->why, sizeof(verdict->why), "no protected service listens there");
	return 1;
}

int supervisor_explain(struct supervisor *supervisor, const struct addr *source, const struct addr *destination,
		       uint16_t port, struct report_verdict **verdicts)
{
	const struct registry *registry = &supervisor->registry;
	static struct explanation all;
	char why[sizeof((*verdicts)->why)];
	enum outcome by_rules = explain_by_rules(supervisor, source, why, sizeof(why));
	int only = destination ? service_map_find(supervisor->map, destination, port) : -1;
	int count = 0;

	*verdicts = calloc(registry->service_count + 1, sizeof(**verdicts));
	if (!*verdicts)
		return -1;
	if (destination && only < 0)
		return explain_unknown(destination, port, *verdicts);
	all = (struct explanation){.supervisor = supervisor, .address = *source};
	supervisor_call_all(supervisor, job_explain, &all);
	for (unsigned i = 0; i < registry->service_count; i++) {
		struct report_verdict *verdict = &(*verdicts)[count];

		if (!registry->services[i].in_use || (destination && only != (int)i))
			continue;
		count++;
		memcpy(verdict->service, registry->services[i].name, sizeof(verdict->service));
		registry_endpoint(&registry->services[i], verdict->endpoint);
		explain_service(&all, i, verdict);
		if (by_rules != OUTCOME_COUNT) {
			verdict->outcome = outcome_name(by_rules);
			memcpy(verdict->why, why, sizeof(why));
		}
	}
	return count;
}
