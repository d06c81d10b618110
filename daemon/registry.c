/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "registry.h"

#include <stdio.h>
#include <string.h>

#define RESTART_PATIENCE_NS (60 * 1000000000ULL)
#define FOUND_PATIENCE_NS (3600 * 1000000000ULL)
#define FOUND_YIELDS_NS (60 * 1000000000ULL) /* to another one */

static bool is_vacant(const struct service *service)
{
	return !service->in_use && !service->half_open;
}

/* A server found in a network that has not answered for so long makes room: the one that has been silent longest. */
static struct service *yielding(struct registry *registry, uint64_t silent_ns, uint64_t now_ns)
{
	struct service *oldest = NULL;

	for (unsigned i = 0; i < registry->service_count; i++) {
		struct service *service = &registry->services[i];

		if (service->found && service->in_use && service->posture == SERVICE_WATCHING && !service->half_open &&
		    service->override == SERVICE_OVERRIDE_AUTO && service->answered_ns + silent_ns <= now_ns &&
		    (!oldest || service->answered_ns < oldest->answered_ns))
			oldest = service;
	}
	return oldest;
}

/* The service's slot: its own, or a free one, or that of a server found that has been silent for `yield_ns`. NULL when all
 * are taken. */
static struct service *slot_for(struct registry *registry, bool any_address, const struct addr *address,
				uint8_t host_bits, uint16_t port, uint64_t yield_ns, uint64_t now_ns)
{
	struct service *vacant = NULL;

	for (unsigned i = 0; i < registry->service_count; i++) {
		struct service *service = &registry->services[i];

		if (service->in_use && service->port == port && service->any_address == any_address &&
		    service->host_bits == host_bits && (any_address || addr_equal(&service->address, address)))
			return service;
		if (is_vacant(service))
			vacant = service;
	}
	if (!vacant && registry->service_count < SERVICES_MAX)
		vacant = &registry->services[registry->service_count++];
	if (!vacant)
		vacant = yielding(registry, yield_ns, now_ns);
	if (!vacant) {
		registry->left_out++;
		return NULL;
	}
	*vacant = (struct service){
		.any_address = any_address,
		.address = *address,
		.host_bits = host_bits,
		.port = port,
		.fresh = true,
	};
	service_set_limit(vacant, 0, &(struct service_thresholds){0});
	return vacant;
}

static void want(struct service *service, const char *name, enum service_cookies cookies, uint32_t limit)
{
	if (!service)
		return;
	service->in_use = true;
	service->wanted = true;
	service->cookies = cookies;
	service->configured_limit = limit;
	snprintf(service->name, sizeof(service->name), "%s", name);
}

static enum service_cookies cookies_of(const struct config_service *entry)
{
	static const enum service_cookies cookies[] = {
		[COOKIES_AUTO] = SERVICE_COOKIES_AUTO,
		[COOKIES_ALWAYS] = SERVICE_COOKIES_ALWAYS,
		[COOKIES_NEVER] = SERVICE_COOKIES_NEVER,
	};

	return cookies[entry->cookies];
}

static void want_configured(struct registry *registry, const struct config *config, uint64_t now_ns)
{
	for (size_t i = 0; i < config->service_count; i++) {
		const struct config_service *entry = &config->services[i];

		for (size_t j = 0; j < entry->port_count; j++) {
			struct service *service = slot_for(registry, entry->any_address, &entry->address,
							   entry->host_bits, entry->ports[j], 0, now_ns);

			want(service, entry->name, cookies_of(entry), entry->limit);
			if (service && service->fresh && config->mode == MODE_GATEWAY) {
				service->answers = SERVICE_ANSWERS_NOT_YET;
				service->behind = true;
			}
			if (service) /* one that is named no more may still be in a network */
				service->found = config->mode == MODE_GATEWAY && !entry->host_bits;
		}
	}
}

/* ---- a gateway's ---- */

