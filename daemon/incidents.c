/* SPDX-License-Identifier: GPL-2.0-or-later */
/* incidents: says once of a service what began, what it is, and what it was. */
#include <arpa/inet.h>
#include <string.h>

#include "supervisor_parts.h"

#define NSEC_PER_SEC 1000000000ULL
#define PILES_UP_NS (3 * NSEC_PER_SEC)

static void address_text(const struct addr *addr, char text[INET6_ADDRSTRLEN])
{
	inet_ntop(addr_is_v4(addr) ? AF_INET : AF_INET6, addr_wire(addr), text, INET6_ADDRSTRLEN);
}

static void service_fields(const struct service *service, struct event *event)
{
	char endpoint[REGISTRY_ENDPOINT_BYTES];

	event_text(event, "service", service->name);
	event_text(event, "endpoint", registry_endpoint(service, endpoint));
}

/* What is seen now. */
struct seen {
	const struct tally_top *top, *commonest;
	const char *class;
	char heaviest[INET6_ADDRSTRLEN];
	char signature[TALLY_SIGNATURE_BYTES];
	unsigned completed_percent, signature_percent;
};

static struct seen seen_of(const struct supervisor *supervisor, unsigned index, const struct observation *observed)
{
	const struct look *look = &supervisor->looks[index];
	struct seen seen = {
		.top = tally_heaviest(&look->sketch),
		.commonest = tally_commonest(&look->sketch),
		.class = character_name(supervisor->incidents[index].character),
		.heaviest = "none",
		.signature = "none",
		.completed_percent = tally_percent(observed->completed, observed->begun),
	};

	if (seen.top)
		address_text(&seen.top->net, seen.heaviest);
	if (seen.commonest)
		tally_signature_text(&seen.commonest->signature, seen.signature);
	seen.signature_percent = tally_percent(tally_certain(seen.commonest), look->sketch.syns);
	return seen;
}

static void seen_fields(const struct supervisor *supervisor, unsigned index, const struct observation *observed,
			struct event *event)
{
	const struct look *look = &supervisor->looks[index];
	struct seen seen = seen_of(supervisor, index, observed);

	service_fields(&supervisor->registry.services[index], event);
	event_text(event, "class", seen.class);
	event_number(event, "syn_per_s", supervisor_syn_rate(look));
	event_number(event, "half_open", look->load);
	event_number(event, "threshold", supervisor->registry.services[index].arm_at);
	event_number(event, "backlog", look->held);
	event_number(event, "completed_percent", seen.completed_percent);
	event_number(event, "sources", observed->distinct);
	event_text(event, "top_source", seen.heaviest);
	event_number(event, "top_source_syns", tally_certain(seen.top));
	event_number(event, "window_syns", look->sketch.syns);
	event_text(event, "signature", seen.signature);
	event_number(event, "signature_percent", seen.signature_percent);
}

static void tell_seen(struct supervisor *supervisor, enum event_kind kind, unsigned index, const char *what,
		      const char *why, const struct observation *observed)
{
	const struct service *service = &supervisor->registry.services[index];
	const struct look *look = &supervisor->looks[index];
	struct seen seen = seen_of(supervisor, index, observed);
	char endpoint[REGISTRY_ENDPOINT_BYTES];
	struct event event;

	event_begin(
		&event, kind,
		"service %s (%s) %s: class=\"%s\" rate=%u/s half_open=%u threshold=%u backlog=%u completed=%u%% sources=%u "
		"top=%s (at least %llu of %llu SYNs) signature=\"%s\" (%u%%)",
		service->name, registry_endpoint(service, endpoint), what, seen.class, supervisor_syn_rate(look),
		look->load, service->arm_at, look->held, seen.completed_percent, observed->distinct, seen.heaviest,
		(unsigned long long)tally_certain(seen.top), (unsigned long long)look->sketch.syns, seen.signature,
		seen.signature_percent);
	seen_fields(supervisor, index, observed, &event);
	event_text(&event, "reason", why);
	supervisor_tell(supervisor, &event);
}

/* The SYNs of a whole incident. */
struct whole {
	unsigned service;
	struct tally_sketch sketch;
};

static void job_whole_begins(struct worker *worker, void *argument)
{
	const struct whole *whole = argument;

	tally_total_reset(&worker->guard.tallies[whole->service]);
}

void incidents_begin(struct supervisor *supervisor, unsigned index)
{
	supervisor_call_all(supervisor, job_whole_begins, &(struct whole){.service = index});
}

