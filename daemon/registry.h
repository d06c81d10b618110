/* SPDX-License-Identifier: GPL-2.0-or-later */
/* registry: which services there are: what the config names, matched with what listens; on a gateway, with what has
 * answered.
 *
 * A service keeps its slot, and with it what was counted and learned, for as long as it is wanted; its index is what
 * shards and rules know it by. Without a `services` list, one whose listener is gone is kept for a while: it may be
 * restarting. Likewise a server that was found in a network behind a gateway, for longer. A slot is free again only when
 * no half-open entry refers to it. */
#ifndef SYNMOAT_REGISTRY_H
#define SYNMOAT_REGISTRY_H

#include "edge/listeners.h"
#include "face/config.h"
#include "synmoat/guard.h"
#include "synmoat/service.h"

struct registry {
	struct service services[SERVICES_MAX];
	unsigned service_count; /* slots ever used */
	struct service_binding bindings[SERVICES_MAX];
	unsigned binding_count;
	unsigned left_out;          /* services or bindings that found no room */
	uint64_t found_left_out_ns; /* when a server behind this host last found none; 0 = never */
};

/* Brings the registry up to date; returns whether the bindings changed. */
bool registry_update(struct registry *registry, const struct config *config, const struct listener *listeners,
		     size_t listener_count, uint64_t now_ns);

/* A server in a declared network, which is to be a service of its own: with the next update, and with what was ordered for
 * the network. Returns whether that is new. */
bool registry_found(struct registry *registry, const struct guard_found *found, uint64_t now_ns);

/* "ADDRESS:PORT", "[ADDRESS]:PORT" or "any:PORT" for messages; an ADDRESS may be a network. */
#define REGISTRY_ENDPOINT_BYTES 64
const char *registry_endpoint(const struct service *service, char text[REGISTRY_ENDPOINT_BYTES]);

/* The address or network alone, or "any". */
const char *registry_address(const struct service *service, char text[REGISTRY_ENDPOINT_BYTES]);

#endif