static bool is_declared(const struct config_service *entry, const struct service *service)
{
	struct cidr net = cidr_of(&entry->address, (uint8_t)(128 - entry->host_bits));
	bool port = false;

	for (size_t i = 0; i < entry->port_count && !port; i++)
		port = entry->ports[i] == service->port;
	return port && cidr_contains(&net, &service->address);
}

/* What the config says of a server that was found: the entry with the smallest network. NULL if it is declared no more. */
static const struct config_service *declaration_of(const struct config *config, const struct service *service)
{
	const struct config_service *best = NULL;

	for (size_t i = 0; i < config->service_count; i++)
		if (is_declared(&config->services[i], service) &&
		    (!best || config->services[i].host_bits < best->host_bits))
			best = &config->services[i];
	return best;
}

static void want_found(struct registry *registry, const struct config *config, uint64_t now_ns)
{
	for (unsigned i = 0; i < registry->service_count; i++) {
		struct service *service = &registry->services[i];
		const struct config_service *entry;
		bool lately = service->override != SERVICE_OVERRIDE_AUTO ||
			      (service->answered_ns && service->answered_ns + FOUND_PATIENCE_NS > now_ns);

		if (!service->in_use || !service->found || !lately)
			continue;
		entry = declaration_of(config, service);
		if (entry)
			want(service, entry->name, cookies_of(entry), entry->limit);
	}
}

bool registry_found(struct registry *registry, const struct guard_found *found, uint64_t now_ns)
{
	struct service *service = slot_for(registry, false, &found->address, 0, found->port, FOUND_YIELDS_NS, now_ns);

	if (!service) {
		registry->left_out--; /* nobody has declared it */
		registry->found_left_out_ns = now_ns;
	}
	if (!service || service->in_use)
		return false;
	service->in_use = true;
	service->found = true;
	service->behind = true;
	service->override = registry->services[found->service].override;
	service_answered(service, now_ns);
	return true;
}

/* ---- a host's ---- */

static void want_listening(struct registry *registry, const struct listener *listeners, size_t listener_count,
			   uint64_t now_ns)
{
	char name[SERVICE_NAME_BYTES];

	for (size_t i = 0; i < listener_count; i++) {
		if (addr_is_loopback(&listeners[i].address))
			continue;
		snprintf(name, sizeof(name), "tcp-%u", listeners[i].port);
		want(slot_for(registry, listeners[i].any_address, &listeners[i].address, 0, listeners[i].port, 0,
			      now_ns),
		     name, SERVICE_COOKIES_AUTO, 0);
	}
	for (unsigned i = 0; i < registry->service_count; i++) {
		struct service *service = &registry->services[i];

		service->wanted |= service->in_use && (service->override != SERVICE_OVERRIDE_AUTO ||
						       now_ns - service->listened_ns < RESTART_PATIENCE_NS);
	}
}

static void bind_service(struct registry *registry, unsigned index, const struct addr *address)
{
	if (registry->binding_count == SERVICES_MAX) {
		registry->left_out++;
		return;
	}
	registry->bindings[registry->binding_count++] = (struct service_binding){
		.address = *address,
		.port = registry->services[index].port,
		.service = (uint16_t)index,
		.host_bits = registry->services[index].host_bits,
	};
}

/* Whether the listener serves the service; if so, under which addresses goes to the bindings. */
static bool bind_listener(struct registry *registry, unsigned index, const struct listener *listener)
{
	const struct service *service = &registry->services[index];
	struct addr any_v4 = addr_unspecified(false);
	struct addr any_v6 = addr_unspecified(true);

	if (listener->port != service->port || addr_is_loopback(&listener->address))
		return false;
	if (!service->any_address) {
		bool covered = listener->any_address
				       ? (addr_is_v4(&service->address) ? listener->serves_v4 : listener->serves_v6)
				       : addr_equal(&listener->address, &service->address);
		if (covered)
			bind_service(registry, index, &service->address);
		return covered;
	}
	if (!listener->any_address)
		bind_service(registry, index, &listener->address);
	if (listener->any_address && listener->serves_v4)
		bind_service(registry, index, &any_v4);
	if (listener->any_address && listener->serves_v6)
		bind_service(registry, index, &any_v6);
	return true;
}