static void job_whole(struct worker *worker, void *argument)
{
	struct whole *whole = argument;

	tally_sketch_total(&worker->guard.tallies[whole->service], &whole->sketch);
}

/* What it was. */
struct past {
	struct incident_counts totals;
	unsigned long long lasted_s;
	const char *class;
	unsigned sources;
	char heaviest[INET6_ADDRSTRLEN];
};

static struct past past_of(struct supervisor *supervisor, unsigned index)
{
	const struct incident *incident = &supervisor->incidents[index];
	struct past past = {
		.totals = incident_totals(incident),
		.lasted_s = incident_lasted_ns(incident) / NSEC_PER_SEC,
		.class = character_name(incident->said_before),
		.heaviest = "none",
	};
	struct whole whole = {.service = index};
	const struct tally_top *top;

	supervisor_call_all(supervisor, job_whole, &whole);
	top = tally_heaviest(&whole.sketch);
	if (top)
		address_text(&top->net, past.heaviest);
	past.sources = tally_distinct(&whole.sketch);
	return past;
}

static void past_fields(const struct supervisor *supervisor, unsigned index, const struct past *past,
			struct event *event)
{
	event_text(event, "class", past->class);
	event_number(event, "lasted_s", past->lasted_s);
	event_number(event, "peak_per_s", supervisor->incidents[index].peak_pps);
	event_number(event, "syns", past->totals.syns);
	event_number(event, "challenged", past->totals.challenged);
	event_number(event, "completed", past->totals.completed);
	event_number(event, "sources", past->sources);
	event_text(event, "top_source", past->heaviest);
}

/* Why an attack has ended. */
static const char *why_over(const struct service *service)
{
	return service->in_use ? "over" : "gone";
}

static void tell_over(struct supervisor *supervisor, enum event_kind kind, unsigned index, const char *what,
		      const struct past *past)
{
	const struct service *service = &supervisor->registry.services[index];
	char endpoint[REGISTRY_ENDPOINT_BYTES];
	struct event event;

	event_begin(
		&event, kind,
		"service %s (%s) %s: class=\"%s\" lasted=%llus peak=%u/s syns=%llu challenged=%llu completed=%llu sources=%u "
		"top=%s",
		service->name, registry_endpoint(service, endpoint), what, past->class, past->lasted_s,
		supervisor->incidents[index].peak_pps, (unsigned long long)past->totals.syns,
		(unsigned long long)past->totals.challenged, (unsigned long long)past->totals.completed, past->sources,
		past->heaviest);
	service_fields(service, &event);
	past_fields(supervisor, index, past, &event);
	if (kind == EVENT_ATTACK_ENDED)
		event_text(&event, "reason", why_over(service));
	supervisor_tell(supervisor, &event);
}

/* Of a service that is left unarmed, why: in a word and as a sentence. */
struct reason {
	const char *word, *sentence;
};

static struct reason reason_not_to_arm(const struct service *service, enum character character, bool observe)
{
	if (!service_may_be_answered_for(service))
		return (struct reason){"no answer yet",
				       "pressed, and not answered for: no answer of such a server has come by"};
	if (character == CHARACTER_SLOW_BACKEND)
		return (struct reason){"slow backend",
				       "pressed, and arming would not help: the server does not accept what is ready"};
	if (character == CHARACTER_FLASH_CROWD)
		return (struct reason){"flash crowd",
				       "crowded, and served without cookies: most clients complete their handshakes"};
	if (service_cookies(service) == SERVICE_COOKIES_NEVER && service->untracked)
		return (struct reason){"notrack", "attacked, and not to be protected (notrack)"};
	if (service_cookies(service) == SERVICE_COOKIES_NEVER)
		return (struct reason){"never", "attacked, and served without cookies, as ordered"};
	if (observe)
		return (struct reason){
			"observe",
			"attacked: the sources that hold too much would be challenged (observe: nothing is sent or dropped)"};
	return (struct reason){"sources", "attacked: the sources that hold too much are challenged"};
}

static bool is_flood(enum character character)
{
	return character == CHARACTER_RANDOM_SOURCES || character == CHARACTER_FEW_SOURCES;
}

/* What an incident's begin or change is: of an attack, the first is its begin, even if something else came before it. */
static enum event_kind kind_of(struct supervisor *supervisor, unsigned index)
{
	bool flood = is_flood(supervisor->incidents[index].character);

