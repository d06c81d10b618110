/* SPDX-License-Identifier: GPL-2.0-or-later */
/* registry: which services there are: what the config names, matched with what listens.
 *
 * A service keeps its slot, and with it what was counted and learned, for as long as it is wanted; its index is what
 * shards and rules know it by. Without a `services` list, one whose listener is gone is kept for a while: it may be
 * restarting. A slot is free again only when no half-open entry refers to it. */
#ifndef SYNMOAT_REGISTRY_H
#define SYNMOAT_REGISTRY_H

#include "edge/listeners.h"
#include "face/config.h"
#include "synmoat/service.h"

struct registry {
	struct service services[SERVICES_MAX];
	unsigned service_count; /* slots ever used */
	struct service_binding bindings[SERVICES_MAX];
	unsigned binding_count;
	unsigned left_out; /* services or bindings that found no room */
};

/* Brings the registry up to date; returns whether the bindings changed. */
bool registry_update(struct registry *registry, const struct config *config, const struct listener *listeners,
		     size_t listener_count, uint64_t now_ns);

/* "ADDRESS:PORT", "[ADDRESS]:PORT" or "any:PORT" for messages. */
#define REGISTRY_ENDPOINT_BYTES 64
const char *registry_endpoint(const struct service *service, char text[REGISTRY_ENDPOINT_BYTES]);

/* The address alone, or "any". */
const char *registry_address(const struct service *service, char text[REGISTRY_ENDPOINT_BYTES]);

#endif