static void set_limit(struct service *service, const struct config *config, uint32_t limit)
{
	const struct service_thresholds thresholds = {
		.arm_percent = config->backlog.arm_percent,
		.crowd_percent = config->backlog.crowd_percent,
		.disarm_percent = config->backlog.disarm_percent,
	};

	service_set_limit(service, limit, &thresholds);
}

static void bind_behind(struct registry *registry, unsigned index, const struct config *config)
{
	struct service *service = &registry->services[index];

	service->listening = true;
	bind_service(registry, index, &service->address);
	set_limit(service, config,
		  service->configured_limit ? service->configured_limit : service_learned_limit(service));
}

/* The service's limit is its smallest listener's: that one overflows first. */
static void bind_and_limit(struct registry *registry, unsigned index, const struct config *config,
			   const struct listener *listeners, size_t listener_count, uint64_t now_ns)
{
	struct service *service = &registry->services[index];
	uint32_t backlog = UINT32_MAX;

	service->listening = false;
	service->accept_queue_full = false;
	for (size_t i = 0; i < listener_count; i++) {
		if (!bind_listener(registry, index, &listeners[i]))
			continue;
		service->listening = true;
		service->listened_ns = now_ns;
		service->accept_queue_full |= listeners[i].accept_queue_full;
		if (listeners[i].accept_queue_full)
			service->accept_queue_full_ns = now_ns;
		if (listeners[i].backlog < backlog)
			backlog = listeners[i].backlog;
	}
	if (service->configured_limit)
		backlog = service->configured_limit;
	else if (!service->listening)
		return; /* its last one will do until it comes back */
	set_limit(service, config, backlog ? backlog : 1);
}

bool registry_update(struct registry *registry, const struct config *config, const struct listener *listeners,
		     size_t listener_count, uint64_t now_ns)
{
	static struct service_binding before[SERVICES_MAX];
	unsigned count = registry->binding_count;

	memcpy(before, registry->bindings, count * sizeof(before[0]));
	registry->binding_count = 0;
	registry->left_out = 0;
	for (unsigned i = 0; i < registry->service_count; i++)
		registry->services[i].wanted = false;
	if (config->auto_services)
		want_listening(registry, listeners, listener_count, now_ns);
	else
		want_configured(registry, config, now_ns);
	if (config->mode == MODE_GATEWAY)
		want_found(registry, config, now_ns);

	/* A service at an exact address comes after those at any, and so has the last word on that address. */
	for (unsigned exact = 0; exact < 2; exact++) {
		for (unsigned i = 0; i < registry->service_count; i++) {
			struct service *service = &registry->services[i];

			service->in_use = service->wanted;
			if (!service->in_use || service->any_address == exact)
				continue;
			if (service->behind)
				bind_behind(registry, i, config);
			else
				bind_and_limit(registry, i, config, listeners, listener_count, now_ns);
		}
	}
	return count != registry->binding_count || memcmp(before, registry->bindings, count * sizeof(before[0])) != 0;
}

const char *registry_address(const struct service *service, char text[REGISTRY_ENDPOINT_BYTES])
{
	struct cidr cidr = {service->address, (uint8_t)(128 - service->host_bits)};

	_Static_assert(REGISTRY_ENDPOINT_BYTES >= CIDR_TEXT_BYTES + sizeof("[]:65535"), "an endpoint fits");
	if (service->any_address)
		snprintf(text, REGISTRY_ENDPOINT_BYTES, "any");
	else
		cidr_text(&cidr, text);
	return text;
}

const char *registry_endpoint(const struct service *service, char text[REGISTRY_ENDPOINT_BYTES])
{
	char address[REGISTRY_ENDPOINT_BYTES];
	bool brackets = !service->any_address && !addr_is_v4(&service->address);

	snprintf(text, REGISTRY_ENDPOINT_BYTES, brackets ? "[%.50s]:%u" : "%.50s:%u",
		 registry_address(service, address), service->port);
	return text;
}
