/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "registry.h"

#include <arpa/inet.h>
#include <stdio.h>

#define RESTART_PATIENCE_NS (60 * 1000000000ULL)

static bool is_loopback(const struct addr *addr)
{
	static const struct addr v6_loopback = {.bytes = {[15] = 1}};

	return addr_is_v4(addr) ? addr->bytes[12] == 127 : addr_equal(addr, &v6_loopback);
}

/* The service's slot: its own, or a free one. NULL when all are taken. */
static struct service *slot_for(struct registry *registry, bool any_address, const struct addr *address, uint16_t port)
{
	struct service *vacant = NULL;

	for (unsigned i = 0; i < registry->service_count; i++) {
		struct service *service = &registry->services[i];

		if (service->in_use && service->port == port && service->any_address == any_address &&
		    (any_address || addr_equal(&service->address, address)))
			return service;
		if (!service->in_use && !service->half_open)
			vacant = service;
	}
	if (!vacant && registry->service_count < SERVICES_MAX)
		vacant = &registry->services[registry->service_count++];
	if (!vacant) {
		registry->left_out++;
		return NULL;
	}
	*vacant = (struct service){.any_address = any_address, .address = *address, .port = port, .fresh = true};
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

static void want_configured(struct registry *registry, const struct config *config)
{
	static const enum service_cookies cookies[] = {
		[COOKIES_AUTO] = SERVICE_COOKIES_AUTO,
		[COOKIES_ALWAYS] = SERVICE_COOKIES_ALWAYS,
		[COOKIES_NEVER] = SERVICE_COOKIES_NEVER,
	};

	for (size_t i = 0; i < config->service_count; i++) {
		const struct config_service *entry = &config->services[i];

		for (size_t j = 0; j < entry->port_count; j++)
			want(slot_for(registry, entry->any_address, &entry->address, entry->ports[j]), entry->name,
			     cookies[entry->cookies], entry->limit);
	}
}

static void want_listening(struct registry *registry, const struct listener *listeners, size_t listener_count,
			   uint64_t now_ns)
{
	char name[SERVICE_NAME_BYTES];

	for (size_t i = 0; i < listener_count; i++) {
		if (is_loopback(&listeners[i].address))
			continue;
		snprintf(name, sizeof(name), "tcp-%u", listeners[i].port);
		want(slot_for(registry, listeners[i].any_address, &listeners[i].address, listeners[i].port), name,
		     SERVICE_COOKIES_AUTO, 0);
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
	registry->bindings[registry->binding_count++] =
		(struct service_binding){*address, registry->services[index].port, (uint16_t)index};
}

/* Whether the listener serves the service; if so, under which addresses goes to the bindings. */
static bool bind_listener(struct registry *registry, unsigned index, const struct listener *listener)
{
	const struct service *service = &registry->services[index];
	struct addr any_v4 = addr_unspecified(false);
	struct addr any_v6 = addr_unspecified(true);

	if (listener->port != service->port || is_loopback(&listener->address))
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

/* The service's limit is its smallest listener's: that one overflows first. */
static void bind_and_limit(struct registry *registry, unsigned index, const struct config *config,
			   const struct listener *listeners, size_t listener_count, uint64_t now_ns)
{
	struct service *service = &registry->services[index];
	const struct service_thresholds thresholds = {
		.arm_percent = config->backlog.arm_percent,
		.crowd_percent = config->backlog.crowd_percent,
		.disarm_percent = config->backlog.disarm_percent,
	};
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
	service_set_limit(service, backlog ? backlog : 1, &thresholds);
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
		want_configured(registry, config);

	/* A service at an exact address comes after those at any, and so has the last word on that address. */
	for (unsigned exact = 0; exact < 2; exact++) {
		for (unsigned i = 0; i < registry->service_count; i++) {
			struct service *service = &registry->services[i];

			service->in_use = service->wanted;
			if (service->in_use && service->any_address == !exact)
				bind_and_limit(registry, i, config, listeners, listener_count, now_ns);
		}
	}
	return count != registry->binding_count || memcmp(before, registry->bindings, count * sizeof(before[0])) != 0;
}

const char *registry_address(const struct service *service, char text[REGISTRY_ENDPOINT_BYTES])
{
	if (service->any_address)
		snprintf(text, REGISTRY_ENDPOINT_BYTES, "any");
	else
		inet_ntop(addr_is_v4(&service->address) ? AF_INET : AF_INET6, addr_wire(&service->address), text,
			  REGISTRY_ENDPOINT_BYTES);
	return text;
}

const char *registry_endpoint(const struct service *service, char text[REGISTRY_ENDPOINT_BYTES])
{
	char address[REGISTRY_ENDPOINT_BYTES];
	bool brackets = !service->any_address && !addr_is_v4(&service->address);

	snprintf(text, REGISTRY_ENDPOINT_BYTES, brackets ? "[%.46s]:%u" : "%.46s:%u",
		 registry_address(service, address), service->port);
	return text;
}
