/* SPDX-License-Identifier: GPL-2.0-or-later */
/* postures: looks at what presses each service, and decides which are armed or wary. */
#include <string.h>

#include "supervisor_parts.h"

#define NSEC_PER_SEC 1000000000ULL

/* ---- looking ---- */

/* In a shard's thread. */
static void job_look(struct worker *worker, void *argument)
{
	struct supervisor *supervisor = argument;
	uint64_t now_ns = worker_now_ns();

	for (unsigned i = 0; i < supervisor->registry.service_count; i++) {
		const struct tally *tally = &worker->guard.tallies[i];
		struct look *look = &supervisor->looks[i];

		if (!look->wanted)
			continue;
		look->unanswered += tally_unanswered(tally, supervisor->config.backlog.handshake_timeout_s, now_ns);
		tally_window(tally, now_ns, &look->window);
		tally_totals(tally, &look->totals);
		tally_sketch_window(tally, now_ns, &look->sketch);
	}
}

/* Forged first ACKs end our entries, not the kernel's. */
static uint32_t half_open_of(const struct service *service)
{
	uint32_t half_open = service->half_open;

	return half_open > service->kernel_young ? half_open : service->kernel_young;
}

static bool backlog_presses(const struct service *service)
{
	return service->in_use && service_presses(service, half_open_of(service));
}

static bool is_quiet(const struct incident *incident)
{
	return incident->character == CHARACTER_CALM && incident->candidate == CHARACTER_CALM;
}

static bool worth_a_look(const struct supervisor *supervisor, unsigned index)
{
	const struct service *service = &supervisor->registry.services[index];

	return service->posture != SERVICE_WATCHING || service->patience == SERVICE_ARMS_WHEN_CROWDED ||
	       backlog_presses(service) || !is_quiet(&supervisor->incidents[index]);
}

bool postures_press(const struct supervisor *supervisor)
{
	bool press = false;

	for (unsigned i = 0; i < supervisor->registry.service_count && !press; i++)
		press = supervisor->registry.services[i].posture != SERVICE_ARMED &&
			backlog_presses(&supervisor->registry.services[i]);
	return press;
}

static void look_at_services(struct supervisor *supervisor)
{
	bool any = false;

	for (unsigned i = 0; i < supervisor->registry.service_count; i++) {
		const struct service *service = &supervisor->registry.services[i];

		supervisor->looks[i] = (struct look){
			.wanted = worth_a_look(supervisor, i),
			.half_open = half_open_of(service),
			.held = service_held(service),
		};
		any |= supervisor->looks[i].wanted;
	}
	if (any)
		supervisor_call_all(supervisor, job_look, supervisor);
}

/* What is half-open, and with cookies what would be without them. */
static uint32_t load_of(const struct supervisor *supervisor, unsigned index)
{
	const struct service *service = &supervisor->registry.services[index];
	bool cookies = service->posture == SERVICE_ARMED && supervisor->config.policy == POLICY_ENFORCE;

	int64_t unanswered = supervisor->looks[index].unanswered;

	if (!cookies || unanswered <= 0)
		return supervisor->looks[index].half_open;
	return unanswered < UINT32_MAX - supervisor->looks[index].half_open
		       ? supervisor->looks[index].half_open + (uint32_t)unanswered
		       : UINT32_MAX;
}

static struct observation observation_of(struct supervisor *supervisor, unsigned index, uint64_t now_ns)
{
	struct service *service = &supervisor->registry.services[index];
	const struct look *look = &supervisor->looks[index];
	const struct tally_window *window = &look->window;
	bool armed = service->posture == SERVICE_ARMED;
	bool attacked = armed && service_cookies(service) == SERVICE_COOKIES_AUTO;
	bool pressed_before = service->pressed_since_ns;
	bool pressed = service->in_use && (attacked || service_presses(service, look->load));

