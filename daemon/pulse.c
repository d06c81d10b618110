/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pulse.h"

#include <string.h>

#include "edge/manager.h"

#define NSEC_PER_MSEC 1000000ULL
#define NSEC_PER_SEC 1000000000ULL
/* Of the time that the manager waits: so a sign of life may be late once, and a stuck shard is found 4/3 of it later. */
#define SIGNS_PER_WATCHDOG 3
#define LOOKS_PER_SIGN 4

/* ---- a sentence ---- */

/* To two digits, lest the sentence change all the time. */
static unsigned long long rounded(unsigned long long number)
{
	unsigned long long unit = 1;

	while (number / unit >= 100)
		unit *= 10;
	return number / unit * unit;
}

static void rate_text(unsigned long long per_s, char *text, size_t bytes)
{
	per_s = rounded(per_s);
	if (per_s < 1000)
		snprintf(text, bytes, "%llu", per_s);
	else if (per_s < 1000000)
		snprintf(text, bytes, "%llu,%03llu", per_s / 1000, per_s % 1000);
	else
		snprintf(text, bytes, "%llu,%03llu,%03llu", per_s / 1000000, per_s / 1000 % 1000, per_s % 1000);
}

static void status_text(const struct supervisor *supervisor, char text[PULSE_STATUS_BYTES])
{
	unsigned services = 0, armed = 0;
	unsigned long long syn_per_s = 0;
	char rate[32], what[96];

	for (unsigned i = 0; i < supervisor->registry.service_count; i++) {
		const struct service *service = &supervisor->registry.services[i];

		services += service->in_use;
		if (!service->in_use || service->posture != SERVICE_ARMED)
			continue;
		armed++;
		syn_per_s += supervisor->looks[i].window.last_second;
	}
	rate_text(syn_per_s, rate, sizeof(rate));
	if (armed)
		snprintf(what, sizeof(what), "%u of %u services armed, %s SYN/s", armed, services, rate);
	else
		snprintf(what, sizeof(what), "%u service%s watched, none armed", services, services == 1 ? "" : "s");
	snprintf(text, PULSE_STATUS_BYTES, "%s%s%s%s%s", what,
		 supervisor->config.policy == POLICY_OBSERVE ? " (observe)" : "",
		 supervisor->rules_stale ? "; the kernel refuses the rules, tried again every second" : "",
		 supervisor->reload_refused[0] ? "; reload refused: " : "", supervisor->reload_refused);
}

static void tell_status(struct pulse *pulse, const struct supervisor *supervisor, uint64_t now_ns)
{
	char text[PULSE_STATUS_BYTES];

	if (now_ns < pulse->status_due_ns)
		return;
	status_text(supervisor, text);
	if (strcmp(text, pulse->status) == 0)
		return;
	memcpy(pulse->status, text, sizeof(pulse->status));
	pulse->status_due_ns = now_ns + NSEC_PER_SEC;
	manager_status(text);
}

/* ---- a sign of life ---- */

static bool all_have_answered(const struct supervisor *supervisor)
{
	for (unsigned i = 0; i < supervisor->shards; i++)
		if (!worker_has_answered(&supervisor->workers[i]))
			return false;
	return true;
}

static void ask_all(struct supervisor *supervisor)
{
	for (unsigned i = 0; i < supervisor->shards; i++)
		worker_ask(&supervisor->workers[i]);
}

static void give_sign(struct pulse *pulse, struct supervisor *supervisor, uint64_t now_ns)
{
	if (!pulse->every_ns || now_ns < pulse->due_ns)
		return;
	if (pulse->asked && !all_have_answered(supervisor)) {
		pulse->due_ns = now_ns + pulse->every_ns / LOOKS_PER_SIGN;
		return;
	}
	if (pulse->asked)
		manager_alive();
	ask_all(supervisor);
	pulse->asked = true;
	pulse->due_ns = now_ns + pulse->every_ns;
}

/* ---- both ---- */

void pulse_begin(struct pulse *pulse, struct supervisor *supervisor)
{
	*pulse = (struct pulse){.every_ns = manager_watchdog_ns() / SIGNS_PER_WATCHDOG};
	manager_ready();
	pulse_tick(pulse, supervisor, 0);
}

int pulse_tick(struct pulse *pulse, struct supervisor *supervisor, int wait_ms)
{
	uint64_t now_ns = worker_now_ns();
	uint64_t left_ms;

	tell_status(pulse, supervisor, now_ns);
	give_sign(pulse, supervisor, now_ns);
	if (!pulse->every_ns)
		return wait_ms;
	left_ms = (pulse->due_ns - now_ns) / NSEC_PER_MSEC + 1;
	return left_ms < (uint64_t)wait_ms ? (int)left_ms : wait_ms;
}
