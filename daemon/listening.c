/* SPDX-License-Identifier: GPL-2.0-or-later */
/* listening: what this host's sockets tell: which services there are, how full their queues are. On a gateway there is
 * nothing to ask: the servers' answers tell. */
#include <stdlib.h>
#include <string.h>

#include "edge/marks.h"
#include "log.h"
#include "supervisor_parts.h"

#define NSEC_PER_SEC 1000000000ULL
#define LISTENERS_EVERY_NS NSEC_PER_SEC
#define HALF_OPEN_COST 50

/* Nobody but us counts what is half-open behind this host, nor where sock_diag fails: what it told last does not last. */
static void take_our_count(struct registry *registry)
{
	for (unsigned i = 0; i < registry->service_count; i++) {
		struct service *service = &registry->services[i];

		service->kernel_young = 0;
		service->kernel_held = 0;
		service->begun_since = 0;
	}
}

/* `begun`, of each service, is what had begun before the count; `all_ours` that none is from before our start. */
static void take_kernels_count(struct registry *registry, const struct half_open_count *counts, const int32_t *begun,
			       bool all_ours)
{
	for (unsigned i = 0; i < registry->service_count; i++) {
		struct service *service = &registry->services[i];

		service->kernel_young = all_ours ? counts[i].young : 0;
		service->kernel_held = counts[i].all;
		service->begun_since -= begun[i];
	}
}

/* The kernel's own count of half-open connections, beside ours. It walks through all sockets of the host: where that takes
 * long it is done the less often, and all in all takes no more than 2 % of a CPU. */
void supervisor_read_half_open(struct supervisor *supervisor)
{
	static struct half_open_count counts[SERVICES_MAX];
	static int32_t begun[SERVICES_MAX];
	struct registry *registry = &supervisor->registry;
	uint64_t now_ns = worker_now_ns();
	uint64_t timeout_ns = supervisor->config.backlog.handshake_timeout_s * NSEC_PER_SEC;
	bool all_ours = now_ns - supervisor->started_ns > timeout_ns;
	uint64_t took_ns;
	struct event event;
	int error;

	if (supervisor->config.mode == MODE_GATEWAY) {
		supervisor->half_open_due_ns = now_ns + NSEC_PER_SEC;
		take_our_count(registry);
		return;
	}
	memset(counts, 0, sizeof(counts));
	for (unsigned i = 0; i < registry->service_count; i++)
		begun[i] = registry->services[i].begun_since;
	error = listeners_half_open(supervisor->map, supervisor->config.backlog.handshake_timeout_s, counts);
	took_ns = worker_now_ns() - now_ns;
	supervisor->half_open_due_ns =
		now_ns + (took_ns * HALF_OPEN_COST > NSEC_PER_SEC ? took_ns * HALF_OPEN_COST : NSEC_PER_SEC);
	if (error && !supervisor->said_half_open) {
		supervisor->said_half_open = true;
		event_begin(&event, EVENT_HALF_OPEN_UNCOUNTED,
			    "sock_diag: the kernel's half-open connections are not counted: %s", strerror(-error));
		event_text(&event, "error", strerror(-error));
		supervisor_tell(supervisor, &event);
	}
	if (error)
		take_our_count(registry);
	else
		take_kernels_count(registry, counts, begun, all_ours);
	supervisor_note_allowed(supervisor, now_ns);
}

/* ---- services ---- */

static void job_set_map(struct worker *worker, void *argument)
{
	worker->guard.map = argument;
}

static void job_forget(struct worker *worker, void *argument)
{
	const unsigned *index = argument;

	worker->guard.tallies[*index] = (struct tally){.half = 0};
	worker->guard.learn_at_ns[*index][0] = worker->guard.learn_at_ns[*index][1] = 0;
	worker->guard.unheard[*index] = 0;
}

/* What slots that have a new service know of the one before. */
static void forget_others(struct supervisor *supervisor)
{
	for (unsigned i = 0; i < supervisor->registry.service_count; i++) {
		if (!supervisor->registry.services[i].fresh)
			continue;
		supervisor->registry.services[i].fresh = false;
		incidents_cut_short(supervisor, i, "gone");
		supervisor->incidents[i] = (struct incident){.noted = false};
		supervisor->looks[i] = (struct look){.wanted = false};
		supervisor_call_all(supervisor, job_forget, &i);
	}
}

static void tell_left_out(struct supervisor *supervisor)
{
	struct event event;

	event_begin(&event, EVENT_SERVICES_LEFT_OUT, "more than %u services: %u are not protected", SERVICES_MAX,
		    supervisor->registry.left_out);
	event_number(&event, "left_out", supervisor->registry.left_out);
	event_number(&event, "services_max", SERVICES_MAX);
	supervisor_tell(supervisor, &event);
}

/* Which ports are bound, how full their backlogs are. Returns whether the bindings changed. */
bool supervisor_read_listeners(struct supervisor *supervisor, uint64_t now_ns)
{
	struct service_map *old = supervisor->map;
	struct service_map *map;
	struct listener *listeners = NULL;
	int count = supervisor->config.mode == MODE_GATEWAY ? 0 : listeners_read(&listeners);
	unsigned left_out = supervisor->registry.left_out;
	bool changed;

	supervisor->listeners_due_ns = now_ns + LISTENERS_EVERY_NS;
	if (count < 0) {
		log_warn("sock_diag: listeners not read: %s", strerror(-count));
		return false;
	}
	changed = registry_update(&supervisor->registry, &supervisor->config, listeners, (size_t)count, now_ns);
	free(listeners);
	forget_others(supervisor);
	if (supervisor->registry.left_out && !left_out)
		tell_left_out(supervisor);
	if (!changed && old)
		return false;
	map = service_map_new(supervisor->registry.bindings, supervisor->registry.binding_count);
	if (!map) {
		log_error("out of memory: services stay as they are");
		return false;
	}
	supervisor->map = map;
	supervisor_call_all(supervisor, job_set_map, map);
	service_map_free(old);
	return true;
}

/* ---- servers behind this host ---- */

struct found {
	struct guard_found servers[WORKERS_MAX * GUARD_FOUND_MAX];
	size_t count;
};

static void job_take_found(struct worker *worker, void *argument)
{
	struct guard *guard = &worker->guard;
	struct found *found = argument;

	memcpy(found->servers + found->count, guard->found, guard->found_count * sizeof(guard->found[0]));
	found->count += guard->found_count;
	guard->found_count = 0;
}

bool supervisor_take_found(struct supervisor *supervisor, uint64_t now_ns)
{
	static struct found found;
	struct event event;
	bool any = false;

	if (supervisor->config.mode != MODE_GATEWAY)
		return false;
	found.count = 0;
	supervisor_call_all(supervisor, job_take_found, &found);
	for (size_t i = 0; i < found.count; i++)
		any |= registry_found(&supervisor->registry, &found.servers[i], now_ns);
	if (supervisor->registry.found_left_out_ns && !supervisor->said_found) {
		supervisor->said_found = true;
		event_begin(&event, EVENT_SERVICES_LEFT_OUT,
			    "more than %d services: servers found in networks since then are not protected",
			    SERVICES_MAX);
		event_number(&event, "services_max", SERVICES_MAX);
		supervisor_tell(supervisor, &event);
	}
	return any;
}