	if (!pressed)
		service->pressed_since_ns = 0;
	else if (!service->pressed_since_ns)
		service->pressed_since_ns = now_ns;
	return (struct observation){
		.begun = window->begun + window->cookies_sent,
		.completed = window->completed + window->cookies_returned,
		.retransmitted = window->retransmitted,
		.syns = (uint32_t)(look->sketch.syns > UINT32_MAX ? UINT32_MAX : look->sketch.syns),
		.elsewhere = window->elsewhere,
		.distinct = tally_distinct(&look->sketch),
		.top_syns = (uint32_t)tally_certain(tally_heaviest(&look->sketch)),
		.arm_at = service->arm_at,
		.pressed_ns = pressed ? now_ns - service->pressed_since_ns : 0,
		.pressed = pressed,
		.pressed_before = pressed_before,
		.greedy = now_ns < service->wary_until_ns,
		.crowded = service_crowded(service, look->load),
		.accept_queue_full = service->accept_queue_full,
		.accept_queue_was_full =
			service->accept_queue_full_ns && now_ns - service->accept_queue_full_ns < CHARACTER_LINGER_NS,
		.armed = armed,
		.before = supervisor->incidents[index].character,
	};
}

static enum service_patience patience_of(const struct service *service, enum character character,
					 const struct observation *seen)
{
	if (!service_may_be_answered_for(service))
		return SERVICE_ARMS_AT_ONCE; /* with its first answer: service_trips() */
	if (service_cookies(service) != SERVICE_COOKIES_AUTO)
		return SERVICE_ARMS_NEVER;
	if (!seen->pressed || character_arms(character, seen))
		return SERVICE_ARMS_AT_ONCE;
	if (service->behind && !service->configured_limit)
		return SERVICE_ARMS_NEVER; /* what is still borne is how the limit is learned */
	return character == CHARACTER_FLASH_CROWD ? SERVICE_ARMS_WHEN_CROWDED : SERVICE_ARMS_NEVER;
}

uint32_t supervisor_syn_rate(const struct look *look)
{
	const struct tally_window *window = &look->window;

	return window->last_second > window->this_second ? window->last_second : window->this_second;
}

/* ---- deciding ---- */

struct verdict {
	enum service_posture next;
	bool arms, disarms;
	enum incident_event event;
	struct observation seen;
};

static struct verdict decide(struct supervisor *supervisor, unsigned index, uint64_t now_ns)
{
	struct service_timing timing = {
		.hold_ns = supervisor->config.backlog.hold_s * NSEC_PER_SEC,
		.drain_ns = supervisor->config.backlog.handshake_timeout_s * NSEC_PER_SEC,
	};
	struct service *service = &supervisor->registry.services[index];
	struct incident *incident = &supervisor->incidents[index];
	struct look *look = &supervisor->looks[index];
	enum service_cookies cookies = service_cookies(service);
	bool off = !service->in_use || (cookies == SERVICE_COOKIES_ALWAYS && !service->listening);
	struct incident_counts counts = {
		.syns = look->totals.syns,
		.challenged = look->totals.cookies_sent,
		.completed = look->totals.completed + look->totals.cookies_returned,
	};
	struct verdict verdict = {.event = INCIDENT_NOTHING};
	enum character character;

	look->load = load_of(supervisor, index);
	verdict.seen = observation_of(supervisor, index, now_ns);
	character = character_of(&verdict.seen);
	service->patience = patience_of(service, character, &verdict.seen);
	service->exempt = cookies == SERVICE_COOKIES_NEVER || !service_may_be_answered_for(service);
	if (look->wanted)
		service_bore(service, look->half_open, verdict.seen.begun, verdict.seen.completed);
	incidents_say_elsewhere(supervisor, service, now_ns);
	service->everybody = cookies == SERVICE_COOKIES_ALWAYS;

	verdict.next = off ? SERVICE_WATCHING : service_next(service, &timing, look->load, now_ns);
	verdict.arms = verdict.next == SERVICE_ARMED && service->posture != SERVICE_ARMED;
	verdict.disarms = verdict.next != SERVICE_ARMED && service->posture == SERVICE_ARMED;
	if (!look->wanted && !verdict.arms)
		return verdict;
	incident_note(incident, supervisor_syn_rate(look), &counts);
	if (verdict.disarms || !service->in_use)
		verdict.event = incident_end(incident);
	else
		verdict.event =
			incident_update(incident, character, verdict.arms && cookies == SERVICE_COOKIES_AUTO, now_ns);
	return verdict;
}

/* Its backlog may have been full before we came, or at once when it came back: then it answers none of the SYNs that are
 * followed to see the answer. */
