/* SPDX-License-Identifier: GPL-2.0-or-later */
/* telling: the one way out for events: numbered, kept, logged, and told to those who follow. */
#include <time.h>

#include "log.h"
#include "supervisor_parts.h"
#include "synmoat/version.h"

#define NSEC_PER_SEC 1000000000ULL

static uint64_t realtime_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

void supervisor_tell(struct supervisor *supervisor, const struct event *event)
{
	static char text[EVENT_LINE_BYTES], json[EVENT_LINE_BYTES];
	const struct event *told = event_ring_add(&supervisor->events, event, realtime_ns());

	log_event(told);
	if (!supervisor->control)
		return;
	event_line_text(told, text);
	event_line_json(told, json);
	control_tell(supervisor->control, text, json);
}

void supervisor_tell_ready(struct supervisor *supervisor)
{
	struct event event;

	event_begin(&event, EVENT_READY, "ready: %u bindings protected by %u shards",
		    supervisor->registry.binding_count, supervisor->shards);
	event_text(&event, "version", SYNMOAT_VERSION);
	event_text(&event, "mode", supervisor->config.mode == MODE_GATEWAY ? "gateway" : "host");
	event_text(&event, "policy", supervisor->config.policy == POLICY_OBSERVE ? "observe" : "enforce");
	event_number(&event, "bindings", supervisor->registry.binding_count);
	event_number(&event, "shards", supervisor->shards);
	supervisor_tell(supervisor, &event);
}

void supervisor_tell_control(struct supervisor *supervisor)
{
	const char *warning = control_warning(supervisor->control);
	struct event event;

	if (!*warning)
		return;
	event_begin(&event, EVENT_CONTROL_GROUP, "%s", warning);
	event_text(&event, "group", supervisor->config.control_group);
	event_text(&event, "socket", supervisor->config.control_socket);
	supervisor_tell(supervisor, &event);
}

void supervisor_tell_plain(struct supervisor *supervisor, enum event_kind kind, const char *text)
{
	struct event event;

	event_begin(&event, kind, "%s", text);
	supervisor_tell(supervisor, &event);
}