	if (supervisor->said_attack[index])
		return EVENT_ATTACK_CHANGED;
	supervisor->said_attack[index] = flood;
	if (flood) {
		const struct service *service = &supervisor->registry.services[index];
		struct attacked *attacked = &supervisor->attacked[index];

		memcpy(attacked->name, service->name, sizeof(attacked->name));
		registry_endpoint(service, attacked->endpoint);
	}
	return flood ? EVENT_ATTACK_BEGUN : EVENT_PRESSED;
}

/* Beside the line of the posture, which has the numbers. */
static void tell_attack_too(struct supervisor *supervisor, unsigned index, const struct observation *observed)
{
	const struct service *service = &supervisor->registry.services[index];
	enum event_kind kind = kind_of(supervisor, index);
	char endpoint[REGISTRY_ENDPOINT_BYTES];
	struct event event;

	if (kind == EVENT_PRESSED) /* armed for a crowd: that has been said */
		return;
	event_begin(&event, kind,
		    "service %s (%s) is under attack: %s, %u half-open connections, threshold %u, backlog %u",
		    service->name, registry_endpoint(service, endpoint),
		    character_name(supervisor->incidents[index].character), supervisor->looks[index].load,
		    service->arm_at, supervisor->looks[index].held);
	seen_fields(supervisor, index, observed, &event);
	event_text(&event, "reason", "armed");
	supervisor_tell(supervisor, &event);
}

static void tell_attack_over_too(struct supervisor *supervisor, unsigned index, const struct past *past)
{
	const struct service *service = &supervisor->registry.services[index];
	char endpoint[REGISTRY_ENDPOINT_BYTES];
	struct event event;

	if (!supervisor->said_attack[index])
		return;
	supervisor->said_attack[index] = false;
	event_begin(&event, EVENT_ATTACK_ENDED,
		    "service %s (%s) is under attack no longer: %s for %llu s, up to %u SYN/s, %llu SYNs in all",
		    service->name, registry_endpoint(service, endpoint), past->class, past->lasted_s,
		    supervisor->incidents[index].peak_pps, (unsigned long long)past->totals.syns);
	service_fields(service, &event);
	past_fields(supervisor, index, past, &event);
	event_text(&event, "reason", why_over(service));
	supervisor_tell(supervisor, &event);
}

void incidents_cut_short(struct supervisor *supervisor, unsigned index, const char *why)
{
	const struct attacked *attacked = &supervisor->attacked[index];
	struct event event;
	struct past past;

	if (!supervisor->said_attack[index])
		return;
	supervisor->said_attack[index] = false;
	incident_end(&supervisor->incidents[index]);
	past = past_of(supervisor, index);
	event_begin(&event, EVENT_ATTACK_ENDED,
		    "service %s (%s) is watched no longer (%s): %s for %llu s, up to %u SYN/s, %llu SYNs in all",
		    attacked->name, attacked->endpoint, why, past.class, past.lasted_s,
		    supervisor->incidents[index].peak_pps, (unsigned long long)past.totals.syns);
	event_text(&event, "service", attacked->name);
	event_text(&event, "endpoint", attacked->endpoint);
	past_fields(supervisor, index, &past, &event);
	event_text(&event, "reason", why);
	supervisor_tell(supervisor, &event);
}

void supervisor_end_attacks(struct supervisor *supervisor)
{
	for (unsigned i = 0; i < supervisor->registry.service_count; i++)
		incidents_cut_short(supervisor, i, "stopping");
}

/* A posture that has no numbers. */
static void tell_posture(struct supervisor *supervisor, enum event_kind kind, unsigned index, const char *what,
			 const char *why)
{
	const struct service *service = &supervisor->registry.services[index];
	char endpoint[REGISTRY_ENDPOINT_BYTES];
	struct event event;

	event_begin(&event, kind, "service %s (%s) %s", service->name, registry_endpoint(service, endpoint), what);
	service_fields(service, &event);
	event_text(&event, "reason", why);
	supervisor_tell(supervisor, &event);
}

static void say_armed(struct supervisor *supervisor, unsigned index, const char *what, enum incident_event happened,
		      const struct observation *observed)
{
	const struct service *service = &supervisor->registry.services[index];

	if (service_cookies(service) != SERVICE_COOKIES_ALWAYS)
		tell_seen(supervisor, EVENT_ARMED, index, what, "load", observed);
	else if (service->override == SERVICE_OVERRIDE_ARM)
		tell_posture(supervisor, EVENT_ARMED, index, "is armed by order", "order");
	else
		tell_posture(supervisor, EVENT_ARMED, index, "is always answered for", "always");
	if (happened == INCIDENT_BEGUN || happened == INCIDENT_CHANGED)
		tell_attack_too(supervisor, index, observed);
}

