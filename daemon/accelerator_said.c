/* SPDX-License-Identifier: GPL-2.0-or-later */
/* accelerator_said: what is told of the XDP program: events, status, checks. */
#include <stdio.h>
#include <string.h>

#include "accelerator_parts.h"

bool links_know(const struct links *links, const char *name)
{
	bool known = false;

	for (size_t i = 0; i < links->count && !known; i++)
		known = strcmp(links->links[i].name, name) == 0;
	return known;
}

static const char *how(bool native)
{
	return native ? "native" : "generic";
}

void port_trouble_text(const char *name, enum port_trouble trouble, int error, char *text, size_t bytes)
{
	switch (trouble) {
	case PORT_FINE:
		snprintf(text, bytes, "%s: nothing is wrong", name);
		break;
	case PORT_TAKEN:
		snprintf(text, bytes, "%s has an XDP program of another (ip link show %s)", name, name);
		break;
	case PORT_TAGS:
		snprintf(text, bytes,
			 "%s carries VLANs, and takes their tags off before XDP sees them: ethtool -K %s rxvlan off",
			 name, name);
		break;
	case PORT_ALIEN:
		snprintf(text, bytes, "%s is no Ethernet link: XDP answers on no other", name);
		break;
	case PORT_REFUSED:
		snprintf(text, bytes, "%s takes no XDP program: %s", name, strerror(-error));
		break;
	}
}

/* "eth0 (native), eth1 (generic)": those with the program. */
static size_t attached_text(const struct accelerator *accelerator, char *text, size_t bytes)
{
	size_t used = 0, count = 0;

	text[0] = '\0';
	for (size_t i = 0; i < accelerator->port_count; i++) {
		const struct accelerator_port *port = &accelerator->ports[i];

		if (!port->attached)
			continue;
		if (used < bytes)
			used += (size_t)snprintf(text + used, bytes - used, "%s%s (%s)", count ? ", " : "", port->name,
						 how(port->native));
		count++;
	}
	return count;
}

/* ---- events ---- */

void accelerator_tell_unavailable(struct supervisor *supervisor)
{
	const char *why = supervisor->accelerator.why_not;
	struct event event;

	event_begin(&event, EVENT_XDP_UNAVAILABLE, "no XDP: %s: all SYNs are answered from the queue", why);
	event_text(&event, "error", why);
	supervisor_tell(supervisor, &event);
}

void accelerator_tell_on(struct supervisor *supervisor)
{
	char text[256];
	struct event event;
	size_t count = attached_text(&supervisor->accelerator, text, sizeof(text));

	event_begin(&event, EVENT_XDP_ON, "XDP answers SYNs on %s", text);
	event_text(&event, "interfaces", text);
	event_number(&event, "interface_count", count);
	supervisor_tell(supervisor, &event);
}

void accelerator_tell_off(struct supervisor *supervisor, const char *why)
{
	const struct xdp_counts *sum = &supervisor->accelerator.sum;
	struct event event;

	event_begin(&event, EVENT_XDP_OFF, "XDP is detached: %s; %llu SYNs answered so far", why,
		    (unsigned long long)sum->answered);
	event_text(&event, "reason", why);
	event_number(&event, "answered", sum->answered);
	supervisor_tell(supervisor, &event);
}

static void tell_not_there(struct supervisor *supervisor, const char *name, const char *text)
{
	struct event event;

	event_begin(&event, EVENT_XDP_NOT_THERE, "%s: SYNs from there are answered from the queue", text);
	event_text(&event, "interface", name);
	event_text(&event, "error", text);
	supervisor_tell(supervisor, &event);
}

void accelerator_tell_trouble(struct supervisor *supervisor, const struct accelerator_port *port)
{
	char text[256];

	port_trouble_text(port->name, port->trouble, port->error, text, sizeof(text));
	tell_not_there(supervisor, port->name, text);
}

static void missing_text(const char *name, char *text, size_t bytes)
{
	snprintf(text, bytes, "there is no interface %s, which xdp.interfaces names", name);
}

_Static_assert(CONFIG_INTERFACES_MAX <= 32, "a bit each");

void accelerator_tell_missing(struct supervisor *supervisor)
{
	struct accelerator *accelerator = &supervisor->accelerator;
	const struct config *config = &supervisor->config;
	uint32_t missing = 0;
	char text[128];

	for (size_t i = 0; i < config->xdp.interface_count; i++) {
		const char *name = config->xdp.interfaces[i];

		if (links_know(&accelerator->links, name))
			continue;
		missing |= 1U << i;
		missing_text(name, text, sizeof(text));
		if (!(accelerator->said_missing & 1U << i))
			tell_not_there(supervisor, name, text);
	}
	accelerator->said_missing = missing;
}

/* ---- status ---- */

static const char *port_state(const struct accelerator_port *port)
{
	static const char *const troubles[] = {[PORT_FINE] = "ready",
					       [PORT_TAKEN] = "another program",
					       [PORT_TAGS] = "tags stripped",
					       [PORT_ALIEN] = "no Ethernet",
					       [PORT_REFUSED] = "refused"};

	return port->attached ? how(port->native) : troubles[port->trouble];
}

void accelerator_describe(const struct supervisor *supervisor, struct report_accelerator *shown)
{
	const struct accelerator *accelerator = &supervisor->accelerator;

	*shown = (struct report_accelerator){
		.state = supervisor->config.accelerator == ACCELERATOR_OFF ? "off"
			 : !accelerator->xdp                               ? "unavailable"
									   : "ready",
		.why_not = accelerator->why_not,
		.answered = accelerator->sum.answered,
		.passed_up = accelerator->sum.passed_up,
	};
	for (size_t i = 0; i < accelerator->port_count; i++) {
		const struct accelerator_port *port = &accelerator->ports[i];

		if (port->attached)
			shown->state = "attached";
		if (shown->interface_count == REPORT_INTERFACES_MAX)
			break;
		memcpy(shown->interfaces[shown->interface_count].name, port->name, sizeof(port->name));
		shown->interfaces[shown->interface_count++].state = port_state(port);
	}
}

