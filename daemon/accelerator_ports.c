/* SPDX-License-Identifier: GPL-2.0-or-later */
/* accelerator_ports: on which interfaces the XDP program is. Whatever becomes of an interface, SYNs that it brings and the
 * program does not see come to the shards. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "accelerator_parts.h"
#include "log.h"

#define NSEC_PER_SEC 1000000000ULL
#define RETRY_NS (5 * NSEC_PER_SEC) /* whoever took it may have left */

/* ---- choosing ---- */

static bool is_named(const struct config *config, const struct link *link)
{
	bool named = false;

	for (size_t i = 0; i < config->xdp.interface_count && !named; i++)
		named = strcmp(config->xdp.interfaces[i], link->name) == 0;
	return named;
}

static bool any_leads_out(const struct links *links)
{
	bool any = false;

	for (size_t i = 0; i < links->count && !any; i++)
		any = links->links[i].leads_out;
	return any;
}

size_t ports_choose(const struct config *config, const struct links *links, const struct link **chosen, size_t most)
{
	bool by_route = any_leads_out(links);
	size_t count = 0;

	for (size_t i = 0; i < links->count; i++) {
		const struct link *link = &links->links[i];
		bool meant = config->xdp.interface_count ? is_named(config, link)
			     : by_route                  ? link->leads_out
							 : link->ethernet && link->up && link->has_address;

		if (meant && count < most)
			chosen[count] = link;
		count += meant;
	}
	return count;
}

enum port_trouble port_trouble_of(const struct link *link)
{
	if (!link->ethernet)
		return PORT_ALIEN;
	return link->has_vlans && links_strip_tags(link->name) ? PORT_TAGS : PORT_FINE;
}

/* Nothing to be tried, until the interface is another. */
static bool is_hopeless(enum port_trouble trouble)
{
	return trouble == PORT_TAGS || trouble == PORT_ALIEN;
}

static struct accelerator_port *port_of(struct accelerator *accelerator, uint32_t index)
{
	for (size_t i = 0; i < accelerator->port_count; i++)
		if (accelerator->ports[i].index == index)
			return &accelerator->ports[i];
	return NULL;
}

/* ---- what there is ---- */

static void port_detach(struct accelerator *accelerator, struct accelerator_port *port)
{
	if (port->attached)
		xdp_detach(accelerator->xdp, port->index);
	port->attached = false;
}

/* Those that are gone, or no longer wanted: what the program has answered there, the shards know. */
static void drop_unwanted(struct supervisor *supervisor)
{
	struct accelerator *accelerator = &supervisor->accelerator;
	size_t kept = 0;

	for (size_t i = 0; i < accelerator->port_count; i++) {
		if (accelerator->ports[i].wanted)
			accelerator->ports[kept++] = accelerator->ports[i];
		else
			port_detach(accelerator, &accelerator->ports[i]);
	}
	accelerator->port_count = kept;
}

void ports_refresh(struct supervisor *supervisor, uint64_t now_ns)
{
	const struct link *chosen[ACCELERATOR_PORTS_MAX];
	struct accelerator *accelerator = &supervisor->accelerator;
	int error = links_read(&accelerator->links, !supervisor->config.xdp.interface_count);
	size_t count;

	accelerator->links_read_ns = now_ns;
	accelerator->links_retry_ns = error ? now_ns + RETRY_NS : 0;
	if (error && !accelerator->said_links)
		log_warn("rtnetlink: interfaces not read: %s: they are taken as they were", strerror(-error));
	accelerator->said_links = error != 0;
	if (error)
		return;
	accelerator->links_stale = false;
	count = ports_choose(&supervisor->config, &accelerator->links, chosen, ACCELERATOR_PORTS_MAX);
	accelerator->ports_cut = count > ACCELERATOR_PORTS_MAX;
	count = accelerator->ports_cut ? ACCELERATOR_PORTS_MAX : count;
	for (size_t i = 0; i < accelerator->port_count; i++)
		accelerator->ports[i].wanted = false;
	for (size_t i = 0; i < count; i++) {
		struct accelerator_port *port = port_of(accelerator, chosen[i]->index);

		if (port)
			port->wanted = true;
	}
	drop_unwanted(supervisor);
	for (size_t i = 0; i < count; i++) {
		struct accelerator_port *port = port_of(accelerator, chosen[i]->index);

		if (!port) {
			port = &accelerator->ports[accelerator->port_count++];
			*port = (struct accelerator_port){.index = chosen[i]->index, .wanted = true};
		}
		memcpy(port->name, chosen[i]->name, sizeof(port->name));
		port->retry_ns = 0;
		if (is_hopeless(port_trouble_of(chosen[i]))) {
			port->trouble = port_trouble_of(chosen[i]);
			port_detach(accelerator, port);
		} else if (is_hopeless(port->trouble)) {
			port->trouble = PORT_FINE;
		}
	}
}

/* ---- attaching ---- */

static void port_attach(struct supervisor *supervisor, struct accelerator_port *port, uint64_t now_ns)
{
	int error = xdp_attach(supervisor->accelerator.xdp, port->index, supervisor->config.xdp.mode, &port->native);

	port->attached = !error;
	port->error = error;
	port->trouble = !error ? PORT_FINE : error == -EBUSY || error == -EEXIST ? PORT_TAKEN : PORT_REFUSED;
	port->retry_ns = error ? now_ns + RETRY_NS : 0;
}

void ports_follow(struct supervisor *supervisor, bool wanted, uint64_t now_ns)
{
	struct accelerator *accelerator = &supervisor->accelerator;
	bool on = false, off = false;

	for (size_t i = 0; i < accelerator->port_count; i++) {
		struct accelerator_port *port = &accelerator->ports[i];

		if (!wanted) {
			off |= port->attached;
			port_detach(accelerator, port);
			continue;
		}
		if (!port->attached && !is_hopeless(port->trouble) && now_ns >= port->retry_ns) {
			port_attach(supervisor, port, now_ns);
			on |= port->attached;
		}
		if (port->trouble != PORT_FINE && port->trouble != port->said)
			accelerator_tell_trouble(supervisor, port);
		port->said = port->trouble;
	}
	if (on)
		accelerator_tell_on(supervisor);
	if (off)
		accelerator_tell_off(supervisor, "nothing needs it");
}