static void say_disarmed(struct supervisor *supervisor, unsigned index, const char *what, enum incident_event happened)
{
	struct past past;

	if (happened != INCIDENT_ENDED) {
		tell_posture(supervisor, EVENT_DISARMED, index, what, "nothing pressed");
		return;
	}
	past = past_of(supervisor, index);
	tell_over(supervisor, EVENT_DISARMED, index, what, &past);
	tell_attack_over_too(supervisor, index, &past);
}

void incidents_say_posture(struct supervisor *supervisor, unsigned index, bool armed, enum incident_event happened,
			   const struct observation *observed)
{
	char what[64];

	snprintf(what, sizeof(what), "%s%s", armed ? "armed" : "disarmed",
		 supervisor->config.policy == POLICY_OBSERVE ? " (observe: nothing is sent or dropped)" : "");
	if (armed) {
		say_armed(supervisor, index, what, happened, observed);
		if (happened == INCIDENT_ENDED) /* by order, in the very moment */
			incidents_say(supervisor, index, happened, observed);
	} else {
		say_disarmed(supervisor, index, what, happened);
	}
}

/* What begins, changes or ends, unless the posture's own words have said it. */
void incidents_say(struct supervisor *supervisor, unsigned index, enum incident_event happened,
		   const struct observation *observed)
{
	const struct service *service = &supervisor->registry.services[index];
	enum character character = supervisor->incidents[index].character;
	struct reason why =
		observed->armed ? (struct reason){"armed", "attacked, and answered for"}
				: reason_not_to_arm(service, character, supervisor->config.policy == POLICY_OBSERVE);
	struct past past;
	char what[128];

	switch (happened) {
	case INCIDENT_NOTHING:
		break;
	case INCIDENT_BEGUN:
		tell_seen(supervisor, kind_of(supervisor, index), index, why.sentence, why.word, observed);
		break;
	case INCIDENT_CHANGED:
		snprintf(what, sizeof(what), "sees something else than a %s%s",
			 character_name(supervisor->incidents[index].said_before),
			 character_arms(character, observed) ? "" : ": arming would not help");
		tell_seen(supervisor, kind_of(supervisor, index), index, what, why.word, observed);
		break;
	case INCIDENT_ENDED:
		past = past_of(supervisor, index);
		tell_over(supervisor, supervisor->said_attack[index] ? EVENT_ATTACK_ENDED : EVENT_RELIEVED, index,
			  service->in_use ? "calm again" : "gone", &past);
		supervisor->said_attack[index] = false;
		break;
	}
}

/* A server whose answers take another way can be watched in vain, and never handed a connection. */
void incidents_say_elsewhere(struct supervisor *supervisor, struct service *service, uint64_t now_ns)
{
	bool piles_up = service->answers == SERVICE_ANSWERS_NOT_YET && service->pressed_since_ns &&
			now_ns - service->pressed_since_ns >= PILES_UP_NS;
	const char *what = piles_up ? "half-open connections pile up" : "clients go on with connections handed to it";
	char endpoint[REGISTRY_ENDPOINT_BYTES];
	struct event event;

	if (!service->in_use || !service->behind || service->host_bits)
		return;
	if (service->said_elsewhere && service->answers == SERVICE_ANSWERS) {
		service->said_elsewhere = false;
		event_begin(&event, EVENT_ANSWERS_AGAIN, "service %s (%s) answers through this host again",
			    service->name, registry_endpoint(service, endpoint));
		service_fields(service, &event);
		supervisor_tell(supervisor, &event);
	} else if (!service->said_elsewhere && (piles_up || service->answers == SERVICE_ANSWERS_ELSEWHERE)) {
		service->said_elsewhere = true;
		event_begin(
			&event, EVENT_ASYMMETRIC,
			"service %s (%s) is not armed: %s, and no answer of its server comes through this host (direct "
			"server return, asymmetric routing, or it is down)",
			service->name, registry_endpoint(service, endpoint), what);
		service_fields(service, &event);
		event_text(&event, "reason", what);
		supervisor_tell(supervisor, &event);
	}
}