bool accelerator_answers(const struct supervisor *supervisor, unsigned service, const struct addr *source)
{
	const struct accelerator *accelerator = &supervisor->accelerator;
	bool answers = false;

	for (size_t i = 0; accelerator->shares && i < accelerator->endpoint_count && !answers; i++) {
		const struct accelerator_endpoint *endpoint = &accelerator->endpoints[i];

		answers = endpoint->service == service && !endpoint->refused &&
			  addr_is_v4(&endpoint->address) == addr_is_v4(source);
	}
	return answers;
}

/* ---- checks ---- */

static void check_interfaces(const struct config *config, const struct links *links, size_t count,
			     struct checks *checks)
{
	char text[128];

	for (size_t i = 0; i < config->xdp.interface_count; i++) {
		missing_text(config->xdp.interfaces[i], text, sizeof(text));
		if (!links_know(links, config->xdp.interfaces[i]))
			checks_note(checks, REPORT_WARNING, "accelerator", "%s", text);
	}
	if (!count && !config->xdp.interface_count)
		checks_note(checks, REPORT_WARNING, "accelerator",
			    "XDP is on no interface: none is up and has an address; name them in xdp.interfaces");
}

/* Of one on which it is not: before it is needed. Returns whether it could be. */
static bool check_port(const struct accelerator_port *port, struct checks *checks)
{
	enum port_trouble trouble = port->trouble != PORT_FINE  ? port->trouble
				    : xdp_is_taken(port->index) ? PORT_TAKEN
								: PORT_FINE;
	char text[256];

	port_trouble_text(port->name, trouble, port->error, text, sizeof(text));
	if (trouble != PORT_FINE)
		checks_note(checks, REPORT_WARNING, "accelerator", "%s", text);
	return trouble == PORT_FINE;
}

static const char *why_detached(const struct supervisor *supervisor)
{
	if (supervisor->config.policy != POLICY_ENFORCE)
		return "detached: policy observe answers nobody";
	if (!accelerator_is_wanted(supervisor))
		return "detached: nothing needs it";
	if (!supervisor->accelerator.endpoint_count)
		return "not attached yet: of no server that is armed the answer is known so far";
	return "not attached yet: tried again in a moment";
}

static void check_unavailable(const struct config *config, const char *why, struct checks *checks)
{
	if (config->accelerator == ACCELERATOR_XDP)
		checks_note(checks, REPORT_FAULT, "accelerator", "no XDP: %s", why);
	else
		checks_note(checks, REPORT_WARNING, "accelerator",
			    "no XDP: %s: all SYNs are answered from the queue; accelerator = \"off\" if so it shall be",
			    why);
}

void accelerator_check(const struct supervisor *supervisor, struct checks *checks)
{
	const struct accelerator *accelerator = &supervisor->accelerator;
	char text[256], names[256] = "";
	size_t used = 0;

	if (supervisor->config.accelerator == ACCELERATOR_OFF) {
		checks_note(checks, REPORT_OK, "accelerator", "off, as configured");
		return;
	}
	if (!accelerator->xdp) {
		check_unavailable(&supervisor->config, accelerator->why_not, checks);
		return;
	}
	for (size_t i = 0; i < accelerator->port_count; i++) {
		const struct accelerator_port *port = &accelerator->ports[i];

		if ((port->attached || check_port(port, checks)) && used < sizeof(names))
			used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", used ? ", " : "",
						 port->name);
	}
	check_interfaces(&supervisor->config, &accelerator->links, accelerator->port_count, checks);
	if (attached_text(accelerator, text, sizeof(text)))
		checks_note(checks, REPORT_OK, "accelerator", "XDP answers on %s", text);
	else if (used)
		checks_note(checks, REPORT_OK, "accelerator", "XDP is ready for %s, and %s", names,
			    why_detached(supervisor));
}

void accelerator_preflight(const struct config *config, struct checks *checks)
{
	const struct link *chosen[ACCELERATOR_PORTS_MAX];
	struct links links = {.links = NULL};
	char why[256], text[256] = "";
	struct xdp *xdp;
	size_t count, used = 0;

	if (config->accelerator == ACCELERATOR_OFF) {
		checks_note(checks, REPORT_OK, "accelerator", "off, as configured");
		return;
	}
	xdp = accelerator_load(config, why, sizeof(why));
	xdp_close(xdp);
	if (!xdp || links_read(&links, !config->xdp.interface_count) != 0) {
		check_unavailable(config, xdp ? "interfaces cannot be read" : why, checks);
		return;
	}
	count = ports_choose(config, &links, chosen, ACCELERATOR_PORTS_MAX);
	check_interfaces(config, &links, count, checks);
	for (size_t i = 0; i < count && i < ACCELERATOR_PORTS_MAX; i++) {
		struct accelerator_port port = {.index = chosen[i]->index, .trouble = port_trouble_of(chosen[i])};

		memcpy(port.name, chosen[i]->name, sizeof(port.name));
		if (check_port(&port, checks) && used < sizeof(text))
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", used ? ", " : "",
						 chosen[i]->name);
	}
	if (used)
		checks_note(checks, REPORT_OK, "accelerator", "XDP can be used, on %s", text);
	links_free(&links);
}
