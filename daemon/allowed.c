/* SPDX-License-Identifier: GPL-2.0-or-later */
/* allowed: SYNs of allowed sources are not for us to stop, but when it is them that fill a backlog, somebody should know.
 * Whoever forges such an address does it, too: cookies for others then find no room either, unless the kernel makes some of its
 * own (net.ipv4.tcp_syncookies = 1). */
#include "registry.h"
#include "supervisor_parts.h"

#define NSEC_PER_SEC 1000000000ULL
#define SAID_EVERY_NS (60 * NSEC_PER_SEC)

/* What the kernel holds half-open for the service, and no shard has seen come. */
static uint32_t unseen_of(const struct service *service)
{
	uint32_t held = service->kernel_held, ours = service->half_open;

	return held > ours ? held - ours : 0;
}

/* The service whose backlog has most of them, if they alone press it; or -1. */
static int pressed_unseen(const struct supervisor *supervisor)
{
	uint32_t most = 0;
	int found = -1;

	for (unsigned i = 0; i < supervisor->registry.service_count; i++) {
		const struct service *service = &supervisor->registry.services[i];
		uint32_t unseen = service->in_use && service->arm_at ? unseen_of(service) : 0;

		if (unseen >= service->arm_at && unseen > most) {
			most = unseen;
			found = (int)i;
		}
	}
	return found;
}

static void tell(struct supervisor *supervisor, const struct service *service, uint64_t per_s)
{
	char endpoint[REGISTRY_ENDPOINT_BYTES];
	struct event event;

	registry_endpoint(service, endpoint);
	event_begin(
		&event, EVENT_ALLOWED_PRESS,
		"service %s (%s): %u of the %u half-open connections that its backlog holds are of allowed sources, or in "
		"their name (%llu SYNs per second): they are let past unseen; see synmoatctl allow list",
		service->name, endpoint, unseen_of(service), (unsigned)service->limit, (unsigned long long)per_s);
	event_text(&event, "service", service->name);
	event_text(&event, "endpoint", endpoint);
	event_number(&event, "half_open", unseen_of(service));
	event_number(&event, "limit", service->limit);
	event_number(&event, "syn_per_s", per_s);
	supervisor_tell(supervisor, &event);
}

void supervisor_note_allowed(struct supervisor *supervisor, uint64_t now_ns)
{
	struct allowed_press *press = &supervisor->allowed_press;
	int index = pressed_unseen(supervisor);
	uint64_t counts[RULESET_REFUSAL_COUNT], since, took_ns = now_ns - press->looked_ns;

	if (index < 0 || ruleset_refusals(&supervisor->ruleset, counts) < 0) {
		press->looked_ns = 0;
		press->service = -1;
		return;
	}
	since = counts[RULESET_ALLOWED] - press->counted;
	press->counted = counts[RULESET_ALLOWED];
	if (!press->looked_ns) { /* the next look tells how many there are */
		press->looked_ns = now_ns;
		return;
	}
	press->looked_ns = now_ns;
	/* As many as it takes to keep it so full. */
	if (since * NSEC_PER_SEC / took_ns * supervisor->config.backlog.handshake_timeout_s <
	    unseen_of(&supervisor->registry.services[index])) {
		press->service = -1;
		return;
	}
	press->service = index;
	if (press->said_ns && now_ns - press->said_ns < SAID_EVERY_NS)
		return;
	press->said_ns = now_ns;
	tell(supervisor, &supervisor->registry.services[index], since * NSEC_PER_SEC / took_ns);
}