static bool is_silent(const struct service *service)
{
	return service->behind && !service_may_be_answered_for(service) && backlog_presses(service);
}

/* Open: without the rules no cookie is sent. SYNs do not wait for them until they are tried again. */
static void go_on_without_rules(struct supervisor *supervisor)
{
	for (unsigned i = 0; i < supervisor->registry.service_count; i++) {
		struct service *service = &supervisor->registry.services[i];

		service->patience = SERVICE_ARMS_NEVER;
		service->exempt = service->posture == SERVICE_WATCHING;
	}
}

/* Not while strays pass, as with what XDP answers: accelerator.c. */
static void note_spilled(struct supervisor *supervisor)
{
	uint64_t timeout_ns = (supervisor->config.backlog.handshake_timeout_s + 1ULL) * NSEC_PER_SEC;

	for (unsigned i = 0; i < supervisor->registry.service_count && !supervisor->grace_until_ns; i++) {
		struct service *service = &supervisor->registry.services[i];
		uint64_t spilled_ns = service->spilled_ns;

		if (spilled_ns && service->ahead_until_ns < spilled_ns + timeout_ns)
			service->ahead_until_ns = spilled_ns + timeout_ns;
	}
}

/* Rules that lead third ACKs to us come before the first cookie is sent, and go after the last was honoured. */
int postures_update(struct supervisor *supervisor, bool rules_stale, uint64_t now_ns)
{
	static struct verdict verdicts[SERVICES_MAX];
	static enum service_posture next[SERVICES_MAX];
	static struct incident before[SERVICES_MAX];
	struct registry *registry = &supervisor->registry;
	bool watched_no_more = false;
	bool unasked = false;
	bool spills;
	int error;

	supervisor->rules_stale |= rules_stale;
	accelerator_count(supervisor, now_ns);
	memcpy(before, supervisor->incidents,
	       registry->service_count * sizeof(before[0])); /* what is not said has not happened */
	look_at_services(supervisor);
	for (unsigned i = 0; i < registry->service_count; i++) {
		bool was_watching = registry->services[i].posture == SERVICE_WATCHING;

		verdicts[i] = decide(supervisor, i, now_ns);
		next[i] = verdicts[i].next;
		watched_no_more |= was_watching && next[i] != SERVICE_WATCHING;
		supervisor->rules_stale |= was_watching != (next[i] == SERVICE_WATCHING);
		if (supervisor->config.on_exit == UNSEEN_DROP_ARMED)
			supervisor->rules_stale |= verdicts[i].arms || verdicts[i].disarms;
		unasked |= is_silent(&registry->services[i]);
	}
	supervisor->rules_stale |= unasked != supervisor->unasked;
	supervisor->unasked = unasked;
	spills = supervisor_may_spill(supervisor, next);
	supervisor->rules_stale |= spills != supervisor->spills;
	supervisor->spills = spills;
	accelerator_withdraw(supervisor, next);
	error = supervisor->rules_stale ? supervisor_apply_rules(supervisor, next) : 0;
	if (error) {
		memcpy(supervisor->incidents, before, registry->service_count * sizeof(before[0]));
		go_on_without_rules(supervisor);
		accelerator_follow(supervisor, now_ns);
		return error;
	}
	supervisor_apply_limits(supervisor);
	note_spilled(supervisor);
	for (unsigned i = 0; i < registry->service_count; i++) {
		if (verdicts[i].arms || verdicts[i].disarms)
			incidents_say_posture(supervisor, i, verdicts[i].arms, verdicts[i].event, &verdicts[i].seen);
		else
			incidents_say(supervisor, i, verdicts[i].event, &verdicts[i].seen);
		if (verdicts[i].event == INCIDENT_BEGUN)
			incidents_begin(supervisor, i);
		if (next[i] != registry->services[i].posture)
			service_enter(&registry->services[i], next[i], now_ns);
	}
	accelerator_follow(supervisor, now_ns);
	for (unsigned i = 0; watched_no_more && i < supervisor->shards; i++)
		worker_go_on(&supervisor->workers[i]);
	if (watched_no_more && supervisor->config.policy == POLICY_ENFORCE)
		supervisor_know_flows(supervisor);
	return 0;
}
